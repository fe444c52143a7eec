"""A node of a simulated cluster: the real driver on the store without a disk, its effects carried out here.

It is the twin of the engine's thread and of `rpc.links`: it turns the driver when something came and now and
then, dials whom it is to dial, reads for others what they want. A crash loses all but the disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from tallystick.core.clock import Head
from tallystick.core.codec import encode
from tallystick.core.replica.commands import Command
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.step import Replica
from tallystick.core.replication.effects import (
    Alarm,
    Close,
    Effect,
    Linked,
    ReadChunk,
    ReadLog,
    Roster,
    Send,
    Settled,
    Survey,
)
from tallystick.core.replication.messages import Me, Message
from tallystick.node.driver import Driver, Turn
from tallystick.node.identity import Identity, identity_rows
from tallystick.node.inputs import ChunkRead, Closed, Connected, LogRead, PeerInput, Received, Surveyed
from tallystick.node.installing import Installer
from tallystick.node.jobs import Job
from tallystick.node.logreading import read_log
from tallystick.node.opening import ENCODERS, Opened, open_on
from tallystick.node.outbox import GATHER_MS
from tallystick.node.peering import Peering
from tallystick.node.snapshots import INSTALLING_KEY, Installation, read_chunk
from tallystick.node.source import StoreSource
from tallystick.store.memory import PowerLoss
from tallystick.store.port import CorruptRecord, StoreBroken, StoreFull, Table
from tallystick.store.store import Store
from tallystick_sim.calls import Call, Wishes
from tallystick_sim.clocks import NodeClock
from tallystick_sim.disk import Disk
from tallystick_sim.network import Network, Pipe
from tallystick_sim.observing import Observer
from tallystick_sim.pacing import Pace
from tallystick_sim.wires import Wires
from tallystick_sim.world import World

C = TypeVar("C", bound=Call)
R = TypeVar("R")
RESTART_MS = 500.0
READ_MS = (0.0, 5.0)
PIECE_BYTES = 2_000
"""Of a snapshot. So little that a table comes in several pieces, between which links break and peers write;
so much that in bad weather the reading, a round trip a piece, does not take most of a run."""
CLUSTER = "c0ffee00c0ffee00"
NEVER_MS = math.inf


@dataclass(eq=False)
class Node:
    """One node, through all its crashes. `name` is its place in the world, `replica` its id there."""

    world: World
    network: Network
    name: int
    replica: int
    region: str
    find: Callable[[str], Node | None]
    """Who answers at an address."""
    backend: Disk = field(default_factory=Disk)
    backlog_events: int = 200
    rebalance: str = "off"
    weights: Mapping[str, int] = field(default_factory=dict)
    """By region, for the policy of that name."""
    up: bool = False
    frozen: bool = False
    settled: bool = False
    troubled_ms: float = -1.0
    """Until when the machine itself, not its links, kept it from answering."""
    alarms: list[Alarm] = field(default_factory=list)
    alarms_told: int = 0
    """How many of them a watcher has seen."""
    calls: list[Call] = field(default_factory=list)
    """Of this process, not answered yet."""
    observer: Observer = field(default_factory=Observer)

    def __post_init__(self) -> None:
        self.driver: Driver
        self.clock = NodeClock(self.world)
        self._random = self.world.stream(f"node {self.name}")
        self.backend.bitten = self.network.bitten
        self._life = -1
        self._reset()

    def _reset(self) -> None:
        self._life += 1
        self._wires = Wires(self, self._random)
        self._jobs: list[Job] = []
        self._inputs: list[PeerInput] = []
        self._due_ms = NEVER_MS
        self._turned_ms = -NEVER_MS
        self._ticks = 0
        self._pace = Pace()
        self._writes_until_ms = 0.0
        self.calls = []

    @property
    def address(self) -> str:
        """Where it is reached."""
        return f"node-{self.name}"

    @property
    def head(self) -> Head:
        """Where its own chain ends."""
        return self.driver.head

    # ------------------------------------------------------------------------------------------------- life

    def create(self, invitation: str = "", seed: str = "") -> None:
        """Write the identity of a new node to an empty disk."""
        identity = Identity(CLUSTER, self.replica, self.region)
        meta = identity_rows(identity)
        if invitation:
            meta[INSTALLING_KEY] = encode(Installation(seed, invitation))
        Store(self.backend, ENCODERS).commit({Table.META: meta}, {}, 0, b"")

    def start(self) -> None:
        """Open the disk, and go on from what is there."""
        self._reset()
        self.backend.witness = partial(self.observer.committed, self)
        store = Store(self.backend, ENCODERS, slice_keys=7, backlog_events=self.backlog_events)
        try:
            opened = open_on(store, self.region, new_cluster=False, place=self.address)
        except (CorruptRecord, StoreFull) as problem:
            self._cannot_start(problem)
            return
        self.driver = self._make_driver(opened)
        self.up, self.frozen = True, False
        self.world.note("started", self.name, self.head)
        self.observer.started(self)
        if opened.installation is not None:
            self.settled = False
            self._wires.seek(opened.installation.seed)
        else:
            self.settled = True
        self._wake()

    def _cannot_start(self, problem: CorruptRecord | StoreFull) -> None:
        """The process says why and ends. Where there is no room it is tried again."""
        self.world.note("can't start", self.name, type(problem).__name__)
        self.backend = self.backend.clone()
        if isinstance(problem, CorruptRecord):
            self.alarms.append(Alarm("CORRUPT_RECORD", str(problem), self.replica))
        else:
            self.world.after(RESTART_MS, lambda: None if self.up else self.start())

    def _make_driver(self, opened: Opened) -> Driver:
        draw = self._random.getrandbits
        installation, source = opened.installation, StoreSource(opened.store)
        kinds = frozenset(map(int, EntryKind))
        code = installation.invitation if installation else ""
        me = Me(CLUSTER, self.replica, 1 + draw(62), self.region, self.address, kinds, code)
        installer = Installer(installation) if installation else None
        return Driver(
            Replica(self.replica, self.region, 1 + draw(31)),
            opened.store,
            source,
            opened.vector,
            opened.hlc,
            Peering(
                me,
                opened.vector,
                opened.members,
                source,
                touched=opened.touched,
                installer=installer,
                rebalance=self.rebalance,
                weights=self.weights,
            ),
            events_max=64,
            sweep_interval_ms=0,
            clock=self.clock.as_engine_clock(),
        )

    def crash(self) -> None:
        """Lose all but the disk."""
        if self.up:
            self.world.note("crashed", self.name)
            self._end()

    def stop(self) -> None:
        """End as an operator would have it: what waits is answered, the checkpoints are written."""
        if not self.up:
            return
        self.world.note("stopped", self.name)
        jobs, inputs = self._jobs, self._inputs
        for last in (lambda: self.driver.turn(jobs, inputs), self.driver.stop):
            turn = self._guard(last)
            if turn is None:
                return
            self._let_go(turn)
        self._end()

    def _end(self) -> None:
        self.up = False
        self.backend = self.backend.crash()
        self.observer.ended(self)
        self._wires.end()

    def freeze(self, duration_ms: float) -> None:
        """Do nothing for a while; what comes in meanwhile waits."""
        self.frozen = True
        self.troubled_ms = max(self.troubled_ms, self.world.now_ms + duration_ms)
        self.world.note("frozen", self.name, duration_ms)
        life = self._life

        def thaw() -> None:
            if life == self._life:
                self.thaw()

        self.world.after(duration_ms, thaw)

    def thaw(self) -> None:
        """Go on."""
        self.frozen = False
        self._wake()

    # ---------------------------------------------------------------------------------------------- callers

    def ask(self, *commands: Command, wishes: Wishes = Wishes()) -> Call:  # noqa: B008 - immutable
        """A caller asks for this; see the call for what becomes of it."""
        deadline = self.clock.monotonic() + wishes.deadline_ms / 1000 if wishes.deadline_ms else None
        return self.submit(Call(commands, wishes, deadline))

    def submit(self, call: C) -> C:
        """A caller hands in its call."""
        call.node = self.name
        self.calls.append(call)
        self._jobs.append(call)
        self._wake()
        return call

    # ------------------------------------------------------------------------------------------- connections

    def connected(self, pipe: Pipe) -> int:
        link = self._wires.add(pipe)
        self._tell(Connected(link))
        return link

    def received(self, link: int, message: Message) -> None:
        if link in self._wires:
            self._tell(Received(link, message))

    def closed(self, link: int) -> None:
        if self._wires.drop(link):
            self._tell(Closed(link))
            self._wires.dial_all()

    def _tell(self, news: PeerInput) -> None:
        """It waits for company as it does in the engine's thread."""
        self._inputs.append(news)
        self._wake(self._turned_ms + GATHER_MS)

    # ------------------------------------------------------------------------------------------------- turns

    def _plan_tick(self, *, idle: bool) -> None:
        """Turn the driver again before long, sooner if it was busy, or if somebody's time is up."""
        until = self.driver.next_until
        pause_ms = self._pace.pause_ms(
            idle=idle, until_ms=None if until is None else self.clock.until_ms(until)
        )
        self._ticks += 1
        life, number = self._life, self._ticks

        self.world.after(
            pause_ms, lambda: self._wake() if (life, number) == (self._life, self._ticks) else None
        )

    def _wake(self, at_ms: float = 0.0) -> None:
        """Turn the driver then, or as soon as can be after it; if it is to be turned before it, just then."""
        due_ms = max(at_ms, self.world.now_ms, self._writes_until_ms)
        if self.up and due_ms < self._due_ms:
            self._due_ms = due_ms
            life = self._life
            self.world.at(due_ms, lambda: self._turn(life, due_ms))

    def _turn(self, life: int, due_ms: float) -> None:
        if life != self._life or not self.up or due_ms != self._due_ms:
            return
        self._due_ms, self._turned_ms = NEVER_MS, self.world.now_ms
        if self.frozen:
            self.network.bitten["pause"] += 1
            return
        jobs, self._jobs = self._jobs, []
        inputs, self._inputs = self._inputs, []
        commits = self.backend.commits
        if self.backend.is_filled or self.backend.slow_ms:
            self.troubled_ms = max(self.troubled_ms, self.world.now_ms + self.backend.slow_ms)
        turn = self._guard(lambda: self.driver.turn(jobs, inputs))
        if turn is None:
            return
        idle = not (jobs or inputs or turn.effects or turn.answers)
        if idle and self._guard(lambda: self._pace.tidy(self.driver.store, self.world.now_ms)) is None:
            return
        self.observer.turned(self, turn)
        committed = self.backend.commits > commits
        if self.backend.slow_ms and committed:
            self._let_go_late(turn, life)
        else:
            self._let_go(turn)
        if self.driver.busy:
            self._wake()
        self._plan_tick(idle=not (committed or turn.effects or turn.answers))

    def _guard(self, work: Callable[[], R]) -> R | None:
        """What the engine's thread does. Its process ends when the power goes, when its disk breaks and when
        it has a bug: None then."""
        try:
            return work()
        except PowerLoss:
            self.crash()
        except StoreBroken:
            self.network.bitten["sync_failure"] += 1
            self.crash()
        except Exception as bug:
            self.world.note("failed", self.name, type(bug).__name__)
            self.crash()
            if not self.observer.failed(self, bug):
                raise
        return None

    def _let_go_late(self, turn: Turn, life: int) -> None:
        """The disk is slow: nothing leaves before it is done, and no other turn begins."""
        self.network.bitten["disk_slow"] += 1
        self._writes_until_ms = self.world.now_ms + self.backend.slow_ms

        def let_go() -> None:
            if life == self._life and self.up:
                self._let_go(turn)

        self.world.after(self.backend.slow_ms, let_go)

    def _let_go(self, turn: Turn) -> None:
        for job, answer in turn.answers:
            self.world.note("answered", self.name, type(job).__name__, len(getattr(answer, "results", ())))
            job.deliver(answer)
        if turn.answers:
            self.calls = [call for call in self.calls if not call.done]
        for effect in turn.effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(link, message):
                self._wires.send(link, message)
            case ReadLog(link, origin):
                self._read(lambda reader: LogRead(link, origin, read_log(reader, effect)))
            case ReadChunk(link, table, after):
                self._read(lambda reader: ChunkRead(link, read_chunk(reader, table, after, PIECE_BYTES)))
            case Survey(work, then, reader, close):
                found = work(reader)  # of that very moment; to hear of it takes as long as any reading
                close()
                self._read(lambda _: Surveyed(then, found))
            case Linked(link, peer):
                self._wires.know(link, peer)
            case Close(link, reason, _, final):
                if link in self._wires:
                    self.world.note("closes", self.name, reason)
                    self._wires.close(link, final=final)
            case Roster(peers):
                self._wires.meet(peers)
            case Settled():
                self.settled = True
                self.world.note("settled", self.name)
                self.observer.settled(self)
            case Alarm():
                self.world.note("alarm", self.name, effect.reason)
                self.alarms.append(effect)

    def _read(self, read: Callable[[Any], PeerInput]) -> None:
        life = self._life

        def work() -> None:
            if life == self._life and self.up:
                with self.driver.store.read() as reader:
                    try:
                        self._inputs.append(read(reader))
                        self._wake()
                    except CorruptRecord as rot:
                        self.world.note("rotten", self.name, rot.key)

        self.world.after(self._random.uniform(*READ_MS), work)
