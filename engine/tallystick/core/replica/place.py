"""Placing: all lines of an order or none, against this replica's own rights, in one local step.

This is the hot path: it reads one id, a few stock rows, and encodes the order's record once, for the frame
and for the table alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tallystick.core.codec import encode
from tallystick.core.errors import IdReused, InsufficientStock, InvalidField, Shortage
from tallystick.core.limits import HOLD_MS_DEFAULT
from tallystick.core.order.facts import (
    Body,
    Claim,
    ConfirmWhen,
    IntentKind,
    LineQuantities,
    OrderRecord,
    Placed,
    ShortageMode,
    body_hash,
    decode_order,
)
from tallystick.core.order.others import OrderName, narrow
from tallystick.core.order.status import State, fold
from tallystick.core.order.validate import check_body, check_id, check_text
from tallystick.core.replica.commands import PlaceOrder
from tallystick.core.replica.deciding import Desk, finish_order
from tallystick.core.replica.keys import expiry_key, split_stock_key, stock_key
from tallystick.core.replica.outcome import EntryKind, Now, Outcome
from tallystick.core.replica.tokens import units_of
from tallystick.core.replica.view import View
from tallystick.core.stock.moves import hold, hold_and_sell
from tallystick.core.stock.rights import Row, Stock, rights_elsewhere, standing

if TYPE_CHECKING:
    from tallystick.core.replica.step import Replica

_AT_ONCE = (0, ConfirmWhen.ON_PLACING)
_ORDER = int(EntryKind.ORDER)

Taking = list[tuple[bytes, Stock, Row, int]]
"""(stock key, item, our row of it, units to take)."""


def place_order(replica: Replica, command: PlaceOrder, now: Now, view: View) -> Outcome:
    """Take the order's stock and record the claim. Raises Refused; then nothing was written."""
    order_id, body, actor, total = command
    check_id("order.id", order_id, replica.limits)
    costs = check_body(body, replica.limits)
    if actor:
        check_text("actor", actor, replica.limits.customer_bytes_max)
    if total is not None and total != costs:
        raise InvalidField("order.total", f"is {total}, but lines and adjustments add up to {costs}")
    key = order_id.encode()
    data = encode(body)
    known = view.order_bytes(key)
    record = decode_order(known) if known is not None else None
    if record is not None:
        if record.claims:
            return _placed_before(order_id, record, data)
        if _is_cancelled(record):
            return _place(replica, command, now, view, data, record, short=_all_lines(body))
    taking, short = _take(replica, body, view)
    me = replica.replica
    at_once = body.confirm_when in _AT_ONCE
    move = hold_and_sell if at_once else hold
    view.put_stocks({item: stock.with_row(me, move(row, units)) for item, stock, row, units in taking})
    if record is not None or not (at_once or body.confirm_when == ConfirmWhen.BY_HAND):
        return _place(replica, command, now, view, data, record or OrderRecord(), short)
    hold_until = 0 if at_once else now.ms + (body.hold_ms or HOLD_MS_DEFAULT)
    claim = Claim(me, now.seq, now.hlc, Placed(msgspec.Raw(data), actor, hold_until, short))
    placed = OrderRecord((claim,))
    payload = encode(placed)
    view.orders[key] = payload
    view.put_index(key, State.CONFIRMED if at_once else State.HELD, now.hlc, body.customer)
    if hold_until:
        view.expiry[expiry_key(hold_until, order_id)] = b""
    return Outcome(((_ORDER, order_id, msgspec.Raw(payload)),), order_id, placed)


def _place(
    replica: Replica,
    command: PlaceOrder,
    now: Now,
    view: View,
    data: bytes,
    record: OrderRecord,
    short: LineQuantities,
) -> Outcome:
    """Placing that has more to decide: wishes that came before it, or nothing to pay."""
    body = command.body
    at_once = body.confirm_when in _AT_ONCE
    hold_until = 0 if at_once else now.ms + (body.hold_ms or HOLD_MS_DEFAULT)
    claim = Claim(
        replica.replica, now.seq, now.hlc, Placed(msgspec.Raw(data), command.actor, hold_until, short)
    )
    delta = OrderRecord((claim,))
    return finish_order(command.order_id, record, delta, view, Desk(replica.replica, now))


def _placed_before(order_id: str, record: OrderRecord, data: bytes) -> Outcome:
    """The id is known: the same order is answered as it stands now, another is refused."""
    same = [claim.dot for claim in record.claims if bytes(claim.placed.body) == data]
    if same:
        counts = fold(record).counts if len(same) < len(record.claims) else None
        if counts is None or counts.dot in same:
            return Outcome((), order_id, record, replayed=True)
        # Another customer's order has the id: this one is shown under a name of its own.
        return Outcome((), str(OrderName(order_id, same[0])), narrow(record, body_hash(data)), replayed=True)
    raise IdReused(
        "ORDER_ID_REUSED",
        f"order {order_id} was placed with different contents; use a new id for a new order",
        {"order_id": order_id},
    )


def _take(replica: Replica, body: Body, view: View) -> tuple[Taking, LineQuantities]:
    """What to take for each item, and what each line will be short of. Raises InsufficientStock."""
    me, stock_of = replica.replica, view.stock_of
    taking: Taking = []
    shortages: list[Shortage] = []
    free: dict[bytes, int] = {}
    for key, units in units_of(body).items():
        stock = stock_of(key)
        here, row = standing(stock, me)
        if here < units:
            elsewhere = rights_elsewhere(stock, me)
            shortages.append(Shortage(*split_stock_key(key), units, max(0, here), elsewhere))
            free[key] = units = max(0, here)
        if units:
            taking.append((key, stock, row, units))
    if not shortages:
        return taking, ()
    if body.shortage_mode != ShortageMode.PARTIAL or not taking:
        raise InsufficientStock(tuple(shortages))
    return taking, _share_out(body, free)


def _share_out(body: Body, free: dict[bytes, int]) -> LineQuantities:
    """Serve lines in their order from what there is; answers what each is short of."""
    short: dict[str, int] = {}
    for line in body.lines:
        key = stock_key(line.sku, line.location)
        if line.untracked or key not in free:
            continue
        given = min(line.quantity, free[key])
        free[key] -= given
        if given < line.quantity:
            short[line.line_id] = line.quantity - given
    return tuple(sorted(short.items()))


def _is_cancelled(record: OrderRecord) -> bool:
    return any(intent.kind == IntentKind.CANCEL and not intent.lines for intent in record.intents)


def _all_lines(body: Body) -> LineQuantities:
    return tuple(sorted((line.line_id, line.quantity) for line in body.lines if not line.untracked))
