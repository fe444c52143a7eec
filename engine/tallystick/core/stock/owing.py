"""Who owes, who pays: missing goods across replicas.

A replica that owes burns whatever it has, at once (`moves.settle`), so it has rights only while they are on
their way: moved to it by somebody, not burned by it yet. What it still needs is therefore what it owes less
its rights, both as this replica's rows tell, and no count of what was sent on that account is kept.

Several helpers that do not know of each other may each send that much: bounded by the debt for each of
them, and only rights, which the debtor sells or the rebalancer brings back. Nothing is burned twice, because
only the writer of the row that owes burns. `tallystick_sim.models.shrinkage` walks every interleaving.

Overbooking that waits to be taken back is no debt of goods: its own node alone works it off.
"""

from __future__ import annotations

from collections.abc import Callable

from tallystick.core.stock import moves
from tallystick.core.stock.rights import Stock, rights


def settled(stock: Stock, replica: int) -> Stock:
    """The item after what is free at `replica` has paid what is missing there; itself if nothing is."""
    row = stock.row(replica)
    after = moves.settle(row, rights(stock, replica))
    return stock if after is row else stock.with_row(replica, after)


def needed(stock: Stock, replica: int) -> int:
    """Units that `replica` owes and that nobody has sent yet, as far as these rows tell."""
    row = stock.row(replica)
    deficit = row.owed - row.settled
    return max(0, deficit - max(0, rights(stock, replica))) if deficit > 0 else 0


def pay_others(stock: Stock, replica: int, units: int, may_have: Callable[[int], bool]) -> Stock:
    """Move `units` that came free at `replica` to those who owe, as far as they need them.

    `may_have` says whether tokens may be sent to a replica at all.
    """
    for other, row in stock.rows:
        if units <= 0:
            break
        if other == replica or row.owed <= row.settled or not may_have(other):
            continue
        sent = min(units, needed(stock, other))
        if sent:
            stock = stock.with_row(replica, moves.move(stock.row(replica), other, sent))
            units -= sent
    return stock
