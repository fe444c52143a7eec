"""A simulated cluster: nodes that found it, join it, fail and come back, all in one world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tallystick.core.invitations import invite
from tallystick.core.replica.commands import Command, Found
from tallystick.store.memory import Fault, MemoryBackend
from tallystick_sim.calls import Call, Wishes
from tallystick_sim.network import CALM, Network, Weather, nowhere
from tallystick_sim.node import CLUSTER, Node, Watch, ignore
from tallystick_sim.world import STARTED_MS, World

REGIONS = ("eu", "us", "ap", "sa", "af")
SECRET = bytes(range(32))
QUIET_MS = 60_000.0
"""What never takes so long, once all is healed."""


class Cluster:
    """All nodes, by name from 0. The founder is 0. `prepare` is shown each node before it starts."""

    def __init__(
        self,
        seed: int,
        weather: Weather = CALM,
        *,
        watch: Watch = ignore,
        swapped: bool = False,
        distance_ms: Callable[[int, int], float] = nowhere,
        prepare: Callable[[Node], None] = lambda _: None,
    ) -> None:
        self.world = World(seed)
        self.network = Network(self.world, weather, distance_ms)
        self.nodes: list[Node] = []
        self._watch = watch
        self._swapped = swapped
        """Whether ids fall with names: who dials whom, and who gives way to whom, is by id."""
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
        up = [node for node in self.nodes if node.up]
        return all(
            (node.settled and other is node) or node.driver.peering.replicator.link_to(other.replica)
            for node in up
            for other in up
        )

    def _add(self) -> Node:
        name = len(self.nodes)
        replica = 1_000 - name if self._swapped else 100 + name
        node = Node(self.world, self.network, name, replica, REGIONS[name % len(REGIONS)], self._at)
        node.watch = self._watch
        self._prepare(node)
        self.nodes.append(node)
        return node

    def _at(self, address: str) -> Node | None:
        return next((node for node in self.nodes if node.address == address and node.up), None)

    # ----------------------------------------------------------------------------------------------- faults

    def crash(self, node: Node, down_ms: float, *, kept: bool | None = None) -> None:
        """Crash a node and start it again: at once, or at its next commit (`kept` says whether that is on
        disk)."""
        if kept is None:
            node.crash()
        else:
            node.backend.inject(Fault.POWER, kept=kept)
        self.world.after(down_ms, lambda: self._restart(node))

    def _restart(self, node: Node) -> None:
        if node.up:
            # The commit that was to fail never came: let it be now.
            node.crash()
        node.start()

    def heal(self) -> None:
        """End all that is wrong; who is down starts."""
        self.network.heal()
        self.network.weather = CALM
        for node in self.nodes:
            if not node.up:
                node.start()

    def restore(self, node: Node, disk: MemoryBackend) -> None:
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
        up = [node for node in self.nodes if node.up]
        vectors = [node.driver.vector for node in up]
        waiting = any(node.calls or node.driver.waiting or node.driver.busy for node in up)
        return self.is_linked() and not waiting and same(vectors)

    def run_until_quiet(self) -> None:
        """Wait until nothing is left to be said."""
        assert self.world.run_until(self.is_quiet, QUIET_MS), [node.driver.vector for node in self.nodes]


def same(things: Sequence[object] | Iterable[object]) -> bool:
    """Whether all of them are equal."""
    first, *rest = things
    return all(each == first for each in rest)
