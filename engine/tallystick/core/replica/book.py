"""Bookings: goods received, corrections, overbooking. Each names its node and is refused elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tallystick.core.errors import IdReused, InvalidField, WrongNode
from tallystick.core.limits import CELL_MAX
from tallystick.core.members import node_name
from tallystick.core.order.validate import check_id, check_item, check_text
from tallystick.core.replica.commands import AdjustStock, ReceiveStock, SetOverbooking
from tallystick.core.replica.keys import order_key, stock_key
from tallystick.core.replica.outcome import Entry, EntryKind, Now, Outcome
from tallystick.core.replica.tokens import Move, change_row
from tallystick.core.replica.view import View
from tallystick.core.stock import moves
from tallystick.core.stock.receipts import Booking, BookingKind, BookingRecord, Items, join_bookings
from tallystick.core.stock.rights import Row, Stock, rights

if TYPE_CHECKING:
    from tallystick.core.replica.step import Replica


def receive_stock(replica: Replica, command: ReceiveStock, now: Now, view: View) -> Outcome:
    """Book goods in: they may be sold here at once."""
    _check(replica, command.booking_id, "receipt_id", command.node, command.actor)
    _check_items(replica, command.items, lowest=1)
    return _book(
        replica, command.booking_id, BookingKind.RECEIVE, command.items, "", command.actor, now, view
    )


def adjust_stock(replica: Replica, command: AdjustStock, now: Now, view: View) -> Outcome:
    """Correct stock. What is missing is burned as far as it is free here; the rest is owed."""
    _check(replica, command.booking_id, "adjustment_id", command.node, command.actor)
    check_text("reason", command.reason, replica.limits.text_bytes_max)
    _check_items(replica, command.items, lowest=-CELL_MAX)
    return _book(
        replica,
        command.booking_id,
        BookingKind.ADJUST,
        command.items,
        command.reason,
        command.actor,
        now,
        view,
    )


def set_overbooking(replica: Replica, command: SetOverbooking, now: Now, view: View) -> Outcome:
    """Set this node's share of overbooking."""
    _check(replica, command.booking_id, "request_id", command.node, command.actor)
    check_item("policy", command.sku, command.location, replica.limits)
    if not 0 <= command.limit <= CELL_MAX:
        raise InvalidField("overbooking_limit", f"must be 0 to {CELL_MAX}")
    items = ((command.sku, command.location, command.limit),)
    return _book(replica, command.booking_id, BookingKind.POLICY, items, "", command.actor, now, view)


def _book(
    replica: Replica,
    booking_id: str,
    kind: BookingKind,
    items: Items,
    reason: str,
    actor: str,
    now: Now,
    view: View,
) -> Outcome:
    booking = Booking(int(kind), replica.replica, now.seq, now.hlc, items, reason, actor)
    key = order_key(booking_id)
    known = view.bookings_of(key)
    keys = [stock_key(sku, location) for sku, location, _ in items]
    for other in known.bookings:
        if not other.says_same(booking):
            raise IdReused(
                "REQUEST_ID_REUSED",
                f"{booking_id} was booked before with something else; draw a new id",
                {"request_id": booking_id},
            )
        return Outcome((), stock=_stock(view, keys), replayed=True)
    # Each row is worked out before the first write: a full counter refuses the whole booking.
    planned = view.fork()
    for item, (_, _, units) in zip(keys, items, strict=True):
        change_row(planned, replica.replica, item, _move(kind, replica, planned, item), units)
    view.adopt(planned)
    delta = BookingRecord((booking,))
    view.put_booking(key, join_bookings(known, delta))
    entry: Entry = (int(EntryKind.BOOKING), booking_id, delta)
    return Outcome((entry,), stock=_stock(view, keys))


def _move(kind: BookingKind, replica: Replica, view: View, key: bytes) -> Move:
    if kind is BookingKind.POLICY:
        return moves.set_overbooking
    free = rights(view.stock_of(key), replica.replica)

    def change(row: Row, units: int) -> Row:
        return moves.receive(row, units) if units > 0 else moves.shrink(row, -units, free)

    return change


def _stock(view: View, keys: Iterable[bytes]) -> tuple[tuple[bytes, Stock], ...]:
    return tuple((key, view.stock_of(key)) for key in dict.fromkeys(keys))


def _check(replica: Replica, booking_id: str, field: str, node: str, actor: str) -> None:
    check_id(field, booking_id, replica.limits)
    check_text("actor", actor, replica.limits.customer_bytes_max)
    if node != node_name(replica.replica):
        raise WrongNode(node, node_name(replica.replica))


def _check_items(replica: Replica, items: Items, lowest: int) -> None:
    if not 0 < len(items) <= replica.limits.lines_max:
        raise InvalidField("items", f"must be 1 to {replica.limits.lines_max}, not {len(items)}")
    for sku, location, units in items:
        check_item("items", sku, location, replica.limits)
        if not units or not lowest <= units <= CELL_MAX:
            raise InvalidField(
                "items.quantity",
                f"must be 1 to {CELL_MAX}" if lowest == 1 else f"must be ±1 to ±{CELL_MAX}, and not 0",
            )
