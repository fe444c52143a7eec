"""One stable line of plain words for everything that a step answers. Transcripts are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from tallystick.core.clock import Dot
from tallystick.core.errors import InsufficientStock, Refused
from tallystick.core.members import Member, MemberState
from tallystick.core.order.document import DocumentUpdate
from tallystick.core.order.facts import (
    Claim,
    Decision,
    DecisionKind,
    Intent,
    IntentKind,
    LineQuantities,
    OrderRecord,
    PaymentKind,
    decode_order,
)
from tallystick.core.order.status import OrderStatus
from tallystick.core.replica.keys import split_stock_key
from tallystick.core.replica.outcome import Entry, Outcome
from tallystick.core.stock.receipts import Booking, BookingKind, BookingRecord
from tallystick.core.stock.rights import Stock, Totals, rights


def describe(value: Any) -> str:
    """The line for a value of a known type."""
    return _LINES[type(value)](value)


def words(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def clock(ms: int) -> str:
    """The time of day, to the second."""
    seconds = ms // 1000 % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def money(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


def dot(value: Dot) -> str:
    return f"{value.replica:x}:{value.seq}"


def units(lines: LineQuantities) -> str:
    return words(*(f"{count or 'all'} of line {line_id}" for line_id, count in lines))


def item(sku: str, location: str) -> str:
    return f"{sku}@{location}" if location else sku


def entry_lines(entry: Entry) -> Iterator[str]:
    """A line for each fact of a frame's entry."""
    _, key, delta = entry
    if isinstance(delta, msgspec.Raw):
        delta = decode_order(delta)
    if isinstance(delta, OrderRecord):
        facts = (*delta.claims, *delta.intents, *delta.decisions)
        yield from (f"order {key}: {describe(fact)}" for fact in facts)
    elif isinstance(delta, BookingRecord):
        yield from (f"booking {key}: {describe(booking)}" for booking in delta.bookings)
    else:
        yield f"{key}: {describe(delta)}"


def _outcome(outcome: Outcome) -> str:
    if outcome.replayed:
        return "as before: nothing was written"
    if not outcome.writes:
        return "nothing to do"
    moved = (f"{units} {item(*split_stock_key(key))} to {to:x}" for key, to, units in outcome.moved)
    return words(
        "recorded for the owner" if outcome.recorded else "done",
        *(f"sent {sent}" for sent in moved),
        f"paid {outcome.settled} that were missing" if outcome.settled else "",
    )


def tokens(stock: Stock) -> str:
    """Who has how many rights, if there is more than one who might."""
    named = {replica for replica, _ in stock.rows} | {to for _, row in stock.rows for to, _ in row.moved}
    held = words(*(f"{rights(stock, replica)} at {replica:x}" for replica in sorted(named)))
    return f" ({held})" if len(named) > 1 else ""


def _refused(refused: Refused) -> str:
    return f"refused, {refused.reason}: {refused.message}"


def _claim(claim: Claim) -> str:
    until = claim.placed.hold_until_ms
    return words(
        f"claim {dot(claim.dot)}",
        f"held until {clock(until)}" if until else "sold at once",
        f"short {units(claim.placed.short)}" if claim.placed.short else "",
        f"by {claim.placed.actor}" if claim.placed.actor else "",
    )


def _intent(intent: Intent) -> str:
    said = {
        IntentKind.PAYMENT: lambda: f"{PaymentKind(intent.payment_kind).name.lower()} {money(intent.amount)}",
        IntentKind.EDIT: lambda: " ".join(intent.fields),
        IntentKind.EXTEND: lambda: f"{intent.hold_ms // 1000} s" if intent.hold_ms else "",
    }.get(IntentKind(intent.kind), lambda: units(intent.lines))()
    return words(
        f"wish {dot(intent.dot)} {intent.request_id} {IntentKind(intent.kind).name.lower()}",
        said,
        intent.reason,
        f"by {intent.actor}" if intent.actor else "",
    )


def _decision(decision: Decision) -> str:
    return words(
        f"decision {decision.number} {DecisionKind(decision.kind).name.lower()}",
        units(decision.lines),
        f"until {clock(decision.hold_until_ms)}" if decision.hold_until_ms else "",
        decision.reason,
        f"keeps {dot(Dot.parse(decision.keep))}" if decision.keep else "",
        f"for {dot(Dot.parse(decision.cites))}" if decision.cites else "",
    )


def _booking(booking: Booking) -> str:
    sign = "+" if booking.kind in (BookingKind.RECEIVE, BookingKind.ADJUST) else ""
    items = words(*(f"{count:{sign}} {item(sku, location)}" for sku, location, count in booking.items))
    shares = words(*(f"{weight} to {member:x}" for member, weight in booking.split))
    return words(
        f"{BookingKind(booking.kind).name.lower()} {items}",
        f"to {booking.to:x}" if booking.to else "",
        f"split {shares}" if shares else "",
        booking.reason,
    )


def _status(status: OrderStatus) -> str:
    claim = status.counts
    held = claim is not None and claim.state.name == "HELD"
    gone = {line: count for line, count in claim.cancelled.items() if count} if claim else {}
    return words(
        status.state.name + (f" until {clock(claim.hold_until_ms)}" if claim and held else ""),
        f"without {units(tuple(sorted(gone.items())))}" if gone else "",
        f"due {money(claim.due)}" if claim else "",
        f"paid {money(status.payments.kept)}" if status.payments.kept else "",
        f"authorised {money(status.payments.authorized)}" if status.payments.authorized else "",
        f"refund due {money(status.refund_due)}" if status.refund_due else "",
        *(f"declined {wish.request_id}: {why}" for wish, why in status.declined),
        *(f"conflict {conflict.kind}" for conflict in status.conflicts),
    )


def _totals(totals: Totals) -> str:
    return words(
        f"{totals.on_hand} on hand",
        f"{totals.available} available",
        f"{totals.reserved} reserved" if totals.reserved else "",
        f"{totals.sold} sold" if totals.sold else "",
        f"{totals.owed} owed" if totals.owed else "",
        f"{totals.overbooked} overbooked" if totals.overbooked else "",
    )


_LINES: Mapping[type, Callable[[Any], str]] = {
    Outcome: _outcome,
    Refused: _refused,
    **dict.fromkeys(Refused.__subclasses__(), _refused),
    InsufficientStock: _refused,
    Claim: _claim,
    Intent: _intent,
    Decision: _decision,
    Booking: _booking,
    DocumentUpdate: lambda _: "the document gets an update",
    Member: lambda member: f"{MemberState(member.state).name.lower()} member in {member.region}",
    OrderStatus: _status,
    Totals: _totals,
}
