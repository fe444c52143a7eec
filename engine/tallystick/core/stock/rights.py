"""The bounded counter: who may sell how many units of one stock item.

Each replica writes one row, its own, of numbers that only grow; two copies of a row join by the larger
number cell by cell. Every quantity that a shop asks for is a sum over rows, so it needs no agreement.

Sources: O'Neil, *The Escrow Transactional Method* (1986); Balegas et al., *Extending Eventually Consistent
Cloud Databases for Enforcing Numeric Invariants* (2015), the bounded counter. Cumulative cells instead of
deltas that add: the latter need exactly-once delivery.

Invariant: rights(i) ≥ 0 for every replica i, whatever the partition, because only i lowers it.
"""

from __future__ import annotations

from operator import attrgetter, itemgetter
from typing import NamedTuple

from tallystick.core.codec import Record

Moved = tuple[tuple[int, int], ...]


class Row(
    Record,
    frozen=True,
    rename={
        "burned": "bu",
        "freed": "fr",
        "lowered": "lo",
        "minted": "mi",
        "owed": "ow",
        "received": "re",
        "restocked": "rs",
        "settled": "se",
        "shipped": "sh",
        "sold": "so",
        "taken": "ta",
        "unminted": "um",
        "unsold": "un",
        "moved": "mo",
    },
):
    """One replica's cumulative numbers for one item, in units.

    received / burned     goods that came in / were lost, or found to be missing
    minted / unminted     overbooking allowed / taken back
    lowered               overbooking to be taken back; what is not unminted yet waits for freed units
    taken / freed         units held for orders / let go again
    sold / unsold         held units that became sales / sales that were undone
    shipped / restocked   units that left / came back
    owed / settled        missing units that were sold already / made good since
    moved                 rights given to other replicas, by replica id
    """

    # In the order of their names on disk: what is sorted needs no sorting, and rows are encoded all the time.
    burned: int = 0
    freed: int = 0
    lowered: int = 0
    minted: int = 0
    owed: int = 0
    received: int = 0
    restocked: int = 0
    settled: int = 0
    shipped: int = 0
    sold: int = 0
    taken: int = 0
    unminted: int = 0
    unsold: int = 0
    moved: Moved = ()

    @property
    def balance(self) -> int:
        """Rights of the row alone: what the replica made and did not use, what it got from others aside."""
        own = self.received + self.minted - self.burned - self.unminted - self.taken + self.freed
        return own - sum(units for _, units in self.moved) if self.moved else own

    def moved_to(self, replica: int) -> int:
        """Units of rights ever given to `replica`."""
        for to, units in self.moved:
            if to == replica:
                return units
        return 0


EMPTY_ROW = Row()
cells_of = attrgetter(*Row.__struct_fields__[:-1])
"""A row's numbers as a tuple, in the order of its fields; `moved` aside."""
Rows = tuple[tuple[int, Row], ...]


class Stock(Record, frozen=True, rename={"rows": "r"}):
    """One stock item: the rows of all replicas that ever wrote one, sorted by replica id."""

    rows: Rows = ()

    def row(self, replica: int) -> Row:
        """The replica's row; the empty one if it never wrote any."""
        for owner, row in self.rows:
            if owner == replica:
                return row
        return EMPTY_ROW

    def with_row(self, replica: int, row: Row) -> Stock:
        """This item with the replica's row put in place."""
        rows = self.rows
        for place, (owner, _) in enumerate(rows):
            if owner == replica:
                return Stock((*rows[:place], (replica, row), *rows[place + 1 :]))
        return Stock(tuple(sorted([*rows, (replica, row)], key=itemgetter(0))))


EMPTY_STOCK = Stock()


def rights(stock: Stock, replica: int) -> int:
    """Units that `replica` may still sell or give away."""
    units = 0
    for owner, row in stock.rows:
        if owner == replica:
            units += row.balance
        elif row.moved:
            units += row.moved_to(replica)
    return units


def standing(stock: Stock, replica: int) -> tuple[int, Row]:
    """The replica's rights and its row, in one look."""
    units, own = 0, EMPTY_ROW
    for owner, row in stock.rows:
        if owner == replica:
            own = row
            units += row.balance
        elif row.moved:
            units += row.moved_to(replica)
    return units, own


class Totals(NamedTuple):
    """What a shop asks of one item, in units, over all replicas."""

    on_hand: int
    reserved: int
    sold: int
    available: int
    owed: int
    received: int
    burned: int
    overbooked: int
    shipped: int


def totals(stock: Stock) -> Totals:
    """Sum the rows into the words that shops use.

    Always: received + overbooked-in-force − burned = available + reserved + sold.
    """
    received = sum(row.received for _, row in stock.rows)
    burned = sum(row.burned for _, row in stock.rows)
    shipped = sum(row.shipped - row.restocked for _, row in stock.rows)
    sold = sum(row.sold - row.unsold for _, row in stock.rows)
    held = sum(row.taken - row.freed for _, row in stock.rows)
    overbooked = sum(row.minted - row.unminted for _, row in stock.rows)
    return Totals(
        on_hand=received - burned - shipped,
        reserved=held - sold,
        sold=sold,
        available=received + overbooked - burned - held,
        owed=sum(row.owed - row.settled for _, row in stock.rows),
        received=received,
        burned=burned,
        overbooked=overbooked,
        shipped=shipped,
    )


def rights_elsewhere(stock: Stock, replica: int) -> int:
    """Units that all others together may still sell, as far as these rows tell."""
    return max(0, totals(stock).available - rights(stock, replica))


def join_rows(left: Row, right: Row) -> Row:
    """Cell-wise maximum."""
    if left == right:
        return left
    theirs, moved = cells_of(right), left.moved
    if right.moved != moved:
        moved = _join_moved(moved, right.moved)
    most = tuple(map(max, cells_of(left), theirs))
    # Nearly always the right one is the left one, later: then there is nothing to make.
    if most == theirs and moved == right.moved:
        return right
    return Row(*most, moved)  # type: ignore[call-arg]  # how many cells there are, mypy can't know


def join_stock(left: Stock, right: Stock) -> Stock:
    """Join row by row."""
    rows = dict(left.rows)
    for replica, row in right.rows:
        mine = rows.get(replica)
        rows[replica] = row if mine is None else join_rows(mine, row)
    return Stock(tuple(sorted(rows.items(), key=itemgetter(0))))


def _join_moved(left: Moved, right: Moved) -> Moved:
    cells = dict(left)
    for replica, units in right:
        cells[replica] = max(units, cells.get(replica, 0))
    return tuple(sorted(cells.items()))
