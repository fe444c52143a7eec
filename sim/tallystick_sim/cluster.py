"""A simulated cluster: nodes that found it, join it, fail and come back, all in one world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import dist

from tallystick.core.invitations import invite
from tallystick.core.replica.commands import Command, Found
from tallystick.store.memory import Fault
from tallystick_sim.calls import Call, Wishes
from tallystick_sim.disk import Disk
from tallystick_sim.network import CALM, Network, Weather
from tallystick_sim.node import CLUSTER, Node
from tallystick_sim.observing import Observer
from tallystick_sim.world import STARTED_MS, Listener, World

REGIONS = ("eu", "us", "ap", "sa", "af")
SECRET = bytes(range(32))
QUIET_MS = 60_000.0
"""What never takes so long, once all is healed."""


PLACES_MS = {"eu": (0, 0), "us": (40, 0), "ap": (75, 75), "sa": (60, -70), "af": (-10, -60)}
"""The map: how long light takes, one way, is the distance between two places."""


class Cluster:
    """All nodes, by name from 0. The founder is 0. `stretch` scales the map: 0 is one room."""

    def __init__(
        self,
        seed: int,
        weather: Weather = CALM,
        *,
        observer: Observer | None = None,
        swapped: bool = False,
        stretch: float = 0.0,
        distance_ms: Callable[[int, int], float] | None = None,
        prepare: Callable[[Node], None] = lambda _: None,
        listener: Listener | None = None,
    ) -> None:
        self.world = World(seed)
        self.world.listener = listener
        self.network = Network(self.world, weather, distance_ms or self._distance_ms)
        self.nodes: list[Node] = []
        self.sick: dict[int, str] = {}
        """Nodes, by name, that something happened to which they can't recover from, and what."""
        self._observer = observer or Observer()
        self._swapped = swapped
        """Whether ids fall with names: who dials whom, and who gives way to whom, is by id."""
        self._stretch = stretch
        self._prepare = prepare
        founder = self._add()
        founder.create()
        founder.start()
        founder.ask(Found(founder.region, founder.address, SECRET))
        self.world.run(10)

    def join(self, count: int = 1, seed: int = 0) -> list[Node]:
        """New nodes ask a member to let them in; see `settle`."""
        joined = []
        for _ in range(count):
            node = self._add()
            expires_s = STARTED_MS // 1000 + 1_000_000
            code = invite(SECRET, CLUSTER, f"nonce-{node.name}", expires_s)
            node.create(str(code), self.nodes[seed].address)
            node.start()
            joined.append(node)
        return joined

    def grow(self, count: int) -> None:
        """Have `count` nodes, all members."""
        self.join(count - len(self.nodes))
        self.settle()

    def settle(self) -> None:
        """Wait until all that are up are members, and linked to each other."""
        assert self.world.run_until(self.is_linked, QUIET_MS), "the nodes do not find each other"

    def is_linked(self) -> bool:
        """Whether every node that is up is a member and has a link to every other."""
        up = self.healthy()
        return all(
            (node.settled and other is node) or node.driver.peering.replicator.link_to(other.replica)
            for node in up
            for other in up
        )

    def healthy(self) -> list[Node]:
        """Nodes that are up and well. Who was to be let in by a sick one may wait for ever."""
        well = [node for node in self.nodes if node.up and node.name not in self.sick]
        return [node for node in well if node.settled or not self.sick]

    def _add(self) -> Node:
        name = len(self.nodes)
        return self._put(Node(self.world, self.network, name, self.replica_of(name), _region(name), self._at))

    def _put(self, node: Node) -> Node:
        node.observer = self._observer
        self.nodes.append(node)
        self._prepare(node)
        return node

    def replica_of(self, name: int) -> int:
        """The id of a node."""
        return replica_of(name, swapped=self._swapped)

    def _distance_ms(self, left: int, right: int) -> float:
        return self._stretch and self._stretch * dist(PLACES_MS[_region(left)], PLACES_MS[_region(right)])

    def _at(self, address: str) -> Node | None:
        return next((node for node in self.nodes if node.address == address and node.up), None)

    # ----------------------------------------------------------------------------------------------- faults

    def crash(
        self, node: Node, down_ms: float, *, kept: bool | None = None, how: Fault = Fault.POWER
    ) -> None:
        """Crash a node and start it again: at once, or at its next commit (`kept` says whether that is on
        disk)."""
        if kept is None:
            node.crash()
        else:
            node.backend.inject(how, kept=kept)
        self.start_later(node, down_ms, again=True)

    def start_later(self, node: Node, down_ms: float, *, again: bool = False) -> None:
        """Start a node that is down. `again`: one that is up too, since the commit that was to fail never
        came: let it be now."""
        disk = node.backend

        def start() -> None:
            if again and node.up and disk is node.backend:
                node.crash()
            if not node.up:
                node.start()

        self.world.after(down_ms, start)

    def fall_ill(self, node: Node, why: str) -> None:
        """Something happened to a node that it can't recover from: let it be found out, and stop."""
        self.sick[node.name] = why
        self.world.note("sick", node.name, why)

    def twin(self, node: Node) -> Node:
        """Start a second process from a copy of a node's disk, somewhere else."""
        name = len(self.nodes)
        other = Node(
            self.world, self.network, name, node.replica, node.region, self._at, node.backend.clone()
        )
        self._put(other)
        self.sick[name] = "clone"
        other.start()
        return other

    def heal(self) -> None:
        """End all that is wrong; who is down starts."""
        self.network.heal()
        self.network.weather = CALM
        for node in self.nodes:
            node.backend.empty()
            node.backend.slow_ms = 0.0
            if not node.up:
                node.start()
            elif node.frozen:
                node.thaw()

    def restore(self, node: Node, disk: Disk) -> None:
        """Start a node on another disk: an old copy of its own."""
        node.crash()
        node.backend = disk
        node.start()

    # ---------------------------------------------------------------------------------------------- callers

    def do(self, name: int, *commands: Command, wishes: Wishes = Wishes()) -> Call:  # noqa: B008 - immutable
        """Ask a node, and wait for the answer."""
        call = self.nodes[name].ask(*commands, wishes=wishes)
        assert self.world.run_until(lambda: call.done, QUIET_MS, 5), f"no answer: {commands}"
        return call

    def is_quiet(self) -> bool:
        """Whether all nodes that are up have the same on disk, and nobody waits for an answer."""
        up = self.healthy()
        vectors = [node.driver.vector for node in up]
        waiting = any(node.calls or node.driver.waiting or node.driver.busy for node in up)
        return self.is_linked() and not waiting and same(vectors)

    def run_until_quiet(self) -> None:
        """Wait until nothing is left to be said."""
        assert self.world.run_until(self.is_quiet, QUIET_MS), [node.driver.vector for node in self.nodes]


def replica_of(name: int, *, swapped: bool) -> int:
    """The id of the node of that name."""
    return 1_000 - name if swapped else 100 + name


def _region(name: int) -> str:
    return REGIONS[name % len(REGIONS)]


def same(things: Sequence[object] | Iterable[object]) -> bool:
    """Whether all of them are equal."""
    first, *rest = things
    return all(each == first for each in rest)
