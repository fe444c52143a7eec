"""A node of a simulated cluster: the real driver on the store without a disk, its effects carried out here.

It is the twin of the engine's thread and of `rpc.links`: it turns the driver when something came and every
`TICK_MS`, dials whom it is to dial, reads for others what they want. A crash loses all but the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
from tallystick.node.balancing import OFF
from tallystick.node.driver import Clock, Driver
from tallystick.node.identity import Identity, identity_rows
from tallystick.node.inputs import ChunkRead, Closed, Connected, LogRead, PeerInput, Received, Surveyed
from tallystick.node.installing import Installer
from tallystick.node.jobs import Job
from tallystick.node.logreading import read_log
from tallystick.node.opening import ENCODERS, Opened, open_on
from tallystick.node.peering import Peering
from tallystick.node.snapshots import INSTALLING_KEY, Installation, read_chunk
from tallystick.node.source import StoreSource
from tallystick.store.memory import MemoryBackend, PowerLoss
from tallystick.store.port import Table
from tallystick.store.store import Store
from tallystick_sim.calls import Call, Wishes
from tallystick_sim.network import Network, Pipe
from tallystick_sim.world import World

TICK_MS = 20.0
REDIAL_MS = (50.0, 300.0)
READ_MS = (0.0, 5.0)
CLUSTER = "c0ffee00c0ffee00"


@dataclass(slots=True)
class _Wire:
    """One link of this process."""

    pipe: Pipe
    peer: int = 0


Watch = Callable[["Node", Sequence[tuple[Job, Any]]], None]
"""Is shown a node, and the answers that its turn is about to let go."""


def ignore(node: Node, answers: Sequence[tuple[Job, Any]]) -> None:
    """Watch nothing."""


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
    backend: MemoryBackend = field(default_factory=MemoryBackend)
    backlog_events: int = 200
    rebalance: str = OFF
    weights: Mapping[str, int] = field(default_factory=dict)
    """By region, for the policy of that name."""
    up: bool = False
    frozen: bool = False
    settled: bool = False
    alarms: list[Alarm] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    """Of this process, not answered yet."""
    watch: Watch = ignore

    def __post_init__(self) -> None:
        self.driver: Driver
        self._life = -1
        self._reset()

    def _reset(self) -> None:
        self._life += 1
        self._wires: dict[int, _Wire] = {}
        self._links = 0
        self._jobs: list[Job] = []
        self._inputs: list[PeerInput] = []
        self._due = False
        self._roster: dict[int, str] = {}
        self._dialling: set[str] = set()
        self._seed = ""
        self._hung_up: set[int] = set()
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
        store = Store(self.backend, ENCODERS, slice_keys=7, backlog_events=self.backlog_events)
        opened = open_on(store, self.region, new_cluster=False, place=self.address)
        self.driver = self._make_driver(opened)
        self.up, self.frozen = True, False
        self.world.note("started", self.name, self.head)
        if opened.installation is not None:
            self.settled = False
            self._seed = opened.installation.seed
            self._dial(self._seed)
        else:
            self.settled = True
        self._tick(self._life)

    def _make_driver(self, opened: Opened) -> Driver:
        draw = self.world.random.getrandbits
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
                *(me, opened.vector, opened.members, source),
                touched=opened.touched,
                installer=installer,
                rebalance=self.rebalance,
                weights=self.weights,
            ),
            events_max=64,
            sweep_interval_ms=0,
            clock=Clock(lambda: self.world.wall_ms, lambda: self.world.now_ms / 1000),
        )

    def crash(self) -> None:
        """Lose all but the disk."""
        if not self.up:
            return
        self.up = False
        self.world.note("crashed", self.name)
        self.backend = self.backend.crash()
        for wire in [*self._wires.values()]:
            self.network.close(wire.pipe, by=self)
        self._wires.clear()

    def freeze(self, duration_ms: float) -> None:
        """Do nothing for a while; what comes in meanwhile waits."""
        self.frozen = True
        life = self._life

        def thaw() -> None:
            if life == self._life:
                self.frozen = False
                self._wake()

        self.world.after(duration_ms, thaw)

    # ---------------------------------------------------------------------------------------------- callers

    def ask(self, *commands: Command, wishes: Wishes = Wishes()) -> Call:  # noqa: B008 - immutable
        """A caller asks for this; see the call for what becomes of it."""
        deadline = (self.world.now_ms + wishes.deadline_ms) / 1000 if wishes.deadline_ms else None
        call = Call(commands, wishes, deadline)
        call.node = self.name
        self.calls.append(call)
        self._jobs.append(call)
        self._wake()
        return call

    # ------------------------------------------------------------------------------------------- connections

    def connected(self, pipe: Pipe) -> int:
        self._links += 1
        self._wires[self._links] = _Wire(pipe)
        self._tell(Connected(self._links))
        return self._links

    def received(self, link: int, message: Message) -> None:
        if link in self._wires:
            self._tell(Received(link, message))

    def closed(self, link: int) -> None:
        wire = self._wires.pop(link, None)
        if wire is not None:
            self._tell(Closed(link))
            self._dial_all()

    def _tell(self, news: PeerInput) -> None:
        self._inputs.append(news)
        self._wake()

    def _dial_all(self) -> None:
        linked = {wire.peer for wire in self._wires.values()}
        for peer, address in self._roster.items():
            if self.replica < peer and peer not in linked and peer not in self._hung_up:
                self._dial(address)
        if self._seed and not self.settled and not linked - {0}:
            self._dial(self._seed)

    def _dial(self, address: str) -> None:
        if address in self._dialling:
            return
        self._dialling.add(address)
        life = self._life

        def dial() -> None:
            if life != self._life or not self.up:
                return
            self._dialling.discard(address)
            other = self.find(address)
            if other is not None and other.up and not self.frozen and self.network.connect(self, other):
                return
            self._dial_all()

        self.world.after(self.world.random.uniform(*REDIAL_MS), dial)

    # ------------------------------------------------------------------------------------------------- turns

    def _tick(self, life: int) -> None:
        if life == self._life and self.up:
            self._wake()
            self.world.after(TICK_MS, lambda: self._tick(life))

    def _wake(self) -> None:
        if not self._due and self.up:
            self._due = True
            life = self._life
            self.world.after(0.0, lambda: self._turn(life))

    def _turn(self, life: int) -> None:
        if life != self._life or not self.up:
            return
        self._due = False
        if self.frozen:
            return
        jobs, self._jobs = self._jobs, []
        inputs, self._inputs = self._inputs, []
        try:
            turn = self.driver.turn(jobs, inputs)
        except PowerLoss:
            self.network.bitten["power"] += 1
            self.crash()
            return
        self.watch(self, turn.answers)
        for job, answer in turn.answers:
            self.world.note("answered", self.name, type(job).__name__, len(getattr(answer, "results", ())))
            job.deliver(answer)
        self.calls = [call for call in self.calls if not call.done]
        for effect in turn.effects:
            self._carry_out(effect)
        if self.driver.busy:
            self._wake()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(link, message):
                if link in self._wires:
                    self.network.send(self._wires[link].pipe, self, message)
            case ReadLog(link, origin):
                self._read(lambda reader: LogRead(link, origin, read_log(reader, effect)))
            case ReadChunk(link, table, after):
                self._read(lambda reader: ChunkRead(link, read_chunk(reader, table, after, 600)))
            case Survey(work, then, reader, close):
                found = work(reader)  # of that very moment; to hear of it takes as long as any reading
                close()
                self._read(lambda _: Surveyed(then, found))
            case Linked(link, peer):
                if link in self._wires:
                    self._wires[link].peer = peer
            case Close(link, reason, _, final):
                if link in self._wires:
                    self.world.note("closes", self.name, reason)
                    if final:
                        self._hung_up.add(self._wires[link].peer)
                    self.network.close(self._wires[link].pipe, by=self)
            case Roster(peers):
                self._roster = {replica: address for replica, _, address in peers if address}
                self._dial_all()
            case Settled():
                self.settled = True
            case Alarm():
                self.world.note("alarm", self.name, effect.reason)
                self.alarms.append(effect)

    def _read(self, read: Callable[[Any], PeerInput]) -> None:
        life = self._life

        def work() -> None:
            if life == self._life and self.up:
                with self.driver.store.read() as reader:
                    found = read(reader)
                self._tell(found)

        self.world.after(self.world.random.uniform(*READ_MS), work)
