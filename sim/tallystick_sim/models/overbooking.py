"""Taking overbooking back: two replicas, every interleaving of a few units, searched breadth first.

The rule: a replica that is told a lower limit takes rights back as they become free (`settle`), in a cell of
their own. The shorter rule, "lowering burns", books allowed units off as if goods had gone missing.

    python -m tallystick_sim.models.overbooking
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

GOODS_MAX = 2  # in the building at once
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


def steps(state: State, lowering_burns: bool) -> Iterator[tuple[str, State]]:
    """Everything that can happen next."""
    for i, row in enumerate(state.rows):
        free = rights(row, state.known[i])
        gone = {"goods": -1} if free else {"missing": 1}  # what is free is burned, else it is owed
        lower = {"limit": -1, "over": 0, **gone} if lowering_burns else {"limit": -1}
        options = [
            ("receive", state.physical < GOODS_MAX, {"goods": 1}, 1),
            ("shrink", state.physical > 0, gone, -1),
            ("mint", row.limit < LIMIT_MAX, {"over": 1, "limit": 1}, 0),
            ("lower", row.limit > 0, lower, 0),
            ("settle goods", free and row.missing, {"goods": -1, "missing": -1}, 0),
            ("settle overbooking", free and not row.missing and row.over > row.limit, {"over": -1}, 0),
            ("hold", free, {"held": 1}, 0),
            ("free", row.held, {"held": -1}, 0),
            ("sell", row.held, {"held": -1, "sold": 1}, 0),
            ("move", free and row.moved < MOVED_MAX, {"moved": 1}, 0),
        ]
        for name, possible, changes, physical in options:
            if possible:
                after = row._replace(**{cell: getattr(row, cell) + by for cell, by in changes.items()})
                rows = (after, state.rows[1]) if i == 0 else (state.rows[0], after)
                yield f"{name} at {i}", State(rows, state.known, state.physical + physical)
        if state.known[i] != state.rows[1 - i].moved:
            heard = state.rows[1 - i].moved
            known = (heard, state.known[1]) if i == 0 else (state.known[0], heard)
            yield f"deliver to {i}", state._replace(known=known)


def broken(state: State) -> str:
    """The first promise that does not hold; empty if all do."""
    rows, total = state.rows, Row(*map(sum, zip(*state.rows, strict=True)))
    for i, row in enumerate(rows):
        if rights(row, state.known[i]) < 0 or rights(row, rows[1 - i].moved) < 0:
            return f"rights of {i} are below 0"
        if row.over < row.limit:
            return f"{i} may not overbook what it was told it may"
    if total.held + total.sold > total.goods + total.over:
        return "oversold"
    if total.goods - total.missing != state.physical:
        return f"on hand − owed is {total.goods - total.missing}, the building holds {state.physical}"
    return ""


def search(*, lowering_burns: bool = False) -> tuple[int, str, list[str]]:
    """(states visited, the broken promise or nothing, the shortest story that breaks it)."""
    came: dict[State, tuple[str, State | None]] = {State(): ("", None)}
    waiting = deque([State()])
    while waiting:
        state = waiting.popleft()
        problem = broken(state)
        if problem:
            story, at = [], state
            while (origin := came[at][1]) is not None:
                story.append(came[at][0])
                at = origin
            return len(came), problem, story[::-1]
        for name, after in steps(state, lowering_burns):
            if after not in came:
                came[after] = (name, state)
                waiting.append(after)
    return len(came), "", []


if __name__ == "__main__":
    print("%d states visited; broken: %s" % search()[:2])
    print("lowering burns: %d states visited; %s, after %s" % search(lowering_burns=True))
