"""One frame of the live table: all that it shows, gathered from books and looks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tallystick.cli.demo.regions.books import RegionBooks
from tallystick.cli.demo.regions.looks import Look, RegionLook, lag
from tallystick.cli.demo.regions.story import RegionalStory
from tallystick.cli.demo.screen import Shelf, shelves_of
from tallystick.cli.demo.story import units_of


class RegionRow(NamedTuple):
    """A region at the moment. What its node has not said yet is None."""

    region: str
    accepted: int
    refused: int
    orders_per_s: float
    p99_ms: float | None
    links: Mapping[str, bool]
    tokens: int | None
    runway_s: float | None
    """How long the tokens last if units leave as they do now."""
    lag: int | None
    """Events that are in another region and not here."""

    @property
    def is_alone(self) -> bool:
        return bool(self.links) and not any(self.links.values())


class Snapshot(NamedTuple):
    """The sale at the moment. `at` and `seconds`: how far it is, and how long it lasts."""

    words: str
    at: float
    seconds: float
    is_cut: bool
    regions: tuple[RegionRow, ...]
    shelves: tuple[Shelf, ...]


def take_snapshot(
    story: RegionalStory,
    books: Mapping[str, RegionBooks],
    look: Look | None,
    *,
    words: str,
    at: float,
    seconds: float,
    is_cut: bool,
) -> Snapshot:
    """`look`: the last one; None before the first."""
    said: Mapping[str, RegionLook] = look.regions if look else {}
    everything = look.everything if look else {}
    rows = tuple(
        _row(
            books[region],
            at,
            story.regions,
            said.get(region),
            lag(said[region].vector, everything) if said else None,
        )
        for region in story.regions
    )
    sold = units_of(order for each in books.values() for order in each.acknowledged.values())
    return Snapshot(words, min(at, seconds), seconds, is_cut, rows, tuple(shelves_of(story.articles, sold)))


def _row(
    books: RegionBooks, at: float, regions: Sequence[str], said: RegionLook | None, behind: int | None
) -> RegionRow:
    tokens = said.tokens if said else None
    pace = books.units_per_s(at)
    return RegionRow(
        books.region,
        len(books.acknowledged),
        len(books.refused),
        books.orders_per_s(at),
        books.p99_ms_now(at),
        {peer: said.links[peer] for peer in regions if peer in said.links} if said else {},
        tokens,
        tokens / pace if tokens is not None and pace else None,
        behind,
    )
