"""Taking overbooking back: two replicas, every interleaving of a few units, searched breadth first.

A replica that is told a lower limit takes rights back as they become free, in a cell of their own; one that
is told a higher limit first calls off what still waits to be taken back. Both sentences had a shorter rule:

    lowering burns   books allowed units off as if goods were missing: on hand is not what is there
    raising mints    always new rights: they pay for missing goods, and overbooking passes every limit

    python -m tallystick_sim.models.overbooking
"""

from collections.abc import Iterator
from typing import NamedTuple

from tallystick_sim.models import searching

GOODS_MAX = 2  # in the building at once
ORDERS_MAX = 2  # units that one replica holds and has sold
MISSING_MAX = 1  # units that one replica owes at once
LIMIT_MAX = 1  # overbooking a replica may be told
MOVED_MAX = 1  # rights that a replica ever gives the other


class Row(NamedTuple):
    """What one replica wrote, as net sums: received − burned, minted − unminted, minted − lowered, …"""

    goods: int = 0
    over: int = 0
    limit: int = 0
    held: int = 0
    sold: int = 0
    missing: int = 0
    moved: int = 0


class State(NamedTuple):
    """Two rows, what each knows of the other's `moved`, and what lies in the building: the model's oracle."""

    rows: tuple[Row, Row] = (Row(), Row())
    known: tuple[int, int] = (0, 0)
    physical: int = 0


def rights(row: Row, got: int) -> int:
    return row.goods + row.over - row.held - row.sold - row.moved + got


def settle(row: Row, got: int) -> Row:
    """What is free pays at once: first goods that are owed, then overbooking above the limit."""
    owed = min(row.missing, rights(row, got))
    row = row._replace(goods=row.goods - owed, missing=row.missing - owed)
    return row._replace(over=row.over - min(row.over - row.limit, rights(row, got)))


def steps(state: State, rule: str) -> Iterator[tuple[str, State]]:
    """Everything that can happen next."""
    for i, (row, got) in enumerate(zip(state.rows, state.known, strict=True)):
        free = rights(row, got)
        lose = row._replace(goods=row.goods - 1) if free else row._replace(missing=row.missing + 1)
        told_less = (lose if rule == "lowering burns" else row)._replace(limit=row.limit - 1)
        minted = row.over == row.limit or rule == "raising mints"
        told_more = row._replace(over=row.over + minted, limit=row.limit + 1)
        options = [
            ("receive", state.physical < GOODS_MAX, row._replace(goods=row.goods + 1), 1),
            ("shrink", state.physical and (free or row.missing < MISSING_MAX), lose, -1),
            ("mint", row.limit < LIMIT_MAX, told_more, 0),
            ("lower", row.limit, told_less, 0),
            ("hold", free and row.held + row.sold < ORDERS_MAX, row._replace(held=row.held + 1), 0),
            ("free", row.held, row._replace(held=row.held - 1), 0),
            ("sell", row.held, row._replace(held=row.held - 1, sold=row.sold + 1), 0),
            ("move", free and row.moved < MOVED_MAX, row._replace(moved=row.moved + 1), 0),
            ("settle", True, row, 0),
        ]
        for name, possible, after, physical in options:
            if possible:
                # Placing is too hot to settle; whatever else a replica does, it settles in the same step.
                after = after if name == "hold" else settle(after, got)
                rows = (after, state.rows[1]) if i == 0 else (state.rows[0], after)
                yield f"{name} at {i}", State(rows, state.known, state.physical + physical)
        heard = state.rows[1 - i].moved
        known = (heard, state.known[1]) if i == 0 else (state.known[0], heard)
        yield f"deliver to {i}", state._replace(known=known)


def broken(state: State) -> str:
    """The first promise that does not hold; empty if all do."""
    rows, total = state.rows, Row(*map(sum, zip(*state.rows, strict=True)))
    for i, row in enumerate(rows):
        if rights(row, state.known[i]) < 0 or rights(row, rows[1 - i].moved) < 0:
            return f"rights of {i} are below 0"
        if not row.limit <= row.over <= LIMIT_MAX:
            return f"{i} overbooks {row.over}, is told {row.limit} and never was told over {LIMIT_MAX}"
    if total.held + total.sold > total.goods + total.over:
        return "oversold"
    if total.goods - total.missing != state.physical:
        return f"on hand − owed is {total.goods - total.missing}, the building holds {state.physical}"
    return ""


def search(rule: str = "") -> tuple[int, str, list[str]]:
    """(states visited, the broken promise or nothing, the shortest story that breaks it)."""
    return searching.search(State(), lambda state: steps(state, rule), broken)


if __name__ == "__main__":
    for rule in ("", "lowering burns", "raising mints"):
        visited, problem, story = search(rule)
        told = f"{problem}: {', '.join(story)}" if problem else "every promise holds"
        print(f"{rule or 'the rule'}: {visited} states visited, {told}")
