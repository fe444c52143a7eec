"""What the nodes say of themselves at one look, and how far each is behind the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

Vector = Mapping[str, int]
"""By node: the number of its events that are there."""


class RegionLook(NamedTuple):
    """What one region's node said."""

    links: Mapping[str, bool]
    """By the other regions: whether the connection stands."""
    vector: Vector
    digest: str
    """Of all of its state: equal digests, equal state. Empty while the node is too busy to say."""
    tokens: int
    """Units that it may still sell."""


class Look(NamedTuple):
    """All regions at about the same time."""

    regions: Mapping[str, RegionLook]

    @property
    def all_linked(self) -> bool:
        return all(all(look.links.values()) for look in self.regions.values())

    @property
    def everything(self) -> Vector:
        """What somebody has."""
        return union(look.vector for look in self.regions.values())

    @property
    def agreed(self) -> bool:
        """Whether all have the same events and, by their digests, the same state."""
        some = next(iter(self.regions.values()))
        return bool(some.digest) and all(
            (each.vector, each.digest) == (some.vector, some.digest) for each in self.regions.values()
        )

    def have(self, vector: Vector) -> bool:
        """Whether every region has at least this."""
        return all(not lag(look.vector, vector) for look in self.regions.values())


def union(vectors: Iterable[Vector]) -> Vector:
    """The larger number of each node."""
    highest: dict[str, int] = {}
    for vector in vectors:
        for node, sequence in vector.items():
            highest[node] = max(sequence, highest.get(node, 0))
    return highest


def lag(vector: Vector, everything: Vector) -> int:
    """Events that are somewhere and not here."""
    return sum(max(0, sequence - vector.get(node, 0)) for node, sequence in everything.items())
