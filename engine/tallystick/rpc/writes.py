"""Writes: one table of methods, and the jobs that carry them through the engine thread.

A job reads its request and makes its answer in the engine thread, so that the loop thread moves bytes only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from tallystick.core.clock import hlc_ms
from tallystick.core.errors import InvalidField, Refused
from tallystick.core.members import Member
from tallystick.core.order.document import show
from tallystick.core.order.facts import IntentKind, OrderRecord
from tallystick.core.order.others import OrderName
from tallystick.core.order.status import OrderStatus, fold
from tallystick.core.replica.commands import Command
from tallystick.core.replica.outcome import Outcome
from tallystick.core.replica.view import decode_document
from tallystick.node.jobs import Job, Receipt, Result
from tallystick.rpc import requests
from tallystick.rpc.errors import status_of
from tallystick.rpc.messages import (
    Demands,
    Regions,
    fill_basic_order,
    fill_full_order,
    stock_message,
)
from tallystick.store.port import Table
from tallystick.store.store import Store
from tallystick.v1 import order_pb2, order_service_pb2, stock_service_pb2, write_pb2

BATCH_ORDERS_MAX = 1_000
_BASIC = order_service_pb2.ORDER_VIEW_BASIC
_FULL = order_service_pb2.ORDER_VIEW_FULL
_DECIDED = write_pb2.DISPOSITION_DECIDED
_RECORDED = write_pb2.DISPOSITION_RECORDED


@dataclass(frozen=True, slots=True)
class Site:
    """What answers are made with: the committed store, who we are, who and where the others are, and what
    is asked for at each."""

    store: Store
    replica: int
    regions: Regions
    members: Callable[[], Mapping[int, Member]]
    demands: Demands


@dataclass(frozen=True, slots=True)
class Write:
    """One unary method: its messages, and the two ways between them and the core."""

    request: Any
    response: Any
    command: Callable[[Any], Command]
    fill: Callable[[Any, Any, Outcome, Site], None]


class UnaryJob(Job):
    """One unary write."""

    __slots__ = ("_data", "_deadline", "_future", "_replicas", "_request", "_site", "_write")

    def __init__(
        self, write: Write, data: bytes, deadline: float | None, site: Site, future: asyncio.Future[Any]
    ) -> None:
        self._write = write
        self._data = data
        self._site = site
        self._future = future
        self._request: Any = None
        self._replicas = 0
        self._deadline = deadline

    @property
    def deadline(self) -> float | None:
        """Past as soon as nobody waits any more."""
        return 0.0 if self._future.cancelled() else self._deadline

    @property
    def replicas(self) -> int:
        return self._replicas

    @property
    def waits_for_decision(self) -> bool:
        return getattr(self._request, "wait_for_decision", False)

    @property
    def waits_for_tokens(self) -> bool:
        return True

    def commands(self) -> Sequence[Command | Refused]:
        try:
            self._request = parse(self._write.request, self._data)
            self._replicas = requests.check_replicas(getattr(self._request, "replicas", 0))
            return (self._write.command(self._request),)
        except Refused as refusal:
            return (refusal,)

    def answer(self, results: Sequence[Result], receipt: Receipt) -> bytes | status_pb2.Status:
        result = results[0]
        if isinstance(result, Refused):
            return status_of(result)
        response = self._write.response()
        _fill_write(response.write, result, receipt)
        self._write.fill(response, self._request, result, self._site)
        return cast(bytes, response.SerializeToString())

    def deliver(self, answer: bytes | status_pb2.Status | Refused) -> None:
        if not self._future.done():
            self._future.set_result(status_of(answer) if isinstance(answer, Refused) else answer)


class Pieces:
    """Into how many answers a message of a stream was split, and how many of them are still to come."""

    __slots__ = ("aside", "left")

    def __init__(self) -> None:
        self.left = 1
        self.aside = False
        """Some of it waits for tokens: the messages behind it need not."""


class BatchJob(Job):
    """One message of a PlaceOrders stream, or a piece of one. `sink` gets each answer, on the loop, whether
    it is the message's last, and whether it makes room for another one; `aside` is called in the engine
    thread, once, when the message is done but for orders that wait for tokens."""

    __slots__ = (
        *("_aside", "_data", "_deadline", "_full", "_gone", "_last", "_numbers", "_pieces", "_replicas"),
        *("_sink", "_site", "_split"),
    )

    def __init__(
        self,
        data: bytes,
        deadline: float | None,
        site: Site,
        sink: Callable[[bytes | status_pb2.Status, bool, bool], None],
        gone: Callable[[], bool],
        aside: Callable[[], None],
    ) -> None:
        self._data = data
        self._site = site
        self._sink = sink
        self._aside = aside
        self._numbers: list[int] = []
        self._full = False
        self._gone = gone
        self._deadline = deadline
        self._replicas = 0
        self._pieces = Pieces()
        self._split = self._last = False

    @property
    def deadline(self) -> float | None:
        """Past as soon as nobody listens any more."""
        return 0.0 if self._gone() else self._deadline

    @property
    def replicas(self) -> int:
        return self._replicas

    @property
    def waits_for_tokens(self) -> bool:
        return True

    def part(self, places: Sequence[int]) -> Job:
        """Some of the orders, answered by themselves; this job is then answered by its parts alone."""
        piece = BatchJob(b"", self._deadline, self._site, self._sink, self._gone, self._aside)
        piece._numbers = [self._numbers[place] for place in places]
        piece._full, piece._replicas, piece._pieces = self._full, self._replicas, self._pieces
        if not self._pieces.aside:
            self._pieces.aside = True
            self._aside()
        self._pieces.left += 1 if self._split else 0
        self._split = True
        return piece

    def commands(self) -> Sequence[Command | Refused]:
        try:
            request = parse(order_service_pb2.PlaceOrdersRequest, self._data)
            self._replicas = requests.check_replicas(request.replicas)
        except Refused as refusal:
            return (refusal,)
        if len(request.orders) > BATCH_ORDERS_MAX:
            return (InvalidField("orders", f"must be 0 to {BATCH_ORDERS_MAX}, not {len(request.orders)}"),)
        self._full = request.view == _FULL
        actor = request.actor
        numbers = self._numbers
        commands: list[Command | Refused] = []
        for numbered in request.orders:
            numbers.append(numbered.number)
            try:
                commands.append(requests.place(numbered.order, actor))
            except Refused as refusal:
                commands.append(refusal)
        return commands

    def answer(self, results: Sequence[Result], receipt: Receipt) -> bytes | status_pb2.Status:
        numbers = self._numbers
        self._pieces.left -= 1
        self._last = not self._pieces.left
        if len(results) != len(numbers):  # the message as a whole was refused
            refusal = results[0]
            assert isinstance(refusal, Refused)
            return status_of(refusal)
        response = order_service_pb2.PlaceOrdersResponse()
        response.write.consistency_token = receipt.token
        response.write.replicated_to = receipt.replicated_to
        response.write.disposition = _DECIDED
        seconds, rest = divmod(hlc_ms(receipt.hlc), 1000)
        nanos = rest * 1_000_000
        add = response.answers.add
        for number, result in zip(numbers, results, strict=True):
            answer = add(number=number)
            if isinstance(result, Refused):
                answer.error.CopyFrom(status_of(result))
            elif self._full or result.replayed or result.record.decisions:
                answer.replayed = result.replayed
                _fill_one(answer.order, result, self._site, full=self._full)
            else:
                _fill_fresh(answer.order, result, seconds, nanos)
        return response.SerializeToString()

    def deliver(self, answer: bytes | status_pb2.Status | Refused) -> None:
        whole = self._last and not self._pieces.aside
        self._sink(status_of(answer) if isinstance(answer, Refused) else answer, self._last, whole)


def details_of(
    name: OrderName, record: OrderRecord, status: OrderStatus, get: Callable[[Table, bytes], bytes | None]
) -> dict[str, str]:
    """The order's details as they stand, read with `get` if they were ever edited. The document belongs to
    the order that stands for the id: one that does not shows what it was placed with."""
    if status.counts is None:
        return {}
    placed = status.counts.body.details
    if name.dot or not any(intent.kind == IntentKind.EDIT for intent in record.intents):
        return dict(placed)
    data = get(Table.DOCUMENTS, name.order_id.encode())
    return show(decode_document(data), placed) if data is not None else dict(placed)


def _fill_fresh(order: order_pb2.Order, outcome: Outcome, seconds: int, nanos: int) -> None:
    """A placing of this very commit, in the basic view."""
    order.id = outcome.order_id
    placed = outcome.record.claims[0].placed
    time = order.place_time
    time.seconds = seconds
    time.nanos = nanos
    if placed.hold_until_ms:
        order.state = order_pb2.ORDER_STATE_HELD
        order.hold_expire_time.FromMilliseconds(placed.hold_until_ms)
    else:
        order.state = order_pb2.ORDER_STATE_CONFIRMED
    for line_id, units in placed.short:
        order.lines.add(line_id=line_id, cancelled_quantity=units)


def _fill_one(order: order_pb2.Order, outcome: Outcome, site: Site, *, full: bool) -> None:
    status = fold(outcome.record)
    if not full:
        fill_basic_order(order, outcome.order_id, status)
        return
    name = OrderName.parse(outcome.order_id)
    details = details_of(name, outcome.record, status, site.store.get)
    fill_full_order(order, outcome.order_id, status, details, site.regions)


def _fill_order(response: Any, request: Any, outcome: Outcome, site: Site) -> None:
    _fill_one(response.order, outcome, site, full=True)


def _fill_placed(response: Any, request: Any, outcome: Outcome, site: Site) -> None:
    _fill_one(response.order, outcome, site, full=request.view != _BASIC)


def _fill_stocks(response: Any, request: Any, outcome: Outcome, site: Site) -> None:
    response.stock.extend(stock_message(key, stock, site.replica) for key, stock in outcome.stock)


def _fill_stock(response: Any, request: Any, outcome: Outcome, site: Site) -> None:
    key, stock = outcome.stock[0]
    response.stock.CopyFrom(stock_message(key, stock, site.replica))


def _fill_write(write: write_pb2.WriteResult, outcome: Outcome, receipt: Receipt) -> None:
    write.consistency_token = receipt.token
    write.replicated_to = receipt.replicated_to
    write.disposition = _RECORDED if outcome.recorded else _DECIDED
    write.replayed = outcome.replayed


def parse(kind: Any, data: bytes) -> Any:
    """Read a request. Raises InvalidField on bytes that are not one."""
    try:
        return kind.FromString(data)
    except DecodeError as problem:
        raise InvalidField("request", f"is not a {kind.DESCRIPTOR.full_name}") from problem


_ORDERS = order_service_pb2
_STOCK = stock_service_pb2

ORDER_WRITES: Mapping[str, Write] = {
    "PlaceOrder": Write(
        _ORDERS.PlaceOrderRequest, _ORDERS.PlaceOrderResponse, requests.place_order, _fill_placed
    ),
    "ConfirmOrder": Write(
        _ORDERS.ConfirmOrderRequest, _ORDERS.ConfirmOrderResponse, requests.confirm_order, _fill_order
    ),
    "ExtendHold": Write(
        _ORDERS.ExtendHoldRequest, _ORDERS.ExtendHoldResponse, requests.extend_hold, _fill_order
    ),
    "RecordPayment": Write(
        _ORDERS.RecordPaymentRequest, _ORDERS.RecordPaymentResponse, requests.record_payment, _fill_order
    ),
    "CancelOrder": Write(
        _ORDERS.CancelOrderRequest, _ORDERS.CancelOrderResponse, requests.cancel_order, _fill_order
    ),
    "EditOrder": Write(_ORDERS.EditOrderRequest, _ORDERS.EditOrderResponse, requests.edit_order, _fill_order),
}

STOCK_WRITES: Mapping[str, Write] = {
    "ReceiveStock": Write(
        _STOCK.ReceiveStockRequest, _STOCK.ReceiveStockResponse, requests.receive_stock, _fill_stocks
    ),
    "AdjustStock": Write(
        _STOCK.AdjustStockRequest, _STOCK.AdjustStockResponse, requests.adjust_stock, _fill_stocks
    ),
    "MoveTokens": Write(
        _STOCK.MoveTokensRequest, _STOCK.MoveTokensResponse, requests.move_tokens, _fill_stocks
    ),
    "SetStockPolicy": Write(
        _STOCK.SetStockPolicyRequest, _STOCK.SetStockPolicyResponse, requests.set_policy, _fill_stock
    ),
}
