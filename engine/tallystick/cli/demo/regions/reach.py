"""Who could reach whom, and what lay where: whether a refusal was right. Pure.

A refusal is *false* if the regions that its region could reach had all of what was asked for. To know that,
the demo looks at all shelves again and again. Stock never grows during a sale, and nothing crosses a cut, so
what a side still has at a look, it had at every moment of that cut before. And since units need `delay_s` to
move between two regions, a look that took no longer never sees one of them in both. So what is called false
is false; a refusal whose units were sold before the next look is missed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Reach(NamedTuple):
    """Which regions reach each other. `epoch` counts the changes."""

    epoch: int
    sides: tuple[frozenset[str], ...]
    """Empty while nobody can tell: a cut has healed, and connections are being made."""

    def change(self, *sides: frozenset[str]) -> Reach:
        return Reach(self.epoch + 1, sides)

    def side_of(self, region: str) -> frozenset[str]:
        return next((side for side in self.sides if region in side), frozenset())


class Refusal(NamedTuple):
    """An order that was refused at a moment: to whom, and what it had asked for (units by sku)."""

    at: float
    epoch: int
    side: frozenset[str]
    wanted: Mapping[str, int]


class Shelves(NamedTuple):
    """A look at what every region may sell, by region and sku, from `began` to `ended`, in one epoch."""

    began: float
    ended: float
    epoch: int
    units: Mapping[str, Mapping[str, int]]


def false_refusals(
    refusals: Iterable[Refusal], looks: Sequence[Shelves], delay_s: float
) -> tuple[Refusal, ...]:
    """The refusals that were surely wrong. `looks` in the order of time."""
    quick = [look for look in looks if look.ended - look.began <= delay_s]
    moments = [look.began for look in quick]

    def is_false(refusal: Refusal) -> bool:
        place = bisect_left(moments, refusal.at)
        if place == len(quick) or quick[place].epoch != refusal.epoch:
            return False
        units = quick[place].units
        return all(
            sum(units[region].get(sku, 0) for region in refusal.side) >= quantity
            for sku, quantity in refusal.wanted.items()
        )

    return tuple(refusal for refusal in refusals if is_false(refusal))
