"""Two and three nodes sell: each what it has, and what others have once it has asked for their tokens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tallystick.v1 import order_service_pb2, stock_service_pb2
from tests.replication.cluster import agreed, linked, status_of
from tests.rpc.asking import (
    CANCELLED,
    CONFIRMED,
    cancel,
    confirm,
    edit,
    get,
    get_stock,
    hold,
    order,
    place,
    place_all,
    receive,
)
from tests.rpc.refusals import refusal
from tests.rpc.serving import CALL_S, Served


@pytest.fixture
async def two(cluster):
    eu, us = await cluster.found("eu"), await cluster.join("us")
    await linked(eu, us)
    await agreed(eu, us)
    return eu, us


async def seen_by(node: Served, token: bytes) -> None:
    """Wait until a node has what a token stands for: it says so until then."""
    loop = asyncio.get_running_loop()
    end = loop.time() + CALL_S
    request = order_service_pb2.ListOrdersRequest(page_size=1, consistency_token=token)
    while True:
        call = node.orders.ListOrders(request, timeout=CALL_S)
        if (await call.code()).name == "OK":
            return
        assert (await refusal(call)).reason == "BEHIND_TOKEN"
        assert loop.time() < end


async def sold(node: Served, sku: str) -> int:
    return int((await get_stock(node, sku)).sold)


async def test_orders_placed_on_each_side_are_read_on_all(cluster):
    nodes = await cluster.three()
    for number, node in enumerate(nodes):
        await receive(node, f"r-{number}", tea=100)
    for number, node in enumerate(nodes):
        await place(node, order(f"o-{number}", ("tea", 2), customer="ann"))
        await place(node, hold(f"h-{number}", ("tea", 1)))
        await edit(node, f"o-{number}", "e", note=f"of {node.region}")
    await agreed(*nodes)
    for name in ("o-0", "o-1", "o-2", "h-0", "h-1", "h-2"):
        answers = [await get(node, name) for node in nodes]
        assert answers[0] == answers[1] == answers[2]
    for node in nodes:
        stock = await get_stock(node, "tea")
        assert (stock.sold, stock.reserved, stock.on_hand) == (6, 3, 300)


async def test_a_token_of_one_node_is_good_at_another(two):
    eu, us = two
    await receive(eu, tea=10)
    for number in range(20):
        token = (
            (
                await place(
                    eu, order(f"o-{number}", ("tea", 1)) if number < 10 else hold(f"o-{number}", ("tea", 0))
                )
            ).write.consistency_token
            if number < 10
            else (await edit(eu, "o-1", f"e-{number}", note=str(number))).write.consistency_token
        )
        await seen_by(us, token)
        name = f"o-{number}" if number < 10 else "o-1"
        assert (await get(us, name, token)).id == name


async def test_a_write_waits_for_the_disks_of_others(cluster):
    nodes = await cluster.three()
    eu, us, asia = nodes
    await receive(eu, tea=10)
    for replicas in (1, 2):
        write = (await place(eu, order(f"o-{replicas}", ("tea", 1)), replicas=replicas)).write
        assert write.replicated_to >= replicas
    # There are two others: more is not waited for.
    assert (await place(eu, order("o-9", ("tea", 1)), replicas=9)).write.replicated_to == 2
    answer = await place_all(eu, order("s-1", ("tea", 1)), order("s-2", ("tea", 1)), replicas=2)
    assert answer.write.replicated_to == 2
    heads = [node.engine.driver.vector[eu.running.identity.replica].seq for node in (us, asia)]
    assert heads == [eu.engine.head.seq] * 2
    await agreed(*nodes)


async def test_replicas_that_are_gone_are_waited_for_until_the_deadline(cluster):
    eu = await cluster.found("eu")
    await cluster.join("us")
    await receive(eu, tea=10)
    await cluster.end("us")
    request = order_service_pb2.PlaceOrderRequest(order=order("o-1", ("tea", 1)), replicas=1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await eu.orders.PlaceOrder(request, timeout=0.5)
    assert loop.time() - began >= 0.3
    assert (answer.write.replicated_to, answer.order.state) == (0, CONFIRMED)
    await agreed(eu, await cluster.again("us"))


async def test_a_shortage_is_served_by_another_nodes_tokens(two):
    eu, us = two
    token = (await receive(eu, tea=100)).write.consistency_token
    await seen_by(us, token)
    assert (await get_stock(us, "tea")).available_here == 0
    placed = await place(us, order("o-1", ("tea", 5)))
    assert placed.order.state == CONFIRMED
    await agreed(eu, us)
    assert await sold(eu, "tea") == 5


async def test_an_order_of_several_items_is_served_whole(two):
    eu, us = two
    skus = {f"sku{n}": 10 for n in range(5)}
    token = (await receive(eu, "r-1", **skus)).write.consistency_token
    await seen_by(us, token)
    orders = [order(f"o-{n}", *((sku, 1) for sku in skus)) for n in range(10)]
    answers = await asyncio.gather(*(place(us, one) for one in orders))
    assert {answer.order.state for answer in answers} == {CONFIRMED}
    await agreed(eu, us)
    for sku in skus:
        stock = await get_stock(us, sku)
        assert (stock.sold, stock.available_here, stock.available_elsewhere.quantity) == (10, 0, 0)


async def test_the_last_units_are_sold_once(cluster):
    """Thirty orders at three nodes for twenty units, all at once."""
    nodes = await cluster.three()
    await receive(nodes[0], tea=20)
    await agreed(*nodes)
    calls = [place(nodes[n % 3], order(f"o-{n}", ("tea", 1))) for n in range(30)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    taken = [result for result in results if not isinstance(result, BaseException)]
    assert len(taken) <= 20
    # Who was refused while tokens were on their way tries again, as he is told to.
    for n in range(30):
        if isinstance(results[n], BaseException) and len(taken) < 20:
            taken.append(await place(nodes[n % 3], order(f"o-{n}", ("tea", 1))))
    assert len(taken) == 20
    for node in nodes:
        refused = await refusal(place(node, order(f"late-{node.region}", ("tea", 1))))
        assert refused.reason == "INSUFFICIENT_STOCK"
    await agreed(*nodes)
    assert await sold(nodes[1], "tea") == 20


async def test_two_orders_that_each_need_the_others_tokens(two):
    """One of them is served: tokens that cross over would serve none."""
    eu, us = two
    await receive(eu, "r-1", tea=5)
    await receive(us, "r-2", tea=5)
    await agreed(eu, us)
    for turn in range(10):
        names = (f"a-{turn}", f"b-{turn}")
        results = await asyncio.gather(
            place(eu, hold(names[0], ("tea", 8))),
            place(us, hold(names[1], ("tea", 8))),
            return_exceptions=True,
        )
        served = [
            n for n, result in zip(names, results, strict=True) if not isinstance(result, BaseException)
        ]
        assert len(served) == 1, results
        owner = eu if served[0].startswith("a") else us
        assert (await cancel(owner, served[0])).order.state == CANCELLED
        await agreed(eu, us)


async def test_a_shortage_that_nobody_can_help_says_so_at_once(two):
    eu, us = two
    token = (await receive(eu, tea=3)).write.consistency_token
    await seen_by(us, token)
    loop = asyncio.get_running_loop()
    began = loop.time()
    refused = await refusal(place(us, order("o-1", ("tea", 4))))
    assert loop.time() - began < 1
    (row,) = refused.shortages
    assert (row.asked, row.available_here, row.available_elsewhere) == (4, 0, 3)
    assert list(row.unreachable_regions) == []
    await agreed(eu, us)


async def test_a_shortage_names_who_could_not_be_asked(cluster):
    eu = await cluster.found("eu")
    us = await cluster.join("us")
    token = (await receive(eu, tea=3)).write.consistency_token
    await seen_by(us, token)
    await cluster.end("eu")
    refused = await refusal(place(us, order("o-1", ("tea", 1))))
    (row,) = refused.shortages
    assert (row.available_here, row.available_elsewhere) == (0, 3)
    assert list(row.unreachable_regions) == ["eu"]
    eu = await cluster.again("eu")
    await linked(eu, us)
    await place(us, order("o-1", ("tea", 1)))
    await agreed(eu, us)


async def test_the_owner_decides_what_another_node_asks_for(two):
    eu, us = two
    await receive(eu, tea=10)
    token = (await place(eu, hold("o-1", ("tea", 2)))).write.consistency_token
    await seen_by(us, token)
    decided = await confirm(us, "o-1", wait_for_decision=True)
    assert decided.order.state == CONFIRMED
    cancelled = await cancel(us, "o-1", "c", wait_for_decision=True)
    assert cancelled.order.state == CANCELLED
    assert not decided.write.replayed
    assert not cancelled.write.replayed
    assert (await cancel(us, "o-1", "c", wait_for_decision=True)).write.replayed
    await agreed(eu, us)
    assert (await get_stock(us, "tea")).on_hand == 10


async def test_tokens_are_moved_and_receipts_split(two):
    eu, us = two
    items = [stock_service_pb2.StockQuantity(sku="tea", quantity=10)]
    shares: Any = [stock_service_pb2.TokenShare(node=node.node, weight=w) for node, w in ((eu, 1), (us, 4))]
    received = await eu.stock.ReceiveStock(
        stock_service_pb2.ReceiveStockRequest(receipt_id="r", node=eu.node, items=items, split=shares),
        timeout=CALL_S,
    )
    await seen_by(us, received.write.consistency_token)
    assert (await get_stock(us, "tea")).available_here == 8
    moved = await us.stock.MoveTokens(
        stock_service_pb2.MoveTokensRequest(
            request_id="m",
            node=us.node,
            to=eu.node,
            items=[stock_service_pb2.StockQuantity(sku="tea", quantity=3)],
        ),
        timeout=CALL_S,
    )
    await seen_by(eu, moved.write.consistency_token)
    assert (await get_stock(eu, "tea")).available_here == 5
    await agreed(eu, us)


async def test_nothing_differs_between_nodes_that_trade(cluster):
    nodes = await cluster.three()
    for number, node in enumerate(nodes):
        await receive(node, f"r-{number}", tea=200)
    await agreed(*nodes)
    for turn in range(5):
        await asyncio.gather(
            *(
                place_all(node, *(order(f"{node.region}-{turn}-{n}", ("tea", 1)) for n in range(20)))
                for node in nodes
            )
        )
    await agreed(*nodes)
    assert [(await status_of(node)).divergences for node in nodes] == [0, 0, 0]
