"""Bookings: goods received, corrections, overbooking, tokens moved by hand.

Each names its node and is refused elsewhere. Its id is kept: what was booked is never booked again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from tallystick.core.errors import IdReused, InsufficientStock, InvalidField, Shortage, WrongNode
from tallystick.core.limits import CELL_MAX
from tallystick.core.members import node_name
from tallystick.core.order.validate import check_id, check_item, check_text
from tallystick.core.replica.commands import AdjustStock, MoveTokens, ReceiveStock, SetOverbooking
from tallystick.core.replica.keys import order_key, split_stock_key, stock_key
from tallystick.core.replica.outcome import Entry, EntryKind, Moved, Now, Outcome
from tallystick.core.replica.tokens import change_row, may_have_tokens, send_tokens, spare_tokens
from tallystick.core.replica.view import View
from tallystick.core.stock import moves
from tallystick.core.stock.rebalance import share
from tallystick.core.stock.receipts import Booking, BookingKind, BookingRecord, Items, Split, join_bookings
from tallystick.core.stock.rights import Stock, rights, rights_elsewhere

if TYPE_CHECKING:
    from tallystick.core.replica.step import Replica


WEIGHT_MAX = 1_000_000

Work = Callable[[View], Moved]
"""Does in a fork of the view what a booking says; answers the tokens that went to others. Raises Refused."""


def receive_stock(replica: Replica, command: ReceiveStock, now: Now, view: View) -> Outcome:
    """Book goods in: they may be sold here at once, or at those whom their tokens are shared with."""
    _check(replica, command.booking_id, "receipt_id", command.node, command.actor)
    _check_items(replica, command.items, lowest=1)
    split = tuple(sorted(command.split))
    _check_split(split)
    booking = _booking(replica, now, BookingKind.RECEIVE, command.items, command.actor, split=split)

    def work(planned: View) -> Moved:
        for member, _ in split:
            _check_receiver(replica, planned, "split", member)
        return _receive(replica, planned, command.items, dict(split))

    return _book(command.booking_id, booking, work, view)


def adjust_stock(replica: Replica, command: AdjustStock, now: Now, view: View) -> Outcome:
    """Correct stock. What is missing is burned as far as it is free here; the rest is owed."""
    _check(replica, command.booking_id, "adjustment_id", command.node, command.actor)
    check_text("reason", command.reason, replica.limits.text_bytes_max)
    _check_items(replica, command.items, lowest=-CELL_MAX)
    booking = _booking(replica, now, BookingKind.ADJUST, command.items, command.actor, reason=command.reason)

    def work(planned: View) -> Moved:
        for sku, location, units in command.items:
            key = stock_key(sku, location)
            if units > 0:
                change_row(planned, replica.replica, key, moves.receive, units)
            else:
                free = rights(planned.stock_of(key), replica.replica)
                change_row(planned, replica.replica, key, partial(moves.shrink, free=free), -units)
        return ()

    return _book(command.booking_id, booking, work, view)


def set_overbooking(replica: Replica, command: SetOverbooking, now: Now, view: View) -> Outcome:
    """Set this node's share of overbooking."""
    _check(replica, command.booking_id, "request_id", command.node, command.actor)
    check_item("policy", command.sku, command.location, replica.limits)
    if not 0 <= command.limit <= CELL_MAX:
        raise InvalidField("overbooking_limit", f"must be 0 to {CELL_MAX}")
    items = ((command.sku, command.location, command.limit),)
    booking = _booking(replica, now, BookingKind.POLICY, items, command.actor)

    def work(planned: View) -> Moved:
        key = stock_key(command.sku, command.location)
        change_row(planned, replica.replica, key, moves.set_overbooking, command.limit)
        return ()

    return _book(command.booking_id, booking, work, view)


