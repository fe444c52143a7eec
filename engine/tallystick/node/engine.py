"""The engine: one thread that turns the driver, so that the loop thread does I/O only.

It hands over jobs and peers' messages; everything that costs (decoding, stepping, hashing, encoding answers)
happens here, one hand-over a batch each way.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple

import structlog

from tallystick.core.clock import Head, Vector
from tallystick.core.replication.effects import Effect
from tallystick.core.replication.messages import Message
from tallystick.node.driver import Driver, Turn
from tallystick.node.inputs import Closed, Connected, PeerInput, Received
from tallystick.node.jobs import Job
from tallystick.node.outbox import GATHER_MS
from tallystick.store.port import StoreBroken, StoreFull

log = structlog.get_logger("engine")

LINKED_TICK_S = 0.02
LINKED_IDLE_S = 0.1
"""How often the driver looks at the time while there are links: after something came, and else."""
_GATHER_S = GATHER_MS / 1000
"""What links bring is looked at no more often than this, unless a job comes: then it goes with that. So
orders of peers share commits, which cost as much for one as for many; and after a rest nothing waits."""

TIDY_S = 0.25
"""No commit for so long: there is time for the checkpoint. While orders come every few milliseconds
a slice is longer than the pause that it is written in."""

_HAND_OVER_S = 0.005
"""A loop that is busy with something else for longer is not waited for."""
_WORTH_EVENTS = 4
"""For the answers to fewer of our own events nobody waits: those who get them bring in no commit's worth."""


class Said(NamedTuple):
    """Bytes that came over a link, to be read in the engine thread. `done` is called on the loop when they
    were taken."""

    link: int
    data: bytes
    done: Callable[[], None]


class _Look(Enum):
    """Wakes the thread for what links brought."""

    NOW = 1


class Wire(NamedTuple):
    """How messages between nodes look, and who carries out effects (on the loop)."""

    decode: Callable[[bytes], Message]
    """Raises ValueError on what is no message."""
    encode: Callable[[Effect], Any]
    """Runs in the engine thread."""
    deliver: Callable[[list[Any]], None]
    garbled: Callable[[int, str], None]
    """A link brought what is no message."""


