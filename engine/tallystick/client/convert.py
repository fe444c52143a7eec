"""Between the SDK's values and the messages of the contract; of nodes and tokens: `convert_cluster`.

A number that no int64 can hold raises ValueError, a value of the wrong type TypeError, as protobuf does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tallystick.client.values import order, stock, write
from tallystick.client.words import (
    ADJUSTMENT_KIND,
    CONFIRM_WHEN,
    DISPOSITION,
    EVENT_KIND,
    ORDER_STATE,
    PAYMENT_KIND,
    SHORTAGE_MODE,
)
from tallystick.v1 import order_pb2, order_service_pb2, stock_service_pb2, write_pb2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_DETAILS = order.Details()

# ----------------------------------------------------------------------------------------- times, durations


def timestamp(moment: datetime | None) -> Timestamp | None:
    """A moment as a message. Raises ValueError for one without a time zone."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: give an aware datetime")
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def duration(length: timedelta | None) -> Duration | None:
    if length is None:
        return None
    message = Duration()
    message.FromTimedelta(length)
    return message


def time_value(stamp: Timestamp) -> datetime | None:
    """The moment, in UTC and microseconds; None if it was never set."""
    if not stamp.seconds and not stamp.nanos:
        return None
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


# -------------------------------------------------------------------------------------------- orders, going


def placing_bytes(number: int, value: order.Order) -> bytes:
    """A PlaceOrdersRequest that holds this one order, encoded.

    Encoded messages that are put end to end are their merger: so each call encodes its own order once, and
    a request is made by joining bytes, also when it is sent again.
    """
    request = order_service_pb2.PlaceOrdersRequest()
    numbered = request.orders.add()
    numbered.number = number
    fill_order(numbered.order, value)
    return request.SerializeToString()


def placing_request(value: order.Order, actor: str, replicas: int) -> order_service_pb2.PlaceOrderRequest:
    """This one order, by itself, with what the stream's answers hold."""
    request = order_service_pb2.PlaceOrderRequest(
        actor=actor, replicas=replicas, view=order_service_pb2.ORDER_VIEW_BASIC
    )
    fill_order(request.order, value)
    return request


def fill_order(message: order_pb2.Order, value: order.Order) -> None:
    """Write what is the caller's of an order into `message`."""
    message.id = value.id
    message.currency = value.currency
    if value.customer:
        message.customer = value.customer
    add_line = message.lines.add
    for line in value.lines:
        _fill_line(add_line(), line)
    for adjustment in value.adjustments:
        message.adjustments.add(
            adjustment_id=adjustment.adjustment_id,
            kind=ADJUSTMENT_KIND.numbers[adjustment.kind],
            amount=adjustment.amount,
            description=adjustment.description,
        )
    if value.total is not None:
        message.total = value.total
    message.confirm_when = CONFIRM_WHEN.numbers[value.confirm_when]
    message.shortage_mode = SHORTAGE_MODE.numbers[value.shortage_mode]
    if value.hold is not None:
        message.hold.FromTimedelta(value.hold)
    if value.details != _NO_DETAILS:
        _fill_details(message.details, value.details)


def _fill_line(message: order_pb2.Line, value: order.Line) -> None:
    # The hottest lines of the SDK: setting what differs from the default takes half the time of setting all.
    message.sku = value.sku
    message.quantity = value.quantity
    if value.amount:
        message.amount = value.amount
    if value.unit_price:
        message.unit_price = value.unit_price
    if value.location:
        message.location = value.location
    if value.line_id:
        message.line_id = value.line_id
    if value.untracked:
        message.untracked = True
    if value.description:
        message.description = value.description


def _fill_details(message: order_pb2.Details, value: order.Details) -> None:
    if value.shipping_address is not None:
        message.shipping_address.CopyFrom(address_message(value.shipping_address))
    if value.billing_address is not None:
        message.billing_address.CopyFrom(address_message(value.billing_address))
    message.email = value.email
    message.phone = value.phone
    message.note = value.note
    message.tags.extend(sorted(value.tags))
    message.attributes.update(value.attributes)


def address_message(value: order.Address) -> order_pb2.Address:
    return order_pb2.Address(**{field: getattr(value, field) for field in value.__struct_fields__})


def payment_message(value: order.Payment) -> order_pb2.Payment:
    return order_pb2.Payment(
        payment_id=value.payment_id,
        kind=PAYMENT_KIND.numbers[value.kind],
        amount=value.amount,
        currency=value.currency,
        reference=value.reference,
    )


Lines = Mapping[str, int] | Iterable[order.LineQuantity]
"""Units by line id; 0 is all that is left of a line."""


def line_quantities(lines: Lines) -> list[order_pb2.LineQuantity]:
    if isinstance(lines, Mapping):
        lines = [order.LineQuantity(line_id, quantity) for line_id, quantity in lines.items()]
    return [order_pb2.LineQuantity(line_id=each.line_id, quantity=each.quantity) for each in lines]


# ------------------------------------------------------------------------------------------- orders, coming


def placed_order(message: order_pb2.Order, result: write.WriteResult) -> write.PlacedOrder:
    return write.PlacedOrder(
        id=message.id,
        state=ORDER_STATE[message.state],
        place_time=time_value(message.place_time),
        hold_expire_time=time_value(message.hold_expire_time),
        lines=tuple(map(line_value, message.lines)),
        write=result,
    )


