"""Missing goods that another replica pays for: three replicas, every interleaving of a few units.

Replica 0 is sold out when counting finds goods missing: it owes them. The others free units later, and move
those to 0, which alone burns them and counts them as settled. How many they move is the fussy part: what 0
still owes, less the rights that it has in the mover's view. A replica that owes burns all that it has, so
such rights are units on their way to it, whoever sent them. Each sentence had a shorter rule:

    helpers burn     what they free themselves: two burn for one missing unit, and a good one can't be sold
    sends again      while the debt is seen, whatever is under way: one sends more than was missing
    counts for ever  what was ever sent against what is owed now: the second missing unit is never paid

Two helpers that do not know of each other may both send: at most what was missing, each. It is only rights,
which rebalancing brings back; no unit is sold or burned twice.

    python -m tallystick_sim.models.shrinkage
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tallystick_sim.models import searching

MISSING_MAX = 2  # units that counting finds missing, one by one
SOLD_AGAIN_MAX = 1  # units that 0 holds anew, out of what was meant for the missing ones
HELPERS = (1, 2)


class Row(NamedTuple):
    """What one replica wrote, as numbers that only grow."""

    received: int
    taken: int
    freed: int = 0
    burned: int = 0
    owed: int = 0
    settled: int = 0
    moved: tuple[int, int, int] = (0, 0, 0)


View = tuple[Row, Row, Row]


class State(NamedTuple):
    """What each replica knows of all rows, its own at its place, and what lies in the building."""

    views: tuple[View, View, View]
    physical: int


STOCK = (Row(1, 1), Row(2, 2), Row(1, 1))
FIRST = State((STOCK, STOCK, STOCK), sum(row.received for row in STOCK))


def rights(view: View, i: int) -> int:
    row = view[i]
    got = sum(other.moved[i] for other in view)
    return row.received - row.burned - row.taken + row.freed + got - sum(row.moved)


def debt(view: View) -> int:
    """Missing units, over all rows: under the rule only 0's has any."""
    return sum(row.owed - row.settled for row in view)


def put(view: View, i: int, row: Row) -> View:
    return (*view[:i], row, *view[i + 1 :])  # type: ignore[return-value]


def join(left: View, right: View) -> View:
    """Rows only grow, so the later copy of each is the larger."""
    return tuple(max(pair) for pair in zip(left, right, strict=True))  # type: ignore[return-value]


def settle(view: View) -> View:
    """0 burns what is free there against what it owes."""
    row = view[0]
    paid = min(row.owed - row.settled, rights(view, 0))
    return put(view, 0, row._replace(burned=row.burned + paid, settled=row.settled + paid))


def free(view: View, i: int, rule: str) -> View:
    """Replica i lets go of a unit, and pays with it what is missing."""
    view = put(view, i, view[i]._replace(freed=view[i].freed + 1))
    if i == 0:
        return settle(view)
    row, needed = view[i], debt(view)
    if rule == "helpers burn":
        paid = min(1, max(0, needed))
        return put(view, i, row._replace(burned=row.burned + paid, settled=row.settled + paid))
    if rule == "counts for ever":
        needed -= row.moved[0]
    elif rule != "sends again":
        needed -= max(0, rights(view, 0))
    sent = min(1, max(0, needed))
    return put(view, i, row._replace(moved=(row.moved[0] + sent, *row.moved[1:])))


def steps(state: State, rule: str) -> Iterator[tuple[str, State]]:
    """Everything that can happen next."""
    views, physical = state
    for i, view in enumerate(views):
        row = view[i]
        options = [("settle", settle(view))] if i == 0 else []
        if row.taken > row.freed:
            options.append(("free", free(view, i, rule)))
        if i == 0 and rights(view, 0) and row.taken < STOCK[0].taken + SOLD_AGAIN_MAX:
            options.append(("hold", put(view, i, row._replace(taken=row.taken + 1))))
        options += [(f"hear {j}", join(view, views[j])) for j in range(3) if j != i]
        for name, after in options:
            known = (*views[:i], after, *views[i + 1 :])
            yield f"{name} at {i}", State(known, physical)  # type: ignore[arg-type]
    if physical > FIRST.physical - MISSING_MAX:
        row = views[0][0]
        owing = rights(views[0], 0) == 0
        lost = row._replace(owed=row.owed + owing, burned=row.burned + (not owing))
        yield "shrink at 0", State((put(views[0], 0, lost), *views[1:]), physical - 1)


def broken(state: State, rule: str = "") -> str:
    """The first promise that does not hold; empty if all do."""
    newest: View = join(join(state.views[0], state.views[1]), state.views[2])
    for view in (*state.views, newest):
        if min(rights(view, i) for i in range(3)) < 0:
            return "rights are below 0"
    cells = zip(*(row[:6] for row in newest), strict=True)
    received, taken, freed, burned, owed, settled = map(sum, cells)
    if taken - freed + burned > received:
        return "oversold"
    left = received - burned - (owed - settled)
    if left != state.physical:
        return f"on hand − owed is {left}, the building holds {state.physical}"
    if settled > owed:
        return f"{settled} settled for {owed} owed"
    missing = FIRST.physical - state.physical
    for i in HELPERS:
        if newest[i].moved[0] > missing + newest[0].taken - STOCK[0].taken:
            return f"{i} sent {newest[i].moved[0]} for {missing} missing"
    return stuck(newest, state, rule)


def stuck(newest: View, state: State, rule: str) -> str:
    """Whether a debt that everybody knows of, with nothing under way, is not paid by what is freed next."""
    if debt(newest) <= 0 or rights(newest, 0) or state.views != (newest, newest, newest):
        return ""
    for i in HELPERS:
        if newest[i].taken > newest[i].freed and debt(settle(free(newest, i, rule))) >= debt(newest):
            return f"what {i} frees never pays what is missing"
    return ""


def search(rule: str = "") -> tuple[int, str, list[str]]:
    """(states visited, the broken promise or nothing, the shortest story that breaks it)."""
    return searching.search(FIRST, lambda state: steps(state, rule), lambda state: broken(state, rule))


RULES = ("", "helpers burn", "sends again", "counts for ever")

if __name__ == "__main__":
    for rule in RULES:
        visited, problem, story = search(rule)
        told = f"{problem}: {', '.join(story)}" if problem else "every promise holds"
        print(f"{rule or 'the rule'}: {visited} states visited, {told}")