class Engine:
    """Turns the driver of one node."""

    def __init__(
        self,
        driver: Driver,
        wire: Wire,
        *,
        events_max: int,
        on_broken: Callable[[BaseException], None],
    ) -> None:
        self.driver = driver
        self.store = driver.store
        self._wire = wire
        self._events_max = events_max
        self._on_broken = on_broken
        self._queue: SimpleQueue[Job | PeerInput | _Look | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handed_over = Event()
        self._stopping = False
        self._unwritten = False
        self._quiet = True
        self._wrote_s = 0.0
        self._told_seq = driver.head.seq
        self._heard: deque[Connected | Closed | Said] = deque()
        self._will_look = False
        self._gathered_s = 0.0
        self._progress = asyncio.Event()
        self._awaited = False
        self._seen: Vector = driver.vector

    @property
    def head(self) -> Head:
        """Where our own chain ends, on disk."""
        return self.driver.head

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin. Answers are delivered on `loop`."""
        self._loop = loop
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; its `deliver` will be called on the loop."""
        self._queue.put(job)

    def tell(self, news: PeerInput) -> None:
        """Queue what was read, or asked for, to be looked at soon."""
        self._queue.put(news)

    def hear(self, news: Connected | Closed | Said) -> None:
        """Keep what a link brings, in its order, until the next turn. On the loop."""
        assert self._loop is not None
        self._heard.append(news)
        if not self._will_look:
            self._will_look = True
            due_s = self._gathered_s + _GATHER_S
            self._loop.call_later(max(0.0, due_s - time.monotonic()), self._look)

    def _look(self) -> None:
        self._will_look = False
        if self._heard:
            self._queue.put(_Look.NOW)

    async def progress(self, seen: Vector, timeout_s: float) -> None:
        """Wait until more is on disk than `seen`, or for so long. On the loop."""
        self._awaited = True
        if self.driver.vector is not seen:
            return  # it came before anybody knew that it is waited for
        with suppress(TimeoutError):
            await asyncio.wait_for(self._progress.wait(), timeout_s)

    def stop(self) -> None:
        """Finish what is queued, write out the checkpoints, end the thread. Blocks."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping:
                jobs, inputs = self._gather()
                self._quiet = not jobs and not inputs
                self._let_go(self.driver.turn(jobs, inputs))
                if self._has_time():
                    self._idle()
            self._let_go(self.driver.stop())
        except StoreBroken as broken:
            self._on_broken(broken)
        except BaseException as bug:
            # A thread that dies in silence would leave every caller waiting: end the process instead.
            self._on_broken(bug)
            raise

    def _gather(self) -> tuple[list[Job], list[PeerInput]]:
        """Wait for work; take all that is there, up to a commit's worth."""
        queue = self._queue
        wait_s = self._wait_s()
        try:
            found: list[Any] = [queue.get(timeout=wait_s) if wait_s > 0 else queue.get_nowait()]
        except Empty:
            found = []
        found += [queue.get_nowait() for _ in range(min(queue.qsize(), self._events_max))]
        found += self._take_heard()
        jobs: list[Job] = []
        inputs: list[PeerInput] = []
        said: list[Said] = []
        for each in found:
            if each is None:
                self._stopping = True
            elif isinstance(each, Job):
                jobs.append(each)
            elif isinstance(each, Said):
                said.append(each)
                inputs += self._read(each)
            elif each is not _Look.NOW:
                inputs.append(each)
        if said:
            self._on_loop(_taken, said)
        return jobs, inputs

    def _take_heard(self) -> list[Connected | Closed | Said]:
        self._gathered_s = time.monotonic()
        heard = self._heard
        return [heard.popleft() for _ in range(len(heard))]

    def _wait_s(self) -> float:
        driver = self.driver
        if self._unwritten or driver.busy:
            return 0.0
        wait_s = driver.sweeper.wait_s()
        if driver.peering.replicator.links:
            wait_s = min(wait_s, LINKED_IDLE_S if self._quiet else LINKED_TICK_S)
        until = driver.next_until
        return wait_s if until is None else min(wait_s, max(0.0, until - time.monotonic()))

    def _read(self, said: Said) -> list[PeerInput]:
        try:
            return [Received(said.link, self._wire.decode(said.data))]
        except ValueError as problem:
            self._on_loop(self._wire.garbled, said.link, str(problem))
            return []

    def _let_go(self, turn: Turn) -> None:
        if self.driver.vector is not self._seen:
            self._seen, self._wrote_s, self._unwritten = self.driver.vector, time.monotonic(), False
            if self._awaited:
                self._awaited = False
                self._on_loop(self._wake)
        if turn.effects:
            self._on_loop(self._wire.deliver, [self._wire.encode(effect) for effect in turn.effects])
        events = self.driver.head.seq - self._told_seq
        self._told_seq += events
        if turn.answers:
            self._hand_over(turn.answers, wait=events >= _WORTH_EVENTS)

    def _has_time(self) -> bool:
        return self._quiet and not self._stopping and time.monotonic() >= self._wrote_s + TIDY_S

    def _idle(self) -> None:
        """Nothing waits: write a slice of the checkpoint, and another if nothing comes in between."""
        try:
            self._unwritten = self.store.idle()
        except StoreFull as full:
            self._unwritten = False
            log.warning("checkpoint waits for room", reason=str(full))

    def _wake(self) -> None:
        progress, self._progress = self._progress, asyncio.Event()
        progress.set()

    def _on_loop(self, call: Callable[..., None], *args: Any) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(call, *args)

    def _hand_over(self, answers: Sequence[tuple[Job, Any]], *, wait: bool) -> None:
        """Give the answers to the loop, and `wait` until their callers have them.

        Both threads need the interpreter, so going on at once gains nothing: the next commit would begin
        with the few requests that came early, and each row of it would be a race for the lock. So it finds
        those that the answers bring in, too: fewer and larger commits, at a tenth less processor time.
        """
        assert self._loop is not None
        self._handed_over.clear()
        self._loop.call_soon_threadsafe(_deliver, answers, self._loop, self._handed_over)
        if wait:
            self._handed_over.wait(_HAND_OVER_S)


def _taken(said: Sequence[Said]) -> None:
    for each in said:
        each.done()


def _deliver(answers: Sequence[tuple[Job, Any]], loop: asyncio.AbstractEventLoop, handed_over: Event) -> None:
    for job, answer in answers:
        job.deliver(answer)
    # After the callers, who were scheduled just now.
    loop.call_soon(handed_over.set)
