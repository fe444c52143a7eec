"""Reads: one table of methods; each reads one committed state in a reader thread."""

from __future__ import annotations

import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.protobuf import timestamp_pb2

from tallystick.core.clock import hlc
from tallystick.core.errors import InvalidField, NotFound
from tallystick.core.limits import Limits
from tallystick.core.members import Member, MemberState, node_name
from tallystick.core.order.facts import OrderRecord, decode_order
from tallystick.core.order.others import OrderName, fold_named
from tallystick.core.order.status import OrderStatus, fold
from tallystick.core.order.validate import check_id, check_item, check_text
from tallystick.core.replica.keys import split_stock_key, stock_key
from tallystick.core.stock.demand import runway
from tallystick.core.stock.rights import Stock, rights
from tallystick.node.source import load_stock
from tallystick.rpc.messages import (
    Demands,
    Regions,
    events,
    fill_basic_order,
    fill_full_order,
    stock_message,
)
from tallystick.rpc.writes import details_of
from tallystick.store.port import KEY_BYTES_MAX, Table
from tallystick.store.reader import Reader
from tallystick.v1 import order_pb2, order_service_pb2, stock_service_pb2

PAGE_SIZE = 100
_FULL = (order_service_pb2.ORDER_VIEW_UNSPECIFIED, order_service_pb2.ORDER_VIEW_FULL)
_STAMP_MAX = (1 << 64) - 1
_PAGE_BYTES = 1 << 20
_PAGE_LOOKS = 5_000
"""A page ends early when it is this large, or after looking at this many orders: it may even be empty."""
_ENDED = MemberState.ENDED
_NUMBER = re.compile("[0-9]{1,18}", re.ASCII)


class Ask(NamedTuple):
    """A read under way: where from, and with which names and limits."""

    reader: Reader
    replica: int
    regions: Regions
    limits: Limits
    members: Mapping[int, Member]
    demands: Demands


@dataclass(frozen=True, slots=True)
class Read:
    """One unary method: its request, and what answers it."""

    request: Any
    answer: Callable[[Ask, Any], Any]


def get_order(ask: Ask, request: order_service_pb2.GetOrderRequest) -> order_service_pb2.GetOrderResponse:
    """One order, in full."""
    name = OrderName.parse(request.order_id)
    record = _record(ask, name.order_id)
    status = fold_named(record, name.dot)
    if status is None:
        raise _not_found(request.order_id)
    response = order_service_pb2.GetOrderResponse()
    _fill_full(ask, response.order, name, status)
    return response


def list_orders(
    ask: Ask, request: order_service_pb2.ListOrdersRequest
) -> order_service_pb2.ListOrdersResponse:
    """Orders by time of placing, newest first, by whichever index the filters choose."""
    check_text("customer", request.customer, ask.limits.customer_bytes_max)
    size = _page_size(request.page_size, ask.limits)
    span = _span(request)
    stop = _resume(request.page_token, span) if request.page_token else span.stop
    full = request.view in _FULL
    response = order_service_pb2.ListOrdersResponse()
    last, looked_at, room = b"", 0, _PAGE_BYTES
    for key, order_id, status in _listed(ask, request, span, stop):
        if len(response.orders) == size or looked_at == _PAGE_LOOKS or room <= 0:
            response.next_page_token = urlsafe_b64encode(last).decode()
            break
        last = key
        looked_at += 1
        if status is None:
            continue
        order = response.orders.add()
        if full:
            _fill_full(ask, order, OrderName(order_id), status)
        else:
            fill_basic_order(order, order_id, status)
        room -= order.ByteSize()
    return response


