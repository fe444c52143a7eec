"""From request messages to the core's commands. Protobuf types stop here."""

from __future__ import annotations

from typing import TypeAlias

from google.protobuf import duration_pb2

from tallystick.core.clock import Dot
from tallystick.core.errors import InvalidField
from tallystick.core.order.facts import Adjustment, Body, ConfirmWhen, Line, ShortageMode
from tallystick.core.replica import commands
from tallystick.core.stock.receipts import Items
from tallystick.rpc.details import changes, flatten
from tallystick.v1 import order_pb2, order_service_pb2, stock_service_pb2

_WithItems: TypeAlias = (
    stock_service_pb2.ReceiveStockRequest
    | stock_service_pb2.AdjustStockRequest
    | stock_service_pb2.MoveTokensRequest
)
REPLICAS_MAX = 63
"""A cluster has 64 members at most."""
_ON_PLACING = int(ConfirmWhen.ON_PLACING)
_ALL_OR_NONE = int(ShortageMode.ALL_OR_NONE)


def check_replicas(replicas: int) -> int:
    """How many other members must have a write on disk. Raises InvalidField on what no cluster has."""
    if not 0 <= replicas <= REPLICAS_MAX:
        raise InvalidField("replicas", f"must be 0 to {REPLICAS_MAX}, not {replicas}")
    return replicas


def place(order: order_pb2.Order, actor: str) -> commands.PlaceOrder:
    """The hot path: one look at each field. Slices, because reading those is faster than iterating."""
    lines = [
        Line(
            line.line_id or str(position),
            line.sku,
            line.quantity,
            line.location,
            line.untracked,
            line.unit_price,
            line.amount,
            line.description,
        )
        for position, line in enumerate(order.lines[:], 1)
    ]
    adjustments = [
        Adjustment(each.adjustment_id, each.kind, each.amount, each.description)
        for each in order.adjustments[:]
    ]
    confirm_when, shortage_mode = order.confirm_when, order.shortage_mode
    body = Body(
        order.currency,
        tuple(lines),
        order.customer,
        tuple(adjustments),
        0 if confirm_when == _ON_PLACING else confirm_when,
        hold_ms(order.hold) if order.HasField("hold") else 0,
        0 if shortage_mode == _ALL_OR_NONE else shortage_mode,
        flatten(order.details) if order.HasField("details") else {},
    )
    return commands.PlaceOrder(order.id, body, actor, order.total if order.HasField("total") else None)


def place_order(request: order_service_pb2.PlaceOrderRequest) -> commands.PlaceOrder:
    return place(request.order, request.actor)


def confirm_order(request: order_service_pb2.ConfirmOrderRequest) -> commands.ConfirmOrder:
    return commands.ConfirmOrder(request.order_id, request.request_id, request.actor)


def extend_hold(request: order_service_pb2.ExtendHoldRequest) -> commands.ExtendHold:
    hold = hold_ms(request.hold) if request.HasField("hold") else 0
    return commands.ExtendHold(request.order_id, request.request_id, hold, request.actor)


def record_payment(request: order_service_pb2.RecordPaymentRequest) -> commands.RecordPayment:
    payment = request.payment
    return commands.RecordPayment(
        request.order_id,
        payment.payment_id,
        payment.kind,
        payment.amount,
        payment.currency,
        payment.reference,
        request.actor,
    )


def cancel_order(request: order_service_pb2.CancelOrderRequest) -> commands.CancelOrder:
    lines = tuple((line.line_id, line.quantity) for line in request.lines)
    return commands.CancelOrder(request.order_id, request.request_id, lines, request.reason, request.actor)


def edit_order(request: order_service_pb2.EditOrderRequest) -> commands.EditOrder:
    changed, replaced = changes(request.details, request.update_mask.paths)
    return commands.EditOrder(
        request.order_id, request.request_id, changed, replaced, request.etag, request.actor
    )


def receive_stock(request: stock_service_pb2.ReceiveStockRequest) -> commands.ReceiveStock:
    split = tuple((replica_of("split.node", share.node), share.weight) for share in request.split)
    return commands.ReceiveStock(request.receipt_id, request.node, _items(request), request.actor, split)


def adjust_stock(request: stock_service_pb2.AdjustStockRequest) -> commands.AdjustStock:
    return commands.AdjustStock(
        request.adjustment_id, request.node, _items(request), request.reason, request.actor
    )


def set_policy(request: stock_service_pb2.SetStockPolicyRequest) -> commands.SetOverbooking:
    return commands.SetOverbooking(
        request.request_id,
        request.node,
        request.sku,
        request.location,
        request.overbooking_limit,
        request.actor,
    )


def move_tokens(request: stock_service_pb2.MoveTokensRequest) -> commands.MoveTokens:
    to = replica_of("to", request.to)
    return commands.MoveTokens(request.request_id, request.node, to, _items(request), request.actor)


def replica_of(field: str, node: str) -> int:
    """The replica id of a node's name. Raises InvalidField."""
    try:
        return Dot.parse(f"{node}:0").replica
    except ValueError:
        raise InvalidField(field, f"must be the id of a node, 12 hexadecimal digits, not {node!r}") from None


def hold_ms(hold: duration_pb2.Duration) -> int:
    """A duration in milliseconds, rounded down. Raises InvalidField unless it is more than 0."""
    milliseconds = hold.seconds * 1000 + hold.nanos // 1_000_000
    if milliseconds <= 0:
        raise InvalidField("hold", "must be more than 0")
    return milliseconds


def _items(request: _WithItems) -> Items:
    return tuple((item.sku, item.location, item.quantity) for item in request.items)
