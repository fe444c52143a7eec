"""The driver: one thread that steps whatever waits, commits once, and then lets the answers go.

The loop thread does I/O only. It hands over jobs; everything that costs (decoding, stepping, hashing,
encoding answers) happens here, one hand-over a batch each way. Nothing is answered before it is on disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple, Protocol

import structlog

from tallystick.core.clock import FORWARD_LIMIT_MS, Head, hlc_ms, tick
from tallystick.core.codec import encode
from tallystick.core.errors import Refused
from tallystick.core.replica.commands import Command, ExpireHold
from tallystick.core.replica.outcome import Now, Outcome
from tallystick.core.replica.step import Replica
from tallystick.core.replica.view import View
from tallystick.node.identity import encode_vector, progress_rows
from tallystick.node.sealing import Sealer, eager_rows, lazy_rows
from tallystick.node.source import StoreSource
from tallystick.node.sweeper import Sweeper
from tallystick.store.port import CorruptRecord, StoreBroken, StoreFull
from tallystick.store.store import Store

log = structlog.get_logger("engine")

_HAND_OVER_S = 0.005
"""A loop that is busy with something else for longer is not waited for."""

Result = Outcome | Refused
Commands = Sequence[Command | Refused]


def wall_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Receipt(NamedTuple):
    """Proof of a commit, for the answers that it lets go."""

    token: bytes
    """Consistency token: the head after the commit."""
    hlc: int
    replicated_to: int


class Job(Protocol):
    """Work for the engine: commands out of a request, and an answer out of what became of them."""

    @property
    def deadline(self) -> float | None:
        """On time.monotonic(); nothing is begun after it."""
        ...

    def commands(self) -> Commands:
        """Read the request. Runs in the engine thread, once."""
        ...

    def answer(self, results: Sequence[Result], receipt: Receipt) -> Any:
        """Make the answer. Runs in the engine thread, after the commit. If it fails, `deliver` gets a
        Refused."""
        ...

    def deliver(self, answer: Any) -> None:
        """Hand the answer over. Runs in the loop thread."""
        ...


class StorageFull(Refused):
    """There is no room: writes come back when there is."""

    def __init__(self, why: str) -> None:
        super().__init__("STORAGE_FULL", f"{why}; nothing was written, reads go on")


class NotStarted(Refused):
    """The deadline passed while the request waited: it was never begun."""

    def __init__(self) -> None:
        super().__init__("NOT_STARTED", "the deadline passed before the request's turn; nothing was written")


class Internal(Refused):
    """A bug in handling one request. `definite`: whether it is certain that nothing was written."""

    def __init__(self, *, definite: bool) -> None:
        super().__init__("INTERNAL", "handling this request failed; the node's log says how")
        self.definite = definite


class Rotten(Refused):
    """A record that the request needs does not fit its checksum."""

    def __init__(self, rot: CorruptRecord) -> None:
        super().__init__(
            "CORRUPT_RECORD",
            f"{rot}: nothing was written; the disk needs looking after",
            {"table": rot.table.value, "key": rot.key.hex()},
        )


class _Poisoned(Exception):
    """Stepping a command failed: the overlay may be half written and goes away."""

    def __init__(self, job: Job, refusal: Refused) -> None:
        super().__init__()
        self.job = job
        self.refusal = refusal


class Stopping(Refused):
    """The node is going down."""

    def __init__(self) -> None:
        super().__init__("NODE_STOPPING", "the node is stopping; try again, here or elsewhere")


class Sweep:
    """The sweeper's job: a hold whose time is over."""

    deadline = None

    def __init__(self, order_id: str, sweeper: Sweeper) -> None:
        self._order_id = order_id
        self._sweeper = sweeper

    def commands(self) -> Sequence[Command]:
        return (ExpireHold(self._order_id),)

    def answer(self, results: Sequence[Result], receipt: Receipt) -> None:
        if isinstance(results[0], StorageFull):
            self._sweeper.look_again()

    def deliver(self, answer: None) -> None:
        """Nobody waits for it."""