def list_order_events(
    ask: Ask, request: order_service_pb2.ListOrderEventsRequest
) -> order_service_pb2.ListOrderEventsResponse:
    """An order's history, oldest first. Page tokens count events."""
    size = _page_size(request.page_size, ask.limits)
    name = OrderName.parse(request.order_id)
    record = _record(ask, name.order_id)
    status = fold_named(record, name.dot)
    if status is None:
        raise _not_found(request.order_id)
    history = events(status.record)
    if request.page_token and not _NUMBER.fullmatch(request.page_token):
        raise InvalidField("page_token", "is not one that a list has given")
    start = int(request.page_token or 0)
    page = history[start : start + size]
    rest = len(history) > start + size
    return order_service_pb2.ListOrderEventsResponse(
        events=page, next_page_token=str(start + size) if rest else ""
    )


def get_stock(ask: Ask, request: stock_service_pb2.GetStockRequest) -> stock_service_pb2.GetStockResponse:
    """One stock item."""
    check_item("stock", request.sku, request.location, ask.limits)
    key = stock_key(request.sku, request.location)
    found = ask.reader.get_lazy(Table.STOCK, key)
    if found is None:
        raise NotFound(
            "STOCK_NOT_FOUND",
            f"nothing was ever booked under {request.sku!r}"
            + (f" at {request.location!r}" if request.location else " without a location"),
            {"sku": request.sku, "location": request.location},
        )
    return stock_service_pb2.GetStockResponse(stock=stock_message(key, load_stock(found), ask.replica))


def list_stock(ask: Ask, request: stock_service_pb2.ListStockRequest) -> stock_service_pb2.ListStockResponse:
    """Stock items by sku and location."""
    page, following = _stock_page(ask, request)
    return stock_service_pb2.ListStockResponse(
        stock=[stock_message(key, stock, ask.replica) for key, stock in page], next_page_token=following
    )


def list_tokens(
    ask: Ask, request: stock_service_pb2.ListTokensRequest
) -> stock_service_pb2.ListTokensResponse:
    """Who may sell how many units of each item: members that ended have none of their own any more."""
    page, following = _stock_page(ask, request)
    living = [(each.region, replica) for replica, each in ask.members.items() if each.state != _ENDED]
    return stock_service_pb2.ListTokensResponse(
        items=[_item_tokens(ask, key, stock, sorted(living)) for key, stock in page],
        next_page_token=following,
    )


def _item_tokens(
    ask: Ask, key: bytes, stock: Stock, members: list[tuple[str, int]]
) -> stock_service_pb2.ItemTokens:
    sku, location = split_stock_key(key)
    item = stock_service_pb2.ItemTokens(sku=sku, location=location)
    demands = ask.demands(key)
    for region, replica in members:
        units, rate = rights(stock, replica), demands.get(replica, 0.0)
        lasts_s = runway(units, rate)
        item.nodes.add(
            node=node_name(replica),
            region=region,
            quantity=units,
            demand=rate,
            runway_seconds=lasts_s if rate and math.isfinite(lasts_s) else None,
        )
    return item


def _stock_page(
    ask: Ask, request: stock_service_pb2.ListStockRequest | stock_service_pb2.ListTokensRequest
) -> tuple[list[tuple[bytes, Stock]], str]:
    """Items by key, and the token of the page after them."""
    check_text("sku_prefix", request.sku_prefix, ask.limits.sku_bytes_max)
    size = _page_size(request.page_size, ask.limits)
    prefix = request.sku_prefix.encode()
    start = prefix or None
    if request.page_token:
        after = _token(request.page_token)
        if not after.startswith(prefix):
            raise InvalidField("page_token", "belongs to a list with another prefix")
        start = after + b"\0"
    page: list[tuple[bytes, Stock]] = []
    for key, found in ask.reader.scan(Table.STOCK, start, None):
        if not key.startswith(prefix):
            break
        if len(page) == size:
            return page, urlsafe_b64encode(page[-1][0]).decode()
        page.append((key, load_stock(found)))
    return page, ""


class _Span(NamedTuple):
    """A range of an index, and how many bytes of its keys come before the order id."""

    table: Table
    start: bytes
    stop: bytes
    before_id: int


