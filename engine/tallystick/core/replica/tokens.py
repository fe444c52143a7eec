"""What decisions do to stock: one table from (decision, state before) to a move of tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tallystick.core.order.facts import Body, Decision, DecisionKind, LineQuantities
from tallystick.core.order.status import ClaimStatus, State
from tallystick.core.replica.keys import stock_key
from tallystick.core.replica.view import View
from tallystick.core.stock import moves
from tallystick.core.stock.rights import Row, rights

Move = Callable[[Row, int], Row]

TOKEN_MOVES: Mapping[tuple[DecisionKind, State], Move] = {
    (DecisionKind.CONFIRM, State.HELD): moves.sell,
    (DecisionKind.REDUCE, State.HELD): moves.free,
    (DecisionKind.REDUCE, State.CONFIRMED): moves.free_sold,
    (DecisionKind.CANCEL, State.HELD): moves.free,
    (DecisionKind.CANCEL, State.CONFIRMED): moves.free_sold,
    (DecisionKind.EXPIRE, State.HELD): moves.free,
    (DecisionKind.HOLD_AGAIN, State.EXPIRED): moves.hold,
    (DecisionKind.DUPLICATE, State.HELD): moves.free,
    (DecisionKind.DUPLICATE, State.CONFIRMED): moves.free_sold,
}
"""Decisions that are not here move no tokens; nor does a DUPLICATE that keeps its own claim."""


def demand(body: Body, units: Mapping[str, int]) -> dict[bytes, int]:
    """Units by stock key, over all tracked lines: two lines of one item count together."""
    wanted: dict[bytes, int] = {}
    for line in body.lines:
        count = units.get(line.line_id, 0)
        if count and not line.untracked:
            key = stock_key(line.sku, line.location)
            wanted[key] = wanted.get(key, 0) + count
    return wanted


def live_lines(status: ClaimStatus) -> dict[str, int]:
    """Units of each line that still stand."""
    return {line.line_id: status.live_units(line.line_id, line.quantity) for line in status.body.lines}


def move_tokens(view: View, replica: int, status: ClaimStatus, decision: Decision) -> None:
    """Do to the replica's rows what `decision` means for a claim that was as `status` says."""
    move = TOKEN_MOVES.get((DecisionKind(decision.kind), status.state))
    if move is None or decision.keep == str(status.dot):
        return
    units = _units(decision.lines) if decision.kind == DecisionKind.REDUCE else live_lines(status)
    for key, count in demand(status.body, units).items():
        change_row(view, replica, key, move, count)


def change_row(view: View, replica: int, key: bytes, move: Move, units: int) -> None:
    """Apply `move` to the replica's row of an item; what became free pays first what is missing."""
    stock = view.stock_of(key)
    changed = stock.with_row(replica, move(stock.row(replica), units))
    row = changed.row(replica)
    settled = moves.settle(row, rights(changed, replica))
    view.put_stock(key, changed if settled is row else changed.with_row(replica, settled))


def _units(lines: LineQuantities) -> dict[str, int]:
    return dict(lines)