class Engine:
    """Owns the store, the head of our chain and the clock of one replica."""

    def __init__(
        self,
        replica: Replica,
        store: Store,
        head: Head,
        last_hlc: int,
        *,
        events_max: int,
        sweep_interval_ms: int,
        on_broken: Callable[[BaseException], None],
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self.replica = replica
        self.store = store
        self.head = head
        self._hlc = last_hlc
        self._events_max = events_max
        self._on_broken = on_broken
        self._now_ms = now_ms
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._source = StoreSource(store)
        self._sweeper = Sweeper(store, sweep_interval_ms)
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handed_over = Event()
        self._stopping = False
        self._unwritten = False
        self._ahead = False
        self._refusing = ""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin. Answers are delivered on `loop`."""
        self._loop = loop
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; its `deliver` will be called on the loop."""
        self._queue.put(job)

    def stop(self) -> None:
        """Finish what is queued, write out the checkpoints, end the thread. Blocks."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping:
                jobs = self._gather()
                if jobs:
                    self._group(jobs)
                elif not self._stopping:
                    self._idle()
                self._sweep()
            self._flush()
        except StoreBroken as broken:
            self._on_broken(broken)
        except BaseException as bug:
            # A thread that dies in silence would leave every caller waiting: end the process instead.
            self._on_broken(bug)
            raise

    def _gather(self) -> list[Job]:
        """Wait for work; take all that is there, up to a commit's worth."""
        queue = self._queue
        try:
            wait_s = 0.0 if self._unwritten else self._sweeper.wait_s()
            jobs = [queue.get(timeout=wait_s) if wait_s else queue.get_nowait()]
        except Empty:
            return []
        jobs += [queue.get_nowait() for _ in range(min(queue.qsize(), self._events_max))]
        if None in jobs:
            self._stopping = True
        return [job for job in jobs if job is not None]

    def _idle(self) -> None:
        """Nothing waits: write a slice of the checkpoint, and another if nothing comes in between."""
        try:
            self._unwritten = self.store.idle()
        except StoreFull as full:
            self._unwritten = False
            log.warning("checkpoint waits for room", reason=str(full))

    def _flush(self) -> None:
        try:
            self.store.flush()
        except StoreFull as full:
            log.warning("no room for the checkpoints: opening will replay the log", reason=str(full))

    def _sweep(self) -> None:
        now_ms = self._now_ms()
        due = self._sweeper.due(now_ms)
        if due:
            # One job each: a bug in one of them leaves the others alone.
            self._group([Sweep(order_id, self._sweeper) for order_id in due])

    def _group(self, jobs: list[Job]) -> None:
        """Step all jobs, in as few commits as the limits allow, and let their answers go.

        A job is read when its turn comes: what was given up while it waited costs nothing.
        """
        batch: list[tuple[Job, Commands]] = []
        events = 0
        for job in jobs:
            commands = self._read(job)
            if batch and events + len(commands) > self._events_max:
                self._commit(batch)
                batch, events = [], 0
            batch.append((job, commands))
            events += len(commands)
        if batch:
            self._commit(batch)

    def _read(self, job: Job) -> Commands:
        if job.deadline is not None and time.monotonic() > job.deadline:
            return (NotStarted(),)
        try:
            return job.commands()
        except Exception:
            log.exception("a request could not be read by a bug", job=type(job).__name__)
            return (Internal(definite=True),)

    def _commit(self, batch: list[tuple[Job, Commands]]) -> None:
        """One commit: everything in `batch`, then its answers."""
        reason = self.store.writable()
        self._note_refusing(reason or "")
        now_ms = self._now_ms()
        stamp = tick(self._hlc, now_ms)
        view = View(self._source)
        sealer = Sealer(self.replica.replica, self.head, stamp, view)
        full = StorageFull(reason) if reason else None
        self._note_clock(stamp, now_ms)
        now = Now(now_ms, stamp, 0)
        try:
            results = [self._step(job, commands, now, sealer, view, full) for job, commands in batch]
        except _Poisoned as poisoned:
            self._commit_apart(batch, poisoned)
            return
        sealer.seal()
        if sealer.frames:
            try:
                self._write(view, sealer, stamp)
            except StoreFull as problem:
                refusal = StorageFull(str(problem))
                results = [[refusal] * len(commands) for _, commands in batch]
        receipt = Receipt(encode((self.replica.replica, *self.head)), stamp, 0)
        answers = [(job, _answer(job, done, receipt)) for (job, _), done in zip(batch, results, strict=True)]
        self._hand_over(answers)

    def _hand_over(self, answers: Sequence[tuple[Job, Any]]) -> None:
        """Give the answers to the loop, and wait until their callers have them.

        Both threads need the interpreter, so going on at once gains nothing: the next commit would begin
        with the few requests that came early, and each row of it would be a race for the lock. So it finds
        those that the answers bring in, too: fewer and larger commits, at a tenth less processor time.
        """
        assert self._loop is not None
        self._handed_over.clear()
        self._loop.call_soon_threadsafe(_deliver, answers, self._loop, self._handed_over)
        self._handed_over.wait(_HAND_OVER_S)

    def _commit_apart(self, batch: list[tuple[Job, Commands]], poisoned: _Poisoned) -> None:
        """Something in the batch can't be stepped: each job by itself, so that the others are done."""
        for job, commands in batch:
            refused = (poisoned.refusal,) * len(commands)
            self._commit([(job, refused if job is poisoned.job else commands)])

    def _step(
        self,
        job: Job,
        commands: Commands,
        now: Now,
        sealer: Sealer,
        view: View,
        full: StorageFull | None,
    ) -> list[Result]:
        """Step one job's commands. A refusal leaves the view as it was."""
        step = self.replica.step
        ms, stamp, _ = now
        results: list[Result] = []
        for command in commands:
            if isinstance(command, Refused):
                results.append(command)
                continue
            try:
                if full is not None and type(command) is not ExpireHold:
                    results.append(self._known(command, now) or full)
                    continue
                outcome = step(command, Now(ms, stamp, sealer.next_seq), view)
                if outcome.entries:
                    sealer.add(outcome.entries)
            except Refused as refusal:
                results.append(refusal)
            except StoreBroken:
                raise
            except CorruptRecord as rot:
                log.error("a record is corrupt", table=rot.table.value, key=rot.key.hex())
                raise _Poisoned(job, Rotten(rot)) from rot
            except Exception as bug:
                log.exception("a command failed by a bug", command=type(command).__name__)
                raise _Poisoned(job, Internal(definite=True)) from bug
            else:
                results.append(outcome)
        return results

    def _known(self, command: Command, now: Now) -> Outcome | None:
        """The answer to a request that was carried out before: it needs no room."""
        try:
            outcome = self.replica.step(command, now, View(self._source))
        except Refused:
            return None
        return None if outcome.entries else outcome

    def _write(self, view: View, sealer: Sealer, stamp: int) -> None:
        vector = encode_vector({self.replica.replica: sealer.head})
        rows = eager_rows(view, sealer.frames, progress_rows(vector, stamp))
        events = sealer.head.seq - self.head.seq
        self.store.commit(rows, lazy_rows(view), events, vector)
        self.head = sealer.head
        self._hlc = stamp
        self._source.adopt(view.stock)
        self._sweeper.note(view.expiry)

    def _note_clock(self, stamp: int, now_ms: int) -> None:
        ahead = hlc_ms(stamp) > now_ms + FORWARD_LIMIT_MS
        if ahead and not self._ahead:
            log.warning("the clock is behind what was written: times stand still", ms=hlc_ms(stamp) - now_ms)
        self._ahead = ahead

    def _note_refusing(self, reason: str) -> None:
        if bool(reason) != bool(self._refusing):
            log.warning("writes are refused" if reason else "writes are open again", reason=reason)
        self._refusing = reason


def _answer(job: Job, results: Sequence[Result], receipt: Receipt) -> Any:
    try:
        return job.answer(results, receipt)
    except Exception:
        log.exception("an answer failed by a bug", job=type(job).__name__)
        return Internal(definite=False)


def _deliver(answers: Sequence[tuple[Job, Any]], loop: asyncio.AbstractEventLoop, handed_over: Event) -> None:
    for job, answer in answers:
        job.deliver(answer)
    # After the callers, who were scheduled just now.
    loop.call_soon(handed_over.set)
