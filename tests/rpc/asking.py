"""Requests, short to write."""

from __future__ import annotations

from typing import Any

from google.protobuf import duration_pb2

from tallystick.v1 import order_pb2, order_service_pb2, stock_service_pb2
from tests.rpc.serving import CALL_S, Served

BY_HAND = order_pb2.CONFIRM_WHEN_BY_HAND
ON_CAPTURE = order_pb2.CONFIRM_WHEN_ON_CAPTURE
ON_AUTHORIZATION = order_pb2.CONFIRM_WHEN_ON_AUTHORIZATION
HELD = order_pb2.ORDER_STATE_HELD
CONFIRMED = order_pb2.ORDER_STATE_CONFIRMED
CANCELLED = order_pb2.ORDER_STATE_CANCELLED
EXPIRED = order_pb2.ORDER_STATE_EXPIRED
UNPLACED = order_pb2.ORDER_STATE_UNPLACED
AUTHORIZED = order_pb2.PAYMENT_KIND_AUTHORIZED
CAPTURED = order_pb2.PAYMENT_KIND_CAPTURED
REFUNDED = order_pb2.PAYMENT_KIND_REFUNDED
BASIC = order_service_pb2.ORDER_VIEW_BASIC
FULL = order_service_pb2.ORDER_VIEW_FULL


def seconds(count: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(round(count * 1000))
    return duration


def order(order_id: str, *items: tuple[str, int], price: int = 100, **fields: Any) -> order_pb2.Order:
    """An order of (sku, quantity) lines, each unit at `price`."""
    lines = [
        order_pb2.Line(sku=sku, quantity=quantity, unit_price=price, amount=price * quantity)
        for sku, quantity in items
    ]
    return order_pb2.Order(id=order_id, currency="EUR", lines=lines, **fields)


def hold(order_id: str, *items: tuple[str, int], hold_s: float = 600, **fields: Any) -> order_pb2.Order:
    """An order that waits to be confirmed by hand."""
    return order(order_id, *items, **{"confirm_when": BY_HAND, "hold": seconds(hold_s), **fields})


async def receive(served: Served, receipt_id: str = "r-1", /, **units: int) -> Any:
    """Book units in, by sku."""
    items = [stock_service_pb2.StockQuantity(sku=sku, quantity=count) for sku, count in units.items()]
    request = stock_service_pb2.ReceiveStockRequest(receipt_id=receipt_id, node=served.node, items=items)
    return await served.stock.ReceiveStock(request, timeout=CALL_S)


async def place(served: Served, placed: order_pb2.Order, **fields: Any) -> Any:
    request = order_service_pb2.PlaceOrderRequest(order=placed, **fields)
    return await served.orders.PlaceOrder(request, timeout=CALL_S)


async def place_all(served: Served, *orders: order_pb2.Order, **fields: Any) -> Any:
    """Place many over one stream, in one message; answers its answer."""
    call = served.orders.PlaceOrders(timeout=CALL_S)
    numbered = [
        order_service_pb2.NumberedOrder(number=number, order=placed) for number, placed in enumerate(orders)
    ]
    await call.write(order_service_pb2.PlaceOrdersRequest(orders=numbered, **fields))
    await call.done_writing()
    _, answer = [message async for message in call]
    return answer


async def confirm(served: Served, order_id: str, request_id: str = "confirm", **fields: Any) -> Any:
    request = order_service_pb2.ConfirmOrderRequest(order_id=order_id, request_id=request_id, **fields)
    return await served.orders.ConfirmOrder(request, timeout=CALL_S)


async def extend(served: Served, order_id: str, request_id: str = "extend", **fields: Any) -> Any:
    request = order_service_pb2.ExtendHoldRequest(order_id=order_id, request_id=request_id, **fields)
    return await served.orders.ExtendHold(request, timeout=CALL_S)


async def cancel(
    served: Served, order_id: str, request_id: str = "cancel", /, *lines: tuple[str, int], **fields: Any
) -> Any:
    request = order_service_pb2.CancelOrderRequest(
        order_id=order_id,
        request_id=request_id,
        lines=[order_pb2.LineQuantity(line_id=name, quantity=units) for name, units in lines],
        **fields,
    )
    return await served.orders.CancelOrder(request, timeout=CALL_S)


async def pay(
    served: Served, order_id: str, amount: int, payment_id: str = "pay", kind: Any = CAPTURED, **fields: Any
) -> Any:
    payment = order_pb2.Payment(payment_id=payment_id, kind=kind, amount=amount, **fields)
    request = order_service_pb2.RecordPaymentRequest(order_id=order_id, payment=payment)
    return await served.orders.RecordPayment(request, timeout=CALL_S)


async def edit(
    served: Served, order_id: str, request_id: str = "edit", /, *mask: str, etag: str = "", **details: Any
) -> Any:
    request = order_service_pb2.EditOrderRequest(
        order_id=order_id, request_id=request_id, details=order_pb2.Details(**details), etag=etag
    )
    request.update_mask.paths.extend(mask)
    return await served.orders.EditOrder(request, timeout=CALL_S)


async def get(served: Served, order_id: str, token: bytes = b"") -> Any:
    request = order_service_pb2.GetOrderRequest(order_id=order_id, consistency_token=token)
    return (await served.orders.GetOrder(request, timeout=CALL_S)).order


async def get_stock(served: Served, sku: str, location: str = "", token: bytes = b"") -> Any:
    request = stock_service_pb2.GetStockRequest(sku=sku, location=location, consistency_token=token)
    return (await served.stock.GetStock(request, timeout=CALL_S)).stock


async def list_orders(served: Served, **filters: Any) -> Any:
    return await served.orders.ListOrders(order_service_pb2.ListOrdersRequest(**filters), timeout=CALL_S)


async def list_stock(served: Served, **filters: Any) -> Any:
    return await served.stock.ListStock(stock_service_pb2.ListStockRequest(**filters), timeout=CALL_S)


async def events_of(served: Served, order_id: str, **fields: Any) -> Any:
    request = order_service_pb2.ListOrderEventsRequest(order_id=order_id, **fields)
    return await served.orders.ListOrderEvents(request, timeout=CALL_S)


async def reached(served: Served, order_id: str, state: Any) -> Any:
    """Ask until the order is in that state: each question gives the sweeper a turn. Bounded."""
    for _ in range(20_000):
        found = await get(served, order_id)
        if found.state == state:
            return found
    raise AssertionError(f"{order_id} never came to be {order_pb2.OrderState.Name(state)}")
