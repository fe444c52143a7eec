"""What the rows of one stock item must add up to: an independent model in net integers.

Each replica's ledger is kept at every version, so the expected sums of any view follow from the versions that
are in it. Shares no code with the engine: no cells that only grow, no joins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

Known = Mapping[int, int]
"""Replica → how many of its changes are in a view."""


@dataclass(frozen=True)
class Page:
    """One replica's net numbers after some change."""

    goods_in: int = 0
    lost: int = 0
    over: int = 0
    limit: int = 0
    reserved: int = 0
    sold: int = 0
    owing: int = 0
    given: int = 0

    @property
    def own(self) -> int:
        """Rights that the replica made and did not use."""
        return self.goods_in + self.over - self.lost - self.reserved - self.sold - self.given


@dataclass
class Claim:
    """Units of one order: who decides on it, and the change that made him so."""

    units: int
    owner: int
    since: tuple[int, int]
    sold: bool = False


class Ledger:
    """All pages of all replicas."""

    def __init__(self, replicas: range) -> None:
        self.pages: dict[int, list[Page]] = {replica: [Page()] for replica in replicas}
        self.gifts: list[tuple[int, int, int, int]] = []
        """(from, at which of his changes, to, units)."""
        self.claims: list[Claim] = []

    def version(self, replica: int) -> int:
        return len(self.pages[replica]) - 1

    def page(self, replica: int) -> Page:
        return self.pages[replica][-1]

    def rights(self, replica: int, known: Known) -> int:
        """What `replica` may sell, as a view that holds `known` has it."""
        got = sum(units for giver, at, to, units in self.gifts if to == replica and at <= known.get(giver, 0))
        return self.pages[replica][known.get(replica, 0)].own + got

    def sums(self, known: Known) -> Page:
        """The sum of all pages in a view."""
        seen = [pages[known.get(replica, 0)] for replica, pages in self.pages.items()]
        return Page(*(sum(getattr(page, field) for page in seen) for field in Page.__dataclass_fields__))

    def owed_gifts(self, replica: int, known: Known, freed: int) -> dict[int, int]:
        """What `replica` sends whom of the units that it freed: as much as each owes in its view, less what
        is on the way there, for who owes uses up whatever it has."""
        gifts = {}
        for other in sorted(self.pages):
            owing = self.pages[other][known.get(other, 0)].owing
            sent = min(freed, max(0, owing - max(0, self.rights(other, known))))
            if sent and other != replica:
                gifts[other] = sent
                freed -= sent
        return gifts

    def turn(self, replica: int, known: Known, *, settles: bool = True, **changes: int) -> None:
        """Write the replica's next page; what is free pays goods that are owed, then overbooking."""
        page = self.page(replica)
        page = replace(page, **{name: getattr(page, name) + by for name, by in changes.items()})
        if settles:
            free = self.rights(replica, known) + page.own - self.page(replica).own
            paid = min(page.owing, free)
            cut = max(0, min(page.over - page.limit, free - paid))
            page = replace(page, owing=page.owing - paid, lost=page.lost + paid, over=page.over - cut)
        self.pages[replica].append(page)
