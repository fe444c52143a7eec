"""PlaceOrders: answers as decided, one stream's limits, and how it ends."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from tallystick.v1 import order_service_pb2, write_pb2
from tests.node.driving import Blockade
from tests.rpc.asking import (
    BASIC,
    CANCELLED,
    CONFIRMED,
    FULL,
    HELD,
    cancel,
    get,
    get_stock,
    hold,
    list_orders,
    order,
    place,
    receive,
)
from tests.rpc.refusals import read_status, refusal
from tests.rpc.serving import CALL_S, serving, until

METHOD = "/tallystick.v1.OrderService/PlaceOrders"


def message(*orders: Any, first: int = 0, **fields: Any) -> order_service_pb2.PlaceOrdersRequest:
    numbered = [
        order_service_pb2.NumberedOrder(number=number, order=placed)
        for number, placed in enumerate(orders, first)
    ]
    return order_service_pb2.PlaceOrdersRequest(orders=numbered, **fields)


async def opened(served: Any) -> Any:
    """A stream whose window was announced."""
    call = served.orders.PlaceOrders(timeout=CALL_S)
    hello = await call.read()
    assert (hello.window_lines, len(hello.answers)) == (20_000, 0)
    return call


async def exchange(call: Any, sent: order_service_pb2.PlaceOrdersRequest) -> Any:
    await call.write(sent)
    return await call.read()


async def ended_by(call: Any) -> Any:
    """The rich error that a stream ends with when all was answered."""
    return await refusal(call.read())


async def test_each_order_is_answered_for_itself(served):
    await receive(served, tea=10)
    await place(served, order("o-0", ("tea", 1)))
    call = await opened(served)
    sent = message(
        order("o-1", ("tea", 3)),
        order("o-2", ("tea", 7)),
        order("a b", ("tea", 1)),
        order("o-0", ("tea", 2)),
        hold("o-3", ("tea", 6)),
        first=41,
        actor="shop",
    )
    answer = await exchange(call, sent)
    assert [a.number for a in answer.answers] == [41, 42, 43, 44, 45]
    sold, short, wrong, reused, held = answer.answers
    assert (sold.order.id, sold.order.state, sold.replayed) == ("o-1", CONFIRMED, False)
    assert (held.order.id, held.order.state) == ("o-3", HELD)
    refused = [read_status(a.error) for a in (short, wrong, reused)]
    assert [r.reason for r in refused] == ["INSUFFICIENT_STOCK", "INVALID_FIELD", "ORDER_ID_REUSED"]
    assert all(r.definite for r in refused)
    assert [(row.sku, row.asked, row.available_here) for row in refused[0].shortages] == [("tea", 7, 6)]
    assert refused[1].fields == ["order.id"]
    assert answer.write.disposition == write_pb2.DISPOSITION_DECIDED
    assert (await get(served, "o-3", answer.write.consistency_token)).state == HELD
    assert (await get_stock(served, "tea")).available_here == 0
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() == grpc.StatusCode.OK


async def test_the_basic_view_says_what_was_decided(served):
    await receive(served, tea=10)
    call = await opened(served)
    for view in (order_service_pb2.ORDER_VIEW_UNSPECIFIED, BASIC):
        names = [f"{kind}-{view}" for kind in "shp"]
        partial = order(names[2], ("tea", 1), ("milk", 5), shortage_mode="SHORTAGE_MODE_PARTIAL")
        sent = message(order(names[0], ("tea", 1)), hold(names[1], ("tea", 1)), partial, view=view)
        sold, held, short = [a.order for a in (await exchange(call, sent)).answers]
        now = served.clock.ms
        assert (sold.state, sold.place_time.ToMilliseconds()) == (CONFIRMED, now)
        assert held.hold_expire_time.ToMilliseconds() == now + 600_000
        assert not sold.lines
        assert not held.lines
        assert [(line.line_id, line.cancelled_quantity) for line in short.lines] == [("2", 5)]
        assert not sold.currency
    call.cancel()


async def test_the_full_view_is_the_whole_order(served):
    await receive(served, tea=10)
    call = await opened(served)
    answer = await exchange(call, message(order("o-1", ("tea", 2), customer="ann"), view=FULL))
    assert answer.answers[0].order == await get(served, "o-1")
    call.cancel()


@pytest.mark.parametrize("view", [BASIC, FULL])
async def test_replays_are_answered_as_the_order_stands_now(served, view):
    await receive(served, tea=10)
    call = await opened(served)
    sent = message(order("o-1", ("tea", 2)), order("o-1", ("tea", 2)), view=view)
    first = await exchange(call, sent)
    assert [a.replayed for a in first.answers] == [False, True]
    await cancel(served, "o-1")
    again = await exchange(call, sent)
    assert [(a.replayed, a.order.state) for a in again.answers] == [(True, CANCELLED)] * 2
    assert (await get_stock(served, "tea")).available_here == 10
    call.cancel()


async def test_a_thousand_orders_in_a_message_and_not_one_more(served):
    await receive(served, tea=3_000)
    call = await opened(served)
    full = message(*(order(f"o-{number}", ("tea", 1)) for number in range(1_000)))
    answer = await exchange(call, full)
    assert [a.number for a in answer.answers] == list(range(1_000))
    assert not any(a.HasField("error") for a in answer.answers)
    await call.write(message(*(order(f"p-{number}", ("tea", 1)) for number in range(1_001))))
    refused = await ended_by(call)
    assert (refused.code, refused.reason, refused.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", ["orders"])
    assert "1001" in refused.message
    assert (await get_stock(served, "tea")).sold == 1_000


async def test_an_empty_message_is_answered(served):
    call = await opened(served)
    answer = await exchange(call, message())
    assert not answer.answers
    call.cancel()


async def test_a_malformed_message_ends_the_stream_after_all_that_was_read(served):
    """Orders read after the malformed message were once placed, and the stream ended as if nothing was."""
    await receive(served, tea=10)
    blockade = Blockade(served.engine)
    method: Any = served.channel.stream_stream(METHOD)
    call = method(timeout=CALL_S)
    assert order_service_pb2.PlaceOrdersResponse.FromString(await call.read()).window_lines
    parts = [
        message(order("o-1", ("tea", 1)), first=1).SerializeToString(),
        b"\xff\xff",
        message(order("o-2", ("tea", 1)), first=2).SerializeToString(),
    ]
    for part in parts:
        await call.write(part)
    blockade.reached()
    await until(lambda: served.engine._queue.qsize() == len(parts))
    blockade.lift()
    answers = [order_service_pb2.PlaceOrdersResponse.FromString(await call.read()).answers for _ in (1, 2)]
    assert [(a.number, a.order.id) for (a,) in answers] == [(1, "o-1"), (2, "o-2")]
    refused = await ended_by(call)
    assert (refused.code, refused.reason, refused.definite) == ("INVALID_ARGUMENT", "INVALID_FIELD", True)
    assert refused.fields == ["request"]
    assert "tallystick.v1.PlaceOrdersRequest" in refused.message


async def test_a_client_that_goes_away_leaves_its_place(tmp_path):
    async with serving(tmp_path / "node", calls_max=1) as served:
        await receive(served, tea=100)
        for number in range(20):
            call = await opened(served)
            await call.write(message(order(f"o-{number}", ("tea", 1))))
            call.cancel()
            await until(lambda: not served.running.shell._calls)
        await receive(served, "r-2", tea=1)  # behind all that is queued
        # What was read is done, whoever asked for it: each order is there, or the id is free.
        placed = (await list_orders(served)).orders
        assert (await get_stock(served, "tea")).sold == len(placed)


async def test_who_does_not_read_holds_up_nobody_else(served):
    """A stream reads on only while fewer than 16 of its messages are unanswered."""
    await receive(served, tea=100_000)
    lazy = await opened(served)
    sent = message(*(order(f"o-{number}", ("tea", 1)) for number in range(200)), view=FULL)
    for _ in range(24):
        await lazy.write(sent)
    other = await opened(served)
    for number in range(50):
        (answer,) = (await exchange(other, message(order(f"p-{number}", ("tea", 1))))).answers
        assert answer.order.state == CONFIRMED
    received = 0
    for _ in range(24):
        received += len((await lazy.read()).answers)
    assert received == 24 * 200
    for call in (lazy, other):
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_many_streams_and_calls_take_each_unit_once(served):
    await receive(served, tea=500)
    streams = [await opened(served) for _ in range(4)]
    for turn in range(5):
        for number, call in enumerate(streams):
            names = [f"o-{turn}-{number}-{index}" for index in range(40)]
            await call.write(message(*(order(name, ("tea", 1)) for name in names)))
    outcomes = []
    for _ in range(5):
        for call in streams:
            outcomes += [a.HasField("error") for a in (await call.read()).answers]
    assert (outcomes.count(False), outcomes.count(True)) == (500, 300)
    stock = await get_stock(served, "tea")
    assert (stock.sold, stock.available_here) == (500, 0)
    for call in streams:
        call.cancel()
