"""Too many calls, too little time: what was not begun is refused, and says so."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest

from tallystick.node.jobs import Receipt
from tallystick.rpc.writes import ORDER_WRITES, BatchJob, UnaryJob
from tallystick.v1 import cluster_service_pb2, order_service_pb2
from tests.node.driving import Blockade
from tests.node.logs import take_errors
from tests.rpc.asking import get, list_orders, order, place, receive
from tests.rpc.refusals import read_status, refusal
from tests.rpc.serving import CALL_S, serving, until


async def refused_at_the_door(served: Any, limit: int) -> None:
    for call in (place(served, order("late", ("tea", 1))), get(served, "late"), list_orders(served)):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
        assert (refused.definite, refused.retry_ms) == (True, 100)
        assert str(limit) in refused.message
    # A stream takes the place of no call, and operators get through.
    stream = served.orders.PlaceOrders(timeout=CALL_S)
    assert (await stream.read()).window_lines
    stream.cancel()
    assert (await served.cluster.GetStatus(cluster_service_pb2.GetStatusRequest(), timeout=CALL_S)).node


@pytest.mark.parametrize("limit", [1, 7, 1_000])
async def test_as_many_calls_as_are_allowed_and_not_one_more(tmp_path, limit):
    async with serving(tmp_path / "node", calls_max=limit) as served:
        await receive(served, tea=limit)
        blockade = Blockade(served.engine)
        blockade.reached()
        calls = [
            asyncio.ensure_future(place(served, order(f"o-{number}", ("tea", 1)))) for number in range(limit)
        ]
        await until(lambda: served.engine._queue.qsize() == limit)
        await refused_at_the_door(served, limit)
        assert not any(call.done() for call in calls)
        blockade.lift()
        answers = await asyncio.gather(*calls)
        assert not any(answer.write.replayed for answer in answers)
        # Their places are free again.
        assert (await get(served, f"o-{limit - 1}")).id == f"o-{limit - 1}"


async def test_a_stream_is_one_call_however_much_is_on_it(tmp_path):
    async with serving(tmp_path / "node", calls_max=2) as served:
        await receive(served, tea=100)
        stream = served.orders.PlaceOrders(timeout=CALL_S)
        await stream.read()
        for number in range(10):
            numbered = order_service_pb2.NumberedOrder(order=order(f"o-{number}", ("tea", 1)))
            await stream.write(order_service_pb2.PlaceOrdersRequest(orders=[numbered]))
        assert (await place(served, order("p", ("tea", 1)))).order.id == "p"
        stream.cancel()


async def test_a_call_whose_time_is_over_is_never_begun(served):
    await receive(served, tea=10)
    blockade = Blockade(served.engine)
    blockade.reached()
    request = order_service_pb2.PlaceOrderRequest(order=order("late", ("tea", 1)))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.orders.PlaceOrder(request, timeout=0.05)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    blockade.lift()
    assert not (await place(served, order("other", ("tea", 1)))).write.replayed
    assert (await refusal(get(served, "late"))).reason == "ORDER_NOT_FOUND"
    assert not served.running.shell._calls


async def test_what_was_not_begun_in_time_says_so(served):
    """The caller has given up by then; a proxy or a log still reads it."""
    loop = asyncio.get_running_loop()
    past = time.monotonic() - 1
    unary: asyncio.Future[Any] = loop.create_future()
    data = order_service_pb2.PlaceOrderRequest(order=order("late", ("tea", 1))).SerializeToString()
    site = served.running.shell.site
    served.engine.submit(UnaryJob(ORDER_WRITES["PlaceOrder"], data, past, site, unary))
    batch: asyncio.Future[Any] = loop.create_future()
    gone, aside = lambda: False, lambda: None
    served.engine.submit(BatchJob(data, past, site, lambda answer, *_: batch.set_result(answer), gone, aside))
    for answer in (await unary, await batch):
        refused = read_status(answer)
        assert (refused.code, refused.reason, refused.definite) == ("DEADLINE_EXCEEDED", "NOT_STARTED", True)
    assert (await refusal(get(served, "late"))).reason == "ORDER_NOT_FOUND"


async def test_an_answer_that_cannot_be_made_is_indefinite(served, logs):
    """The commit is done by then: it happened, although nobody could say so."""

    class Speechless(UnaryJob):
        def answer(self, results: Any, receipt: Receipt) -> Any:
            raise ArithmeticError("no words")

    await receive(served, tea=10)
    unary: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    data = order_service_pb2.PlaceOrderRequest(order=order("o-1", ("tea", 1))).SerializeToString()
    site = served.running.shell.site
    served.engine.submit(Speechless(ORDER_WRITES["PlaceOrder"], data, None, site, unary))
    refused = read_status(await unary)
    assert (refused.code, refused.reason, refused.definite) == ("INTERNAL", "INTERNAL", False)
    assert (await get(served, "o-1")).id == "o-1"
    assert take_errors(logs) == ["an answer failed by a bug"]
