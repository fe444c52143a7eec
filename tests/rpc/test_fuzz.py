"""Whatever bytes come, a node answers: done, or a refusal that leaves everything as it was."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.store.port import Table
from tallystick.v1 import cluster_service_pb2, order_pb2, order_service_pb2, stock_service_pb2
from tests.node.checking import check_store, tables_of
from tests.rpc.asking import edit, events_of, get, hold, list_orders, order, pay, place, receive
from tests.rpc.mutating import disturbed, scrambled
from tests.rpc.refusals import Refusal, read_status, status_of_call
from tests.rpc.serving import CALL_S, Served, serving

REFUSALS = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "ABORTED",
    "UNAVAILABLE",  # behind a token
}
ORDERS = "/tallystick.v1.OrderService/"
STOCK = "/tallystick.v1.StockService/"
CLUSTER = "/tallystick.v1.ClusterService/"
PLACE_ORDERS = ORDERS + "PlaceOrders"
WAIT_S = 0.5


@dataclass(repr=False)
class Fuzzed:
    """A node with some trade, and what its tables held after the last call that was not refused."""

    served: Served
    loop: asyncio.AbstractEventLoop
    tables: dict[Table, Any]
    answers: Counter[str]


@pytest.fixture(scope="module")
async def fuzzed(tmp_path_factory):
    async with serving(tmp_path_factory.mktemp("fuzz") / "node", backlog_events=1_000) as served:
        await receive(served, tea=1_000, milk=5)
        await place(served, order("o-1", ("tea", 2), customer="ann"))
        await place(served, hold("o-2", ("tea", 3), ("milk", 1)))
        await place(served, hold("o-3", ("tea", 1), hold_s=86_400))
        await pay(served, "o-1", 100, "p-1")
        await edit(served, "o-2", "e-1", note="a")
        yield Fuzzed(served, asyncio.get_running_loop(), contents(served), Counter())
        check_store(served.engine.store)
        for name in [one.id for one in (await list_orders(served, page_size=1_000)).orders]:
            assert (await get(served, name)).id == name
            assert (await events_of(served, name)).events


def contents(served: Served) -> dict[Table, Any]:
    """All tables, but for where the checkpoints are: those go on by themselves."""
    return tables_of(served.engine.store) | {Table.META: {}}


def valid_requests(node: str) -> dict[str, Any]:
    """One request that is in order for each method; later ones are replays, refused or done again."""
    hold_time = duration_pb2.Duration(seconds=60)
    when = timestamp_pb2.Timestamp(seconds=1_760_000_000)
    items = [stock_service_pb2.StockQuantity(sku="tea", location="shelf", quantity=5)]
    details = order_pb2.Details(
        note="b", tags=["gift"], attributes={"lane": "7"}, shipping_address=order_pb2.Address(city="Bern")
    )
    fee = order_pb2.Adjustment(adjustment_id="a", kind=order_pb2.ADJUSTMENT_KIND_FEE, amount=5)
    placed = hold("o-9", ("tea", 1), ("milk", 1), customer="bob", details=details, adjustments=[fee])
    mask = field_mask_pb2.FieldMask(paths=["note", "tags", "attributes.lane", "shipping_address"])
    payment = order_pb2.Payment(payment_id="p", kind=2, amount=10, currency="EUR", reference="r")  # type: ignore[arg-type]
    share = stock_service_pb2.TokenShare(node=node, weight=1)
    line = order_pb2.LineQuantity(line_id="1", quantity=1)
    numbered = [
        order_service_pb2.NumberedOrder(number=number, order=one)
        for number, one in enumerate((placed, order("o-8", ("tea", 1))))
    ]
    orders, stock = order_service_pb2, stock_service_pb2
    by_name: Any = {"order_id": "o-2", "request_id": "r", "actor": "a"}
    return {
        ORDERS + "PlaceOrder": orders.PlaceOrderRequest(order=placed, actor="a", view=2),  # type: ignore[arg-type]
        PLACE_ORDERS: orders.PlaceOrdersRequest(orders=numbered, actor="a", view=2),  # type: ignore[arg-type]
        ORDERS + "ConfirmOrder": orders.ConfirmOrderRequest(**by_name),
        ORDERS + "ExtendHold": orders.ExtendHoldRequest(hold=hold_time, **by_name),
        ORDERS + "RecordPayment": orders.RecordPaymentRequest(order_id="o-2", payment=payment, actor="a"),
        ORDERS + "CancelOrder": orders.CancelOrderRequest(lines=[line], reason="x", **by_name),
        ORDERS + "EditOrder": orders.EditOrderRequest(details=details, update_mask=mask, **by_name),
        ORDERS + "GetOrder": orders.GetOrderRequest(order_id="o-1", consistency_token=b"x"),
        ORDERS + "ListOrders": orders.ListOrdersRequest(
            customer="ann", placed_from=when, placed_until=when, page_size=3, page_token="eA=="
        ),
        ORDERS + "ListOrderEvents": orders.ListOrderEventsRequest(
            order_id="o-1", page_size=1, page_token="1"
        ),
        STOCK + "ReceiveStock": stock.ReceiveStockRequest(
            receipt_id="b", node=node, items=items, actor="a", split=[share]
        ),
        STOCK + "AdjustStock": stock.AdjustStockRequest(
            adjustment_id="c", node=node, items=items, reason="x", actor="a"
        ),
        STOCK + "MoveTokens": stock.MoveTokensRequest(
            request_id="m", node=node, to="0" * 11 + "1", items=items, actor="a"
        ),
        STOCK + "SetStockPolicy": stock.SetStockPolicyRequest(
            request_id="d", node=node, sku="tea", location="shelf", overbooking_limit=4
        ),
        STOCK + "GetStock": stock.GetStockRequest(sku="tea", location="shelf"),
        STOCK + "ListStock": stock.ListStockRequest(sku_prefix="t", page_size=1, page_token="dGVhAA=="),
        CLUSTER + "GetStatus": cluster_service_pb2.GetStatusRequest(),
        CLUSTER + "ListMembers": cluster_service_pb2.ListMembersRequest(),
        CLUSTER + "CreateInvitation": cluster_service_pb2.CreateInvitationRequest(valid_for=hold_time),
    }


VALID = valid_requests("")
METHODS = sorted(VALID)


def patience_s(path: str, data: bytes) -> float:
    """Who waits for a decision that nobody will take is answered when his time is up."""
    try:
        request = type(VALID[path]).FromString(data)
    except DecodeError:
        return CALL_S
    return WAIT_S if getattr(request, "wait_for_decision", False) else CALL_S


async def send(served: Served, path: str, data: bytes) -> list[Refusal]:
    """Send a request as bytes; answers its refusals, one for each order on a stream."""
    method: Any
    timeout_s = patience_s(path, data)
    try:
        if path != PLACE_ORDERS:
            method = served.channel.unary_unary(path)
            await method(data, timeout=timeout_s)
            return []
        method = served.channel.stream_stream(path)
        call = method(timeout=timeout_s)
        await call.read()
        await call.write(data)
        await call.done_writing()
        parts = []
        while (part := await call.read()) is not grpc.aio.EOF:
            parts.append(order_service_pb2.PlaceOrdersResponse.FromString(part))
        errors = [read_status(one.error) for part in parts for one in part.answers if one.HasField("error")]
        return errors if len(errors) == sum(len(part.answers) for part in parts) else []
    except grpc.aio.AioRpcError as error:
        return [read_status(status_of_call(error))]


def judge(fuzzed: Fuzzed, path: str, data: bytes) -> None:
    """Send it. If all of it was refused, nothing may have changed."""
    refusals = fuzzed.loop.run_until_complete(send(fuzzed.served, path, data))
    now = contents(fuzzed.served)
    for refused in refusals:
        assert refused.code in REFUSALS, refused
        assert refused.definite
        fuzzed.answers[refused.reason] += 1
    if refusals:
        assert now == fuzzed.tables
    else:
        fuzzed.answers["OK"] += 1
        fuzzed.tables = now


@pytest.mark.parametrize("path", METHODS)
@settings(max_examples=25)
@given(data=st.binary(max_size=200))
def test_random_bytes(fuzzed, path, data):
    judge(fuzzed, path, data)


@pytest.mark.parametrize("path", METHODS)
@settings(max_examples=40)
@given(data=st.data())
def test_valid_requests_with_bytes_changed(fuzzed, path, data):
    judge(fuzzed, path, data.draw(scrambled(valid_requests(fuzzed.served.node)[path])))


@pytest.mark.parametrize("path", METHODS)
@settings(max_examples=60)
@given(data=st.data())
def test_valid_requests_with_fields_at_the_edge(fuzzed, path, data):
    judge(fuzzed, path, data.draw(disturbed(valid_requests(fuzzed.served.node)[path])))


def test_the_fuzz_reached_something(fuzzed):
    """A fuzz that is always refused at the door, or never, would prove nothing."""
    for path, request in valid_requests(fuzzed.served.node).items():
        judge(fuzzed, path, request.SerializeToString())
    reached = {
        *("OK", "INVALID_FIELD", "ORDER_NOT_FOUND", "STOCK_NOT_FOUND", "WRONG_NODE"),
        *("REQUEST_ID_REUSED", "ORDER_ID_REUSED"),
    }
    assert reached <= set(fuzzed.answers), reached - set(fuzzed.answers)
    assert fuzzed.answers["OK"] > 100
