"""Reading a peer's entries: what no origin writes is found here, before anything is looked up.

It is judged from the bytes alone, never from what is stored, so every replica skips the same entries. Only
what keys, sums and joins rest on is judged: the limits of callers may be wider in a later version.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from tallystick.core.clock import Dot
from tallystick.core.codec import DecodeError
from tallystick.core.errors import InvalidField
from tallystick.core.limits import Limits
from tallystick.core.members import Member, MemberState
from tallystick.core.order.document import EMPTY_DOCUMENT, DocumentUpdate, apply_update
from tallystick.core.order.facts import Claim, Decision, Intent, OrderRecord, decode_body, decode_order
from tallystick.core.order.validate import check_id, check_item, check_text
from tallystick.core.replica.keys import member_key, order_key, split_stock_key
from tallystick.core.stock.receipts import Booking, BookingRecord
from tallystick.core.stock.rights import Row, cells_of

_LIMITS = Limits()
_ITEMS_REMEMBERED = 10_000
"""Names of items that were found well-formed: every order names some, and mostly the same."""
_STATES = frozenset(MemberState)
_decode_entry = msgspec.msgpack.Decoder(tuple[int, str, msgspec.Raw]).decode
_decode_row = msgspec.msgpack.Decoder(Row).decode
_decode_bookings = msgspec.msgpack.Decoder(BookingRecord).decode
_decode_update = msgspec.msgpack.Decoder(DocumentUpdate).decode
_decode_member = msgspec.msgpack.Decoder(Member).decode


class Malformed(Exception):
    """An entry that no origin writes."""


UNREADABLE = (Malformed, InvalidField, *DecodeError)
"""What the functions here raise."""


def read_entry(entry: msgspec.Raw) -> tuple[int, str, msgspec.Raw]:
    """(kind, key, delta) of an entry; the delta not decoded yet."""
    return _decode_entry(entry)


def read_order(dot: Dot, order_id: str, delta: msgspec.Raw) -> tuple[bytes, OrderRecord]:
    """(key, what the event `dot` adds to an order)."""
    check_id("order_id", order_id, _LIMITS)
    record = decode_order(delta)
    _check_written_by(dot, (*record.claims, *record.intents, *record.decisions))
    for claim in record.claims:
        _check_claim(claim)
    for decision in record.decisions:
        _check(decision.hold_until_ms >= 0, "a hold until before 1970")
        _check_units(decision.lines)
    for intent in record.intents:
        _check_units(intent.lines)
    return order_key(order_id), record


def read_row(_: Dot, name: str, delta: msgspec.Raw) -> tuple[bytes, Row]:
    """(stock key, the origin's row)."""
    key = _read_stock_key(name)
    row = _decode_row(delta)
    if row.moved:
        receivers = [to for to, _ in row.moved]
        _check(receivers == sorted(set(receivers)), "moved tokens that are not sorted by receiver")
        _check_units(row.moved)
    cells = cells_of(row)
    if min(cells) < 0:
        _check_units(zip(row.__struct_fields__, cells, strict=False))
    return key, row


@lru_cache(_ITEMS_REMEMBERED)
def _read_stock_key(name: str) -> bytes:
    key = name.encode()
    _check("\0" in name, "a stock item without a location")
    check_item("stock", *split_stock_key(key), _LIMITS)
    return key


def read_bookings(dot: Dot, booking_id: str, delta: msgspec.Raw) -> tuple[bytes, BookingRecord]:
    """(key, what the event `dot` books)."""
    check_id("booking_id", booking_id, _LIMITS)
    record = _decode_bookings(delta)
    _check_written_by(dot, record.bookings)
    return order_key(booking_id), record


def read_update(_: Dot, order_id: str, delta: msgspec.Raw) -> tuple[bytes, DocumentUpdate]:
    """(key, an edit's update): one that an empty document takes."""
    check_id("order_id", order_id, _LIMITS)
    update = _decode_update(delta)
    try:
        apply_update(EMPTY_DOCUMENT, update)
    except ValueError as problem:
        raise Malformed(str(problem)) from problem
    return order_key(order_id), update


def read_member(_: Dot, name: str, delta: msgspec.Raw) -> tuple[bytes, Member]:
    """(key, a member's record)."""
    member = _decode_member(delta)
    _check(member.state in _STATES, f"a member in the unknown state {member.state}")
    try:
        return member_key(Dot.parse(f"{name}:0").replica), member
    except ValueError as problem:
        raise Malformed(f"not a member's name: {name!r}") from problem


def _check(holds: bool, problem: str) -> None:
    if not holds:
        raise Malformed(problem)


def _check_written_by(dot: Dot, facts: Iterable[Claim | Intent | Decision | Booking]) -> None:
    """One dot, one content: the joins rest on it."""
    for fact in facts:
        if fact.dot != dot:
            raise Malformed(f"what {fact.dot} wrote, by {dot}")
        _check(fact.hlc >= 0, "a stamp before 1970")


def _check_claim(claim: Claim) -> None:
    body = decode_body(claim.placed.body)
    check_text("customer", body.customer, _LIMITS.customer_bytes_max)
    for line in body.lines:
        _check_line_item(line.sku, line.location)
        if line.quantity <= 0:
            raise Malformed(f"line {line.line_id} without a quantity")
    _check(claim.placed.hold_until_ms >= 0, "a hold until before 1970")
    _check_units(claim.placed.short)


@lru_cache(_ITEMS_REMEMBERED)
def _check_line_item(sku: str, location: str) -> None:
    check_item("line", sku, location, _LIMITS)


def _check_units(pairs: Iterable[tuple[object, int]]) -> None:
    for name, units in pairs:
        if units < 0:
            raise Malformed(f"a negative quantity of {name}")
