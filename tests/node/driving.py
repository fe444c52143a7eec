"""The engine without a network: on a memory backend, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from threading import Event
from typing import Any, NamedTuple

from tallystick.core.errors import Refused
from tallystick.core.members import node_name
from tallystick.core.replica.commands import Command, Found
from tallystick.core.replica.outcome import Outcome
from tallystick.core.replica.step import Replica
from tallystick.core.replication.messages import Ack, Me
from tallystick.node.clock import Clock as Times
from tallystick.node.driver import Driver
from tallystick.node.engine import Engine, Wire
from tallystick.node.identity import Identity, identity_rows
from tallystick.node.jobs import Job, Receipt, Result
from tallystick.node.opening import ENCODERS, Opened, open_on
from tallystick.node.peering import Peering
from tallystick.node.source import StoreSource
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Backend, Table
from tallystick.store.store import Store

IDENTITY = Identity("c0ffee00c0ffee00", 0x0123456789AB, "eu")
NODE = node_name(IDENTITY.replica)
STARTED_MS = 1_760_000_000_000
PATIENCE_S = 20.0
"""What never takes so long, unless it hangs."""
SLICE_KEYS = 7
BACKLOG_EVENTS = 40


class Clock:
    """The node's wall clock, in milliseconds since 1970."""

    def __init__(self, ms: int = STARTED_MS) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms

    def advance(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


class Blockade(Job):
    """A job that holds up the engine thread until it is lifted: what comes after it waits in the queue."""

    def __init__(self, engine: Engine) -> None:
        self._reached = Event()
        self._lifted = Event()
        engine.submit(self)

    def reached(self) -> None:
        """Wait until the engine stands before it."""
        assert self._reached.wait(PATIENCE_S)

    def lift(self) -> None:
        self._lifted.set()

    def commands(self) -> tuple[()]:
        self._reached.set()
        assert self._lifted.wait(PATIENCE_S)
        return ()

    def answer(self, results: object, receipt: object) -> None:
        """Nobody asked."""

    def deliver(self, answer: None) -> None:
        """Nobody asked."""


class Answered(NamedTuple):
    """What a job's commands came to."""

    results: Sequence[Result]
    receipt: Receipt

    @property
    def outcome(self) -> Outcome:
        (result,) = self.results
        assert isinstance(result, Outcome), result
        return result

    @property
    def refused(self) -> Refused:
        (result,) = self.results
        assert isinstance(result, Refused)
        return result


class Asked(Job):
    """A job of some commands, and a future of their answer."""

    def __init__(self, *commands: Command, deadline: float | None = None) -> None:
        self._commands = commands
        self._deadline = deadline
        self.done: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()

    @property
    def deadline(self) -> float | None:
        return self._deadline

    def commands(self) -> Sequence[Command]:
        return self._commands

    def answer(self, results: Sequence[Result], receipt: Receipt) -> Answered:
        return Answered(results, receipt)

    def deliver(self, answer: Any) -> None:
        self.done.set_result(answer)


class Driven:
    """A running engine."""

    def __init__(
        self, opened: Opened, clock: Clock, *, client_id: int, sweep_ms: int, events_max: int
    ) -> None:
        self.clock = clock
        self.store = opened.store
        self.broken: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        self.driver = make_driver(
            opened, clock, client_id=client_id, sweep_ms=sweep_ms, events_max=events_max
        )
        broken = partial(_report, loop, self.broken)
        self.engine = Engine(self.driver, NO_WIRE, events_max=events_max, on_broken=broken)
        self.engine.start(loop)

    async def ask(self, *commands: Command) -> Answered:
        """Let the engine do these commands in one job, and wait for the answer."""
        job = Asked(*commands)
        self.engine.submit(job)
        return await job.done

    async def do(self, command: Command) -> Outcome:
        """One command that must not be refused."""
        return (await self.ask(command)).outcome

    async def stop(self) -> None:
        """As a node stops; the backend stays open."""
        await asyncio.to_thread(self.engine.stop)


def make_driver(
    opened: Opened,
    clock: Callable[[], int],
    *,
    client_id: int = 7,
    sweep_ms: int = 60_000,
    events_max: int = 64,
    monotonic: Callable[[], float] = time.monotonic,
    **peering: Any,
) -> Driver:
    """The driver of an opened store."""
    identity, source = opened.identity, StoreSource(opened.store)
    me = Me(identity.cluster, identity.replica, client_id, identity.region)
    return Driver(
        Replica(identity.replica, identity.region, client_id),
        opened.store,
        source,
        opened.vector,
        opened.hlc,
        Peering(me, opened.vector, opened.members, source, touched=opened.touched, **peering),
        events_max=events_max,
        sweep_interval_ms=sweep_ms,
        clock=Times(clock, monotonic),
    )


def _nothing_to_deliver(effects: list[Any]) -> None:
    """There are no links: what the driver says of members concerns nobody."""


NO_WIRE = Wire(lambda data: Ack({}), lambda effect: effect, _nothing_to_deliver, lambda link, problem: None)


def _report(loop: asyncio.AbstractEventLoop, heard: asyncio.Future[Any], problem: BaseException) -> None:
    loop.call_soon_threadsafe(heard.set_result, problem)


def open_memory(
    backend: Backend, backlog_events: int = BACKLOG_EVENTS, slice_keys: int = SLICE_KEYS
) -> Opened:
    """Open a backend as a node would; an empty one gets the fixed identity first."""
    store = Store(backend, ENCODERS, slice_keys=slice_keys, backlog_events=backlog_events)
    if not store.capacity().used_bytes:
        store.commit({Table.META: identity_rows(IDENTITY)}, {}, 0, b"")
    return open_on(store, IDENTITY.region, new_cluster=False, place="memory")


@asynccontextmanager
async def driving(
    backend: Backend | None = None,
    clock: Clock | None = None,
    *,
    client_id: int = 7,
    sweep_ms: int = 60_000,
    events_max: int = 64,
    **sizes: int,
) -> AsyncIterator[Driven]:
    """A founded engine for the length of a block."""
    opened = open_memory(backend or MemoryBackend(), **sizes)
    driven = Driven(opened, clock or Clock(), client_id=client_id, sweep_ms=sweep_ms, events_max=events_max)
    if not opened.head.seq:
        await driven.do(Found(IDENTITY.region))
    try:
        yield driven
    finally:
        await driven.stop()
