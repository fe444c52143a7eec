"""What may be seen of a node from outside; whoever watches a run overrides what it wants to see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tallystick.node.driver import Turn
from tallystick.store.port import Rows, Table

if TYPE_CHECKING:
    from tallystick_sim.node import Node


class Observer:
    """Sees nothing."""

    def committed(self, node: Node, writes: Mapping[Table, Rows]) -> None:
        """This has come to the node's disk."""

    def started(self, node: Node) -> None:
        """A process begins."""

    def settled(self, node: Node) -> None:
        """A new node has all that the others have."""

    def turned(self, node: Node, turn: Turn) -> None:
        """A turn is about to let this go."""

    def ended(self, node: Node) -> None:
        """A process is gone; the node's `calls` are those that will never hear."""

    def failed(self, node: Node, error: Exception) -> bool:
        """A process ended by an error of its own. Answers whether that was noted; else it is raised."""
        return False
