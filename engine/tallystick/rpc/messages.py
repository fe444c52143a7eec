"""From the core's records to the public messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

from google.protobuf import timestamp_pb2

from tallystick.core.clock import hlc_ms
from tallystick.core.members import node_name
from tallystick.core.order.document import etag
from tallystick.core.order.facts import (
    Body,
    Claim,
    ConfirmWhen,
    Decision,
    DecisionKind,
    Intent,
    IntentKind,
    OrderRecord,
    ShortageMode,
)
from tallystick.core.order.money import NO_PAYMENTS
from tallystick.core.order.status import LIVE, ClaimStatus, OrderStatus, State
from tallystick.core.replica.keys import split_stock_key
from tallystick.core.stock.moves import overbooking_limit
from tallystick.core.stock.rights import Stock, rights, totals
from tallystick.rpc.details import nest
from tallystick.v1 import order_pb2, stock_service_pb2

Regions = Callable[[int], str]
"""Replica id → region; "" if it is not known."""

Demands = Callable[[bytes], Mapping[int, float]]
"""From a stock key to replica → units a second that it is asked for there, as far as known."""

_EVENT_OF_INTENT: Mapping[int, Any] = {
    IntentKind.PAYMENT: order_pb2.ORDER_EVENT_KIND_PAYMENT_RECORDED,
    IntentKind.CANCEL: order_pb2.ORDER_EVENT_KIND_CANCEL_REQUESTED,
    IntentKind.CONFIRM: order_pb2.ORDER_EVENT_KIND_CONFIRM_REQUESTED,
    IntentKind.EXTEND: order_pb2.ORDER_EVENT_KIND_EXTENSION_REQUESTED,
    IntentKind.EDIT: order_pb2.ORDER_EVENT_KIND_EDITED,
}

_EVENT_OF_DECISION: Mapping[int, Any] = {
    DecisionKind.CONFIRM: order_pb2.ORDER_EVENT_KIND_CONFIRMED,
    DecisionKind.EXTEND: order_pb2.ORDER_EVENT_KIND_HOLD_EXTENDED,
    DecisionKind.CANCEL: order_pb2.ORDER_EVENT_KIND_CANCELLED,
    DecisionKind.REDUCE: order_pb2.ORDER_EVENT_KIND_CANCELLED,
    DecisionKind.EXPIRE: order_pb2.ORDER_EVENT_KIND_EXPIRED,
    DecisionKind.HOLD_AGAIN: order_pb2.ORDER_EVENT_KIND_HELD_AGAIN,
    DecisionKind.DECLINE: order_pb2.ORDER_EVENT_KIND_DECLINED,
    DecisionKind.DUPLICATE: order_pb2.ORDER_EVENT_KIND_DUPLICATE,
    DecisionKind.KEPT: order_pb2.ORDER_EVENT_KIND_KEPT,
    DecisionKind.HAND_OVER: order_pb2.ORDER_EVENT_KIND_HANDED_OVER,
}


def timestamp(ms: int) -> timestamp_pb2.Timestamp:
    seconds, rest = divmod(ms, 1000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1_000_000)


def fill_full_order(
    message: order_pb2.Order,
    order_id: str,
    status: OrderStatus,
    details: Mapping[str, str],
    regions: Regions,
) -> None:
    """Make a new message say all of an order."""
    _fill_status(message, order_id, status)
    counts = status.counts
    if counts is not None:
        _fill_body(message, counts.body)
        _fill_lines(message, counts, regions)
        message.total = counts.body.total
        if details:
            message.details.CopyFrom(nest(details))
        message.etag = etag(details)
    for claim in status.claims:
        _fill_claim(message.claims.add(), claim, regions)
    for conflict in status.conflicts:
        message.conflicts.add(
            kind=conflict.kind, description=conflict.description, claims=map(str, conflict.claims)
        )


def fill_basic_order(message: order_pb2.Order, order_id: str, status: OrderStatus) -> None:
    """Make a new message say what the engine decided, without what the caller sent."""
    _fill_status(message, order_id, status)
    if status.counts is not None:
        for line_id, units in status.counts.cancelled.items():
            message.lines.add(line_id=line_id, cancelled_quantity=units)


def _fill_status(message: order_pb2.Order, order_id: str, status: OrderStatus) -> None:
    message.id = order_id
    message.state = int(status.state)  # type: ignore[assignment]
    message.update_time.FromMilliseconds(hlc_ms(status.updated_hlc))
    counts = status.counts
    if counts is None:
        return
    message.customer = counts.body.customer
    message.currency = counts.body.currency
    message.place_time.FromMilliseconds(hlc_ms(counts.claim.hlc))
    if counts.state is State.HELD:
        message.hold_expire_time.FromMilliseconds(counts.hold_until_ms)
    payment = message.payment
    payment.amount_due = counts.due
    if status.payments is not NO_PAYMENTS:
        payments = status.payments
        payment.authorized = payments.open_authorization
        payment.captured = payments.captured
        payment.refunded = payments.refunded
        payment.charged_back = payments.charged_back
        payment.refund_due = status.refund_due


def stock_message(key: bytes, stock: Stock, here: int) -> stock_service_pb2.Stock:
    """A stock item in the words of shops, as `here` sees it."""
    sku, location = split_stock_key(key)
    sums = totals(stock)
    available = rights(stock, here)
    message = stock_service_pb2.Stock(
        sku=sku,
        location=location,
        on_hand=sums.on_hand,
        reserved=sums.reserved,
        sold=sums.sold,
        available_here=available,
        owed=sums.owed,
        received=sums.received,
        burned=sums.burned,
        overbooked=sums.overbooked,
        overbooking_limit_here=overbooking_limit(stock.row(here)),
        shipped=sums.shipped,
    )
    message.available_elsewhere.quantity = sums.available - available
    return message


def events(record: OrderRecord) -> list[order_pb2.OrderEvent]:
    """Every fact and decision, oldest first; a decision after the wish that it answers."""
    told = chain(
        ((c.hlc, c.dot, 0, 0, _placed(c)) for c in record.claims),
        ((i.hlc, i.dot, 1, 0, _intent(i)) for i in record.intents),
        ((d.hlc, d.dot, 2, d.number, _decision(d)) for d in record.decisions),
    )
    return [event for *_, event in sorted(told, key=lambda row: row[:4])]


def _fill_body(message: order_pb2.Order, body: Body) -> None:
    message.confirm_when = body.confirm_when or int(ConfirmWhen.ON_PLACING)  # type: ignore[assignment]
    message.shortage_mode = body.shortage_mode or int(ShortageMode.ALL_OR_NONE)  # type: ignore[assignment]
    if body.hold_ms:
        message.hold.FromMilliseconds(body.hold_ms)
    for adjustment in body.adjustments:
        message.adjustments.add(
            adjustment_id=adjustment.adjustment_id,
            kind=adjustment.kind,
            amount=adjustment.amount,
            description=adjustment.description,
        )


def _fill_lines(message: order_pb2.Order, counts: ClaimStatus, regions: Regions) -> None:
    region = regions(counts.owner)
    stands = counts.state in LIVE
    for line in counts.body.lines:
        cancelled = counts.cancelled.get(line.line_id, 0)
        live = line.quantity - cancelled if stands else 0
        filled = message.lines.add(
            line_id=line.line_id,
            sku=line.sku,
            location=line.location,
            quantity=line.quantity,
            untracked=line.untracked,
            unit_price=line.unit_price,
            amount=line.amount,
            description=line.description,
            cancelled_quantity=line.quantity if counts.state is State.CANCELLED else cancelled,
        )
        if live and not line.untracked:
            filled.allocations.add(location=line.location, region=region, quantity=live)


def _fill_claim(message: order_pb2.Claim, claim: ClaimStatus, regions: Regions) -> None:
    message.dot = str(claim.dot)
    message.state = int(claim.state)  # type: ignore[assignment]
    message.place_time.FromMilliseconds(hlc_ms(claim.claim.hlc))
    message.owner = node_name(claim.owner)
    message.region = regions(claim.owner)


def _placed(claim: Claim) -> order_pb2.OrderEvent:
    event = order_pb2.OrderEvent(
        dot=str(claim.dot),
        time=timestamp(hlc_ms(claim.hlc)),
        actor=claim.placed.actor,
        kind=order_pb2.ORDER_EVENT_KIND_PLACED,
        claim=str(claim.dot),
    )
    if claim.placed.hold_until_ms:
        event.hold_expire_time.CopyFrom(timestamp(claim.placed.hold_until_ms))
    return event


def _intent(intent: Intent) -> order_pb2.OrderEvent:
    event = order_pb2.OrderEvent(
        dot=str(intent.dot),
        time=timestamp(hlc_ms(intent.hlc)),
        actor=intent.actor,
        kind=_EVENT_OF_INTENT.get(intent.kind, order_pb2.ORDER_EVENT_KIND_UNSPECIFIED),
        request_id=intent.request_id,
        reason=intent.reason,
        fields=intent.fields,
        lines=[order_pb2.LineQuantity(line_id=name, quantity=units) for name, units in intent.lines],
    )
    if intent.kind == IntentKind.PAYMENT:
        event.payment.payment_id = intent.request_id
        event.payment.kind = intent.payment_kind  # type: ignore[assignment]
        event.payment.amount = intent.amount
        event.payment.reference = intent.reference
    return event


def _decision(decision: Decision) -> order_pb2.OrderEvent:
    event = order_pb2.OrderEvent(
        dot=str(decision.dot),
        time=timestamp(hlc_ms(decision.hlc)),
        kind=_EVENT_OF_DECISION.get(decision.kind, order_pb2.ORDER_EVENT_KIND_UNSPECIFIED),
        claim=str(decision.claim),
        number=decision.number,
        reason=decision.reason,
        lines=[order_pb2.LineQuantity(line_id=name, quantity=units) for name, units in decision.lines],
    )
    if decision.hold_until_ms:
        event.hold_expire_time.CopyFrom(timestamp(decision.hold_until_ms))
    return event