def order_value(message: order_pb2.Order) -> order.Order:
    return order.Order(
        id=message.id,
        customer=message.customer,
        currency=message.currency,
        lines=tuple(map(line_value, message.lines)),
        adjustments=tuple(map(_adjustment_value, message.adjustments)),
        total=message.total if message.HasField("total") else None,
        confirm_when=CONFIRM_WHEN[message.confirm_when],
        hold=message.hold.ToTimedelta() if message.HasField("hold") else None,
        shortage_mode=SHORTAGE_MODE[message.shortage_mode],
        details=_details_value(message.details) if message.HasField("details") else _NO_DETAILS,
        state=ORDER_STATE[message.state],
        place_time=time_value(message.place_time),
        update_time=time_value(message.update_time),
        hold_expire_time=time_value(message.hold_expire_time),
        payment=_payment_summary(message.payment),
        claims=tuple(map(_claim_value, message.claims)),
        conflicts=tuple(
            order.Conflict(kind=each.kind, description=each.description, claims=tuple(each.claims))
            for each in message.conflicts
        ),
        etag=message.etag,
    )


def line_value(message: order_pb2.Line) -> order.Line:
    return order.Line(
        sku=message.sku,
        quantity=message.quantity,
        amount=message.amount,
        unit_price=message.unit_price,
        location=message.location,
        line_id=message.line_id,
        untracked=message.untracked,
        description=message.description,
        allocations=tuple(
            order.Allocation(each.location, each.region, each.quantity) for each in message.allocations
        ),
        cancelled_quantity=message.cancelled_quantity,
        released_quantity=message.released_quantity,
        shipped_quantity=message.shipped_quantity,
        returned_quantity=message.returned_quantity,
    )


def _adjustment_value(message: order_pb2.Adjustment) -> order.Adjustment:
    kind = ADJUSTMENT_KIND[message.kind]
    return order.Adjustment(message.adjustment_id, kind, message.amount, message.description)


def _details_value(message: order_pb2.Details) -> order.Details:
    has = message.HasField
    return order.Details(
        shipping_address=_address_value(message.shipping_address) if has("shipping_address") else None,
        billing_address=_address_value(message.billing_address) if has("billing_address") else None,
        email=message.email,
        phone=message.phone,
        note=message.note,
        tags=frozenset(message.tags) or _NO_DETAILS.tags,
        attributes=dict(message.attributes),
    )


def _address_value(message: order_pb2.Address) -> order.Address:
    return order.Address(**{field: getattr(message, field) for field in order.Address.__struct_fields__})


def _payment_value(message: order_pb2.Payment) -> order.Payment:
    return order.Payment(
        payment_id=message.payment_id,
        kind=PAYMENT_KIND[message.kind],
        amount=message.amount,
        currency=message.currency,
        reference=message.reference,
    )


def _payment_summary(message: order_pb2.PaymentSummary) -> order.PaymentSummary:
    fields = order.PaymentSummary.__struct_fields__
    return order.PaymentSummary(**{field: getattr(message, field) for field in fields})


def _claim_value(message: order_pb2.Claim) -> order.Claim:
    return order.Claim(
        dot=message.dot,
        state=ORDER_STATE[message.state],
        place_time=time_value(message.place_time),
        owner=message.owner,
        region=message.region,
    )


def event_value(message: order_pb2.OrderEvent) -> order.OrderEvent:
    return order.OrderEvent(
        dot=message.dot,
        time=time_value(message.time),
        actor=message.actor,
        kind=EVENT_KIND[message.kind],
        claim=message.claim,
        number=message.number,
        request_id=message.request_id,
        lines=tuple(order.LineQuantity(each.line_id, each.quantity) for each in message.lines),
        payment=_payment_value(message.payment) if message.HasField("payment") else None,
        reason=message.reason,
        hold_expire_time=time_value(message.hold_expire_time),
        fields=tuple(message.fields),
    )


# --------------------------------------------------------------------------------------------- stock, writes

Items = Mapping[str, int] | Iterable[stock.StockQuantity]
"""Units by sku, or StockQuantity values where a location matters."""


def stock_quantities(items: Items) -> list[stock_service_pb2.StockQuantity]:
    if isinstance(items, Mapping):
        items = [stock.StockQuantity(sku, quantity) for sku, quantity in items.items()]
    return [
        stock_service_pb2.StockQuantity(sku=each.sku, location=each.location, quantity=each.quantity)
        for each in items
    ]


def stock_value(message: stock_service_pb2.Stock) -> stock.Stock:
    elsewhere = message.available_elsewhere
    fields = {field: getattr(message, field) for field in stock.Stock.__struct_fields__}
    fields["available_elsewhere"] = (
        stock.AvailableElsewhere(quantity=elsewhere.quantity, as_of=time_value(elsewhere.as_of))
        if message.HasField("available_elsewhere")
        else None
    )
    return stock.Stock(**fields)


class _StockWritten(Protocol):
    @property
    def stock(self) -> Iterable[stock_service_pb2.Stock]: ...
    @property
    def write(self) -> write_pb2.WriteResult: ...


def stock_change(response: _StockWritten) -> write.StockChange:
    return write.StockChange(
        stock=tuple(map(stock_value, response.stock)), write=write_result(response.write)
    )


def policy_change(response: stock_service_pb2.SetStockPolicyResponse) -> write.StockChange:
    return write.StockChange(stock=(stock_value(response.stock),), write=write_result(response.write))


def write_result(message: write_pb2.WriteResult) -> write.WriteResult:
    return write.WriteResult(
        consistency_token=message.consistency_token,
        replicated_to=message.replicated_to,
        disposition=DISPOSITION[message.disposition],
        replayed=message.replayed,
    )


def shortages_of(message: write_pb2.InsufficientStock) -> tuple[write.Shortage, ...]:
    return tuple(
        write.Shortage(
            sku=each.sku,
            location=each.location,
            asked=each.asked,
            available_here=each.available_here,
            available_elsewhere=each.available_elsewhere,
            as_of=time_value(each.as_of),
            unreachable_regions=tuple(each.unreachable_regions),
            suggested_region=each.suggested_region,
        )
        for each in message.shortages
    )
