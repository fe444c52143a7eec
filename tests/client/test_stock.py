"""The calls about stock and the node, and the tokens between writes and reads."""

from __future__ import annotations

import pytest

from tallystick import (
    BehindToken,
    Client,
    Line,
    RequestIdReused,
    StockNotFound,
    StockQuantity,
    WriteState,
    WrongNode,
)
from tests.rpc.serving import serving


async def test_goods_are_booked_once_at_the_node_that_answers(client):
    first = await client.receive_stock({"TEA": 40}, "delivery-1")
    again = await client.receive_stock({"TEA": 40}, "delivery-1")
    assert [(item.sku, item.on_hand) for item in again.stock] == [("TEA", 40)]
    assert (first.write.replayed, again.write.replayed) == (False, True)
    with pytest.raises(RequestIdReused):
        await client.receive_stock({"TEA": 41}, "delivery-1")


async def test_goods_for_another_node_are_refused(client, served):
    with pytest.raises(WrongNode) as refused:
        await client.receive_stock({"TEA": 40}, node="0a0b0c0d0e0f")
    assert refused.value.node == served.node
    assert (await client.receive_stock({"TEA": 1}, node=served.node)).stock[0].on_hand == 1


async def test_stock_is_corrected_and_overbooked_by_location(client):
    await client.receive_stock([StockQuantity("TEA", 5, "berlin"), StockQuantity("TEA", 7, "ghent")])
    adjusted = await client.adjust_stock([StockQuantity("TEA", -2, "berlin")], "water damage", "a-1")
    assert [(item.location, item.on_hand, item.burned) for item in adjusted.stock] == [("berlin", 3, 2)]
    policy = await client.set_stock_policy("TEA", 4, location="ghent")
    assert [(item.overbooking_limit_here, item.available_here) for item in policy.stock] == [(4, 11)]
    listed = [(item.sku, item.location) async for item in client.list_stock(sku_prefix="T", page_size=1)]
    assert listed == [("TEA", "berlin"), ("TEA", "ghent")]
    assert (await client.get_stock("TEA", "berlin")).available_here == 3
    with pytest.raises(StockNotFound):
        await client.get_stock("TEA")


async def test_status_names_the_node(client, served):
    status = await client.status()
    assert (status.node, status.region) == (served.node, "eu")
    assert status.storage.write_state is WriteState.OPEN
    assert status.start_time.tzinfo is not None


async def test_the_last_token_goes_with_reads(client, served):
    assert client.consistency_token == b""
    received = await client.receive_stock({"TEA": 5})
    assert client.consistency_token == received.write.consistency_token != b""
    placed = await client.place_order(currency="EUR", lines=[Line("TEA", 1)])
    assert client.consistency_token == placed.write.consistency_token
    assert (await client.get_stock("TEA")).sold == 1
    async with Client(served.address) as other:
        seen = await other.get_stock("TEA", consistency_token=client.consistency_token)
    assert seen.sold == 1


async def test_a_read_waits_for_what_its_token_names_and_no_longer_than_it_may(client, tmp_path):
    await client.receive_stock({"TEA": 5})
    async with serving(tmp_path / "elsewhere") as elsewhere, Client(elsewhere.address) as other:
        token = (await other.receive_stock({"TEA": 1})).write.consistency_token
    with pytest.raises(BehindToken):
        await client.get_stock("TEA", consistency_token=token, timeout=0.3)
    assert (await client.get_stock("TEA")).on_hand == 5