def move_tokens(replica: Replica, command: MoveTokens, now: Now, view: View) -> Outcome:
    """Send tokens to another member because an operator says so: all of them or none."""
    _check(replica, command.booking_id, "move_id", command.node, command.actor)
    _check_items(replica, command.items, lowest=1)
    if command.to == replica.replica:
        raise InvalidField("to", f"is this node itself, {node_name(replica.replica)}: its tokens are here")
    booking = _booking(replica, now, BookingKind.MOVE, command.items, command.actor, to=command.to)

    def work(planned: View) -> Moved:
        _check_receiver(replica, planned, "to", command.to)
        wanted = Counter[bytes]()
        for sku, location, units in command.items:
            wanted[stock_key(sku, location)] += units
        _check_spare(replica, planned, wanted)
        for key, units in wanted.items():
            send_tokens(planned, replica.replica, key, command.to, units)
        return tuple((key, command.to, units) for key, units in wanted.items())

    return _book(command.booking_id, booking, work, view)


def _booking(
    replica: Replica,
    now: Now,
    kind: BookingKind,
    items: Items,
    actor: str,
    *,
    reason: str = "",
    to: int = 0,
    split: Split = (),
) -> Booking:
    return Booking(int(kind), replica.replica, now.seq, now.hlc, items, reason, actor, to, split)


def _book(booking_id: str, booking: Booking, work: Work, view: View) -> Outcome:
    """Do the work of a booking, once for its id."""
    key = order_key(booking_id)
    known = view.bookings_of(key)
    keys = [stock_key(sku, location) for sku, location, _ in booking.items]
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
    moved = work(planned)
    view.adopt(planned)
    delta = BookingRecord((booking,))
    view.put_booking(key, join_bookings(known, delta))
    entry: Entry = (int(EntryKind.BOOKING), booking_id, delta)
    return Outcome((entry,), stock=_stock(view, keys), moved=moved)


def _receive(replica: Replica, view: View, items: Items, split: Mapping[int, int]) -> Moved:
    """Book goods in; what is left of them when the debts here are paid goes by `split`."""
    me = replica.replica
    moved = Counter[tuple[bytes, int]]()
    for sku, location, units in items:
        key = stock_key(sku, location)
        before = rights(view.stock_of(key), me)
        change_row(view, me, key, moves.receive, units)
        left = max(0, rights(view.stock_of(key), me) - before)
        for member, count in share(left, split).items():
            if member != me and count:
                moved[key, member] += send_tokens(view, me, key, member, count)
    return tuple((key, to, units) for (key, to), units in moved.items())


def _stock(view: View, keys: Iterable[bytes]) -> tuple[tuple[bytes, Stock], ...]:
    return tuple((key, view.stock_of(key)) for key in dict.fromkeys(keys))


def _check(replica: Replica, booking_id: str, field: str, node: str, actor: str) -> None:
    check_id(field, booking_id, replica.limits)
    check_text("actor", actor, replica.limits.customer_bytes_max)
    if node != node_name(replica.replica):
        raise WrongNode(node, node_name(replica.replica))


def _check_split(split: Split) -> None:
    members = {member for member, _ in split}
    if len(members) < len(split):
        raise InvalidField("split", "names a member twice")
    if any(not 1 <= weight <= WEIGHT_MAX for _, weight in split):
        raise InvalidField("split.weight", f"must be 1 to {WEIGHT_MAX}")


def _check_receiver(replica: Replica, view: View, field: str, member: int) -> None:
    if member != replica.replica and not may_have_tokens(view, member):
        raise InvalidField(field, f"names {member:012x}, which is no active member as far as this node knows")


def _check_spare(replica: Replica, view: View, wanted: Mapping[bytes, int]) -> None:
    shortages = []
    for key, units in wanted.items():
        here = spare_tokens(view, replica.replica, key)
        if here < units:
            elsewhere = rights_elsewhere(view.stock_of(key), replica.replica)
            shortages.append(Shortage(*split_stock_key(key), units, here, elsewhere))
    if shortages:
        raise InsufficientStock(tuple(shortages))


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