def _span(request: order_service_pb2.ListOrdersRequest) -> _Span:
    since = _stamp(request.placed_from) if request.HasField("placed_from") else 0
    until = _stamp(request.placed_until) if request.HasField("placed_until") else _STAMP_MAX
    start, stop = since.to_bytes(8), until.to_bytes(8)
    if request.customer:
        prefix = request.customer.encode() + b"\0"
        return _Span(Table.BY_CUSTOMER, prefix + start, prefix + stop, len(prefix) + 8)
    if request.state:
        prefix = bytes((request.state,)) if 0 < request.state < 256 else b"\xff"
        return _Span(Table.BY_STATUS, prefix + start, prefix + stop, 9)
    return _Span(Table.BY_TIME, start, stop, 8)


def _listed(
    ask: Ask, request: order_service_pb2.ListOrdersRequest, span: _Span, stop: bytes
) -> Iterator[tuple[bytes, str, OrderStatus | None]]:
    """What the index names, with the order if it bears that out: an index may be a checkpoint behind a
    change, and one index does for two filters."""
    for key, _ in ask.reader.scan(span.table, span.start, stop, reverse=True):
        order_id = key[span.before_id :]
        data = ask.reader.get(Table.ORDERS, order_id)
        status = fold(decode_order(data)) if data is not None else None
        stamp = int.from_bytes(key[span.before_id - 8 : span.before_id])
        yield key, order_id.decode(), status if status and _is_meant(status, stamp, request) else None


def _is_meant(status: OrderStatus, stamp: int, request: order_service_pb2.ListOrdersRequest) -> bool:
    counts = status.counts
    if counts is None or counts.claim.hlc != stamp:
        return False
    return not request.state or int(counts.state) == int(request.state)


def _resume(token: str, span: _Span) -> bytes:
    key = _token(token)
    if not span.start <= key < span.stop:
        raise InvalidField("page_token", "belongs to a list with other filters")
    return key


def _token(token: str) -> bytes:
    """The key that a page ended with: one that a table can hold, and that a key can follow."""
    try:
        key = urlsafe_b64decode(token)
    except (Base64Error, ValueError) as problem:
        raise InvalidField("page_token", "is not one that a list has given") from problem
    if not 0 < len(key) < KEY_BYTES_MAX:
        raise InvalidField("page_token", "is not one that a list has given")
    return key


def _stamp(time: timestamp_pb2.Timestamp) -> int:
    milliseconds = time.seconds * 1000 + -(-time.nanos // 1_000_000)
    return min(max(0, hlc(milliseconds)), _STAMP_MAX)


def _page_size(asked: int, limits: Limits) -> int:
    if not 0 <= asked <= limits.page_size_max:
        raise InvalidField("page_size", f"must be 1 to {limits.page_size_max}, not {asked}")
    return asked or min(PAGE_SIZE, limits.page_size_max)


def _record(ask: Ask, order_id: str) -> OrderRecord:
    check_id("order_id", order_id, ask.limits)
    data = ask.reader.get(Table.ORDERS, order_id.encode())
    if data is None:
        raise _not_found(order_id)
    return decode_order(data)


def _not_found(order_id: str) -> NotFound:
    return NotFound("ORDER_NOT_FOUND", f"no order {order_id} is known here", {"order_id": order_id})


def _fill_full(ask: Ask, order: order_pb2.Order, name: OrderName, status: OrderStatus) -> None:
    details = details_of(name, status.record, status, ask.reader.get)
    fill_full_order(order, str(name), status, details, ask.regions)


ORDER_READS: Mapping[str, Read] = {
    "GetOrder": Read(order_service_pb2.GetOrderRequest, get_order),
    "ListOrders": Read(order_service_pb2.ListOrdersRequest, list_orders),
    "ListOrderEvents": Read(order_service_pb2.ListOrderEventsRequest, list_order_events),
}

STOCK_READS: Mapping[str, Read] = {
    "GetStock": Read(stock_service_pb2.GetStockRequest, get_stock),
    "ListStock": Read(stock_service_pb2.ListStockRequest, list_stock),
    "ListTokens": Read(stock_service_pb2.ListTokensRequest, list_tokens),
}
