"""The connections of one process of a node, and whom it dials: the twin of `rpc.links`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tallystick.core.replication.messages import Message
from tallystick_sim.network import Pipe

if TYPE_CHECKING:
    from tallystick_sim.node import Node

REDIAL_MS = (50.0, 300.0)
PATIENCE_MS = 500.0
"""How long the node with the higher id leaves the dialling to its peer."""


@dataclass(slots=True)
class _Wire:
    pipe: Pipe
    peer: int = 0


class Wires:
    """Of one process: it ends with it."""

    def __init__(self, node: Node, random: Random) -> None:
        self._node = node
        self._random = random
        self._wires: dict[int, _Wire] = {}
        self._links = 0
        self._roster: dict[int, str] = {}
        self._dialling: set[str] = set()
        self._seed = ""
        self._hung_up: set[int] = set()
        self._over = False

    def __contains__(self, link: int) -> bool:
        return link in self._wires

    def add(self, pipe: Pipe) -> int:
        """A connection is there; answers the number of the link."""
        self._links += 1
        self._wires[self._links] = _Wire(pipe)
        return self._links

    def drop(self, link: int) -> bool:
        """A connection is gone; answers whether it was there."""
        return self._wires.pop(link, None) is not None

    def know(self, link: int, peer: int) -> None:
        """Who is at the other end."""
        if link in self._wires:
            self._wires[link].peer = peer

    def send(self, link: int, message: Message) -> None:
        """Send over a link, if it is still there."""
        if link in self._wires:
            self._node.network.send(self._wires[link].pipe, self._node, message)

    def close(self, link: int, *, final: bool) -> None:
        """End a link. `final`: don't dial that peer again."""
        if link in self._wires:
            if final:
                self._hung_up.add(self._wires[link].peer)
            self._node.network.close(self._wires[link].pipe, by=self._node)

    def end(self) -> None:
        """The process ends: all links do, and nobody is dialled any more."""
        self._over = True
        for wire in [*self._wires.values()]:
            self._node.network.close(wire.pipe, by=self._node)
        self._wires.clear()

    # ----------------------------------------------------------------------------------------------- dialling

    def seek(self, seed: str) -> None:
        """A new node: dial this member until it is let in."""
        self._seed = seed
        self._dial(seed)

    def meet(self, peers: Sequence[tuple[int, str, str]]) -> None:
        """These belong to the cluster."""
        self._roster = {replica: address for replica, _, address in peers if address}
        self.dial_all()

    def dial_all(self) -> None:
        """Dial whoever is not linked."""
        linked = self._linked()
        for peer, address in self._roster.items():
            if peer not in linked and peer not in self._hung_up:
                # Of two one dials, or both would at once; the other does when nobody did.
                self._dial(address, 0.0 if self._node.replica < peer else PATIENCE_MS)
        if self._seed and not self._node.settled and not linked - {0}:
            self._dial(self._seed)

    def _linked(self) -> set[int]:
        return {wire.peer for wire in self._wires.values()}

    def _dial(self, address: str, patience_ms: float = 0.0) -> None:
        if address in self._dialling:
            return
        self._dialling.add(address)

        def dial() -> None:
            if not self._over:
                self._dialling.discard(address)
                self._connect(address)

        self._node.world.after(patience_ms + self._random.uniform(*REDIAL_MS), dial)

    def _connect(self, address: str) -> None:
        node, linked = self._node, self._linked()
        if any(told == address and peer in linked for peer, told in self._roster.items()):
            return
        other = node.find(address)
        if other is None or not other.up or node.frozen or not node.network.connect(node, other):
            self.dial_all()
