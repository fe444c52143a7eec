"""What decisions do to stock: one table from (decision, state before) to a move of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tallystick.core.clock import REPLICA_ID_MAX
from tallystick.core.members import MemberState
from tallystick.core.order.facts import Body, Decision, DecisionKind, Line, LineQuantities
from tallystick.core.order.status import ClaimStatus, State
from tallystick.core.replica.keys import member_key, stock_key
from tallystick.core.replica.view import View
from tallystick.core.stock import moves
from tallystick.core.stock.owing import pay_others, settled
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
    return _by_key((line, units.get(line.line_id, 0)) for line in body.lines)


def units_of(body: Body) -> dict[bytes, int]:
    """What a whole order takes, by stock key."""
    return _by_key((line, line.quantity) for line in body.lines)


def _by_key(counts: Iterable[tuple[Line, int]]) -> dict[bytes, int]:
    units: dict[bytes, int] = {}
    for line, count in counts:
        if count and not line.untracked:
            key = stock_key(line.sku, line.location)
            units[key] = units.get(key, 0) + count
    return units


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
    """Apply `move` to the replica's row of an item. What became free pays first what is missing here; units
    that were freed then pay what is missing elsewhere."""
    stock = view.stock_of(key)
    row = stock.row(replica)
    after = move(row, units)
    changed = settled(stock.with_row(replica, after), replica)
    freed = after.freed - row.freed
    if freed and len(changed.rows) > 1:
        freed = min(freed, rights(changed, replica))
        changed = pay_others(changed, replica, freed, lambda other: may_have_tokens(view, other))
    view.put_stock(key, changed)


def spare_tokens(view: View, replica: int, key: bytes) -> int:
    """Units that `replica` may give away: its rights after they have paid what is missing there."""
    return rights(settled(view.stock_of(key), replica), replica)


def send_tokens(view: View, replica: int, key: bytes, to: int, units: int) -> int:
    """Move up to `units` tokens to the other replica `to`; answers how many went."""
    stock = settled(view.stock_of(key), replica)
    sent = min(units, rights(stock, replica))
    if sent <= 0:
        return 0
    view.put_stock(key, stock.with_row(replica, moves.move(stock.row(replica), to, sent)))
    return sent


def may_have_tokens(view: View, replica: int) -> bool:
    """Whether tokens may be sent to `replica`: only active members get any."""
    if not 0 < replica <= REPLICA_ID_MAX:
        return False
    member = view.member(member_key(replica))
    return member is not None and member.state == MemberState.ACTIVE


def _units(lines: LineQuantities) -> dict[str, int]:
    return dict(lines)
