"""Which region takes which invoice, and when one is cut off. Pure.

A country belongs to a region, by a hash of its name. Nine of ten orders of the data set are from one country,
the United Kingdom: its invoices are shared over all regions, each by a hash of its number.

A cancellation is an invoice like any other, so it comes in where its number or country belongs, which may be
another region than that of the order that it takes back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

SHARED = frozenset({"United Kingdom", "Unspecified", ""})
"""Countries whose invoices are spread one by one: too many for one region, or of nowhere."""


def region_of(country: str, invoice: str, regions: Sequence[str]) -> str:
    """The region that takes an invoice; for the same regions always the same."""
    name = invoice if country in SHARED else country
    return regions[int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % len(regions)]


class Sides(NamedTuple):
    """A cut through the regions: one is alone."""

    alone: str
    rest: frozenset[str]

    @classmethod
    def cutting_off_last(cls, regions: Sequence[str]) -> Sides:
        return cls(regions[-1], frozenset(regions[:-1]))

    @property
    def groups(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset({self.alone}), self.rest

    def part(self, one: str, other: str) -> bool:
        """Whether the cut lies between the two."""
        return (one == self.alone) != (other == self.alone)


def middle_third(count: int) -> tuple[int, int]:
    """Of so many orders: how many are sent before the cut, and how many before it heals."""
    return count // 3, count - count // 3
