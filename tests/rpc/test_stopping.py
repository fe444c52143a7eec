"""A graceful stop: what was accepted is answered, what comes later is refused, nothing is left to replay."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from tallystick.v1 import cluster_service_pb2, order_service_pb2
from tests.node.driving import Blockade
from tests.rpc.asking import get, get_stock, hold, list_orders, order, place, place_all, receive
from tests.rpc.refusals import refusal
from tests.rpc.serving import CALL_S, Served, serving, start, until


def numbered(number: int) -> order_service_pb2.PlaceOrdersRequest:
    placed = order_service_pb2.NumberedOrder(number=number, order=order(f"s-{number}", ("tea", 1)))
    return order_service_pb2.PlaceOrdersRequest(orders=[placed])


async def stop_in_the_middle(served: Served) -> tuple[list[Any], Any, asyncio.Task[None]]:
    """Thirty calls and ten stream messages that the engine has not looked at, and a node told to stop."""
    blockade = Blockade(served.engine)
    blockade.reached()
    calls = [asyncio.ensure_future(place(served, order(f"o-{number}", ("tea", 1)))) for number in range(30)]
    stream = served.orders.PlaceOrders(timeout=CALL_S)
    assert (await stream.read()).window_lines
    for number in range(10):
        await stream.write(numbered(number))
    await until(lambda: served.engine._queue.qsize() == 40)
    stopping = asyncio.ensure_future(served.running.stop(10))
    await until(served.running.shell.stopping.is_set)
    # Who comes too late is told so for as long as others are still being answered.
    assert (await refusal(get(served, "late"))).reason == "NODE_STOPPING"
    assert (await refusal(place(served, order("late", ("tea", 1))))).reason == "NODE_STOPPING"
    assert not stopping.done()
    blockade.lift()
    return calls, stream, stopping


async def test_what_was_accepted_is_answered(tmp_path):
    served = await start(tmp_path / "node")
    await receive(served, tea=1_000)
    calls, stream, stopping = await stop_in_the_middle(served)
    answers = await asyncio.gather(*calls)
    assert [answer.order.id for answer in answers] == [f"o-{number}" for number in range(30)]
    told = [(await stream.read()).answers[0].number for _ in range(10)]
    assert told == list(range(10))
    refused = await refusal(stream.read())
    assert (refused.code, refused.reason, refused.definite) == ("UNAVAILABLE", "NODE_STOPPING", True)
    assert refused.retry_ms == 100
    await stopping
    await served.channel.close()
    assert served.broken == []
    async with serving(tmp_path / "node") as again:
        assert (await get_stock(again, "tea")).sold == 40
        status = await again.cluster.GetStatus(cluster_service_pb2.GetStatusRequest(), timeout=CALL_S)
        assert status.storage.checkpoint_backlog <= 1  # where it is reached now, and nothing else
        # With the founding, the receipt, and where it is reached now.
        assert (status.node, status.sequence) == (again.node, 43)
        assert len((await list_orders(again)).orders) == 40


async def test_what_comes_too_late_is_refused(tmp_path):
    """Which of two refusals depends on whether the client knows by then that the connection ends."""
    served = await start(tmp_path / "node")
    await receive(served, tea=10)
    served.running.shell.stopping.set()
    for call in (place(served, order("late", ("tea", 1))), get(served, "late"), get_stock(served, "tea")):
        refused = await refusal(call)
        assert (refused.code, refused.reason, refused.definite) == ("UNAVAILABLE", "NODE_STOPPING", True)
        assert refused.retry_ms == 100
    stream = served.orders.PlaceOrders(timeout=CALL_S)
    assert (await refusal(stream.read())).reason == "NODE_STOPPING"
    await served.running.stop(0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await place(served, order("later", ("tea", 1)))
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    await served.channel.close()
    async with serving(tmp_path / "node") as again:
        for name in ("late", "later"):
            assert (await refusal(get(again, name))).reason == "ORDER_NOT_FOUND"


async def test_a_stream_that_waits_for_nothing_ends_too(tmp_path):
    served = await start(tmp_path / "node")
    await receive(served, tea=10)
    idle = served.orders.PlaceOrders(timeout=CALL_S)
    assert (await idle.read()).window_lines
    await idle.write(numbered(7))
    assert (await idle.read()).answers[0].number == 7
    stopping = asyncio.ensure_future(served.running.stop(10))
    assert (await refusal(idle.read())).reason == "NODE_STOPPING"
    await stopping
    await served.channel.close()


async def test_a_stop_waits_for_what_is_on_streams_too(tmp_path):
    """The grace is for them as for calls: they once had as long as the last bytes of calls have."""
    served = await start(tmp_path / "node")
    await receive(served, tea=10)
    blockade = Blockade(served.engine)
    blockade.reached()
    stream = served.orders.PlaceOrders(timeout=CALL_S)
    assert (await stream.read()).window_lines
    await stream.write(numbered(7))
    await until(lambda: served.engine._queue.qsize() == 1)
    stopping = asyncio.ensure_future(served.running.stop(10))
    _, pending = await asyncio.wait({stopping}, timeout=0.6)
    assert pending
    blockade.lift()
    assert (await stream.read()).answers[0].number == 7
    assert (await refusal(stream.read())).reason == "NODE_STOPPING"
    await stopping
    await served.channel.close()


async def test_a_stop_without_patience_cuts_off(tmp_path):
    """Who set a grace of nothing gets that: what was accepted is done whole or not, and nobody is told."""
    served = await start(tmp_path / "node")
    await receive(served, tea=10)
    blockade = Blockade(served.engine)
    blockade.reached()
    call = asyncio.ensure_future(place(served, order("o-1", ("tea", 1))))
    await until(lambda: served.engine._queue.qsize() == 1)
    stopping = asyncio.ensure_future(served.running.stop(0))
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    blockade.lift()
    await stopping
    await served.channel.close()
    async with serving(tmp_path / "node") as again:
        placed = {one.id for one in (await list_orders(again)).orders}
        assert (await get_stock(again, "tea")).sold == len(placed)


async def test_a_stop_writes_the_checkpoints_of_a_large_backlog(tmp_path):
    served = await start(tmp_path / "node", backlog_events=1_000)
    await receive(served, tea=10_000)
    for turn in range(3):
        await place_all(served, *(hold(f"o-{turn}-{number}", ("tea", 1)) for number in range(800)))
    before = await list_orders(served, page_size=1_000)
    await served.stop()
    async with serving(tmp_path / "node") as again:
        assert again.engine.store.backlog <= 1  # where it is reached now
        assert await list_orders(again, page_size=1_000) == before
        stock = await get_stock(again, "tea")
        assert (stock.reserved, stock.available_here) == (2_400, 7_600)


async def test_the_address_of_a_running_node_is_taken(tmp_path):
    """It once raised what nobody caught, and kept the directory locked."""
    async with serving(tmp_path / "one") as first:
        with pytest.raises(OSError, match=first.address):
            await start(tmp_path / "two", listen=first.address)
    async with serving(tmp_path / "two") as second:
        await receive(second, tea=1)
