"""The relay before a real node: gRPC takes a cut for silence, and is back at once when it heals."""

from __future__ import annotations

import asyncio

import pytest

from tallystick.cli.relay import Direction, Relay
from tallystick.client import Client, Line, Order, OutcomeUnknown
from tests.nodes import start_node

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with start_node(tmp_path_factory.mktemp("relay") / "eu") as serving:
        yield serving


def order() -> Order:
    return Order(currency="EUR", lines=[Line(sku="TEA", quantity=1, amount=900)])


async def test_calls_travel_together_whatever_the_distance(node):
    async with Relay(node.address, delay_ms=20) as relay, Client(relay.address, actor="far") as client:
        await client.receive_stock({"TEA": 200})
        placed = await asyncio.gather(*(client.place_order(order()) for _ in range(100)))
        assert len({each.id for each in placed}) == 100
        assert all(relay.forwarded[way] > 100 * 16 for way in Direction)


async def test_an_order_into_a_cut_is_in_doubt_until_it_heals(node):
    async with Relay(node.address, delay_ms=2) as relay, Client(relay.address, actor="far") as client:
        await client.receive_stock({"TEA": 10})
        unheard = order()
        relay.cut()
        with pytest.raises(OutcomeUnknown):
            await client.place_order(unheard, timeout=0.3)
        relay.heal()
        assert await client.resolve(unheard.id) is None
        assert (await client.place_order(unheard)).id == unheard.id


async def test_an_answer_that_is_cut_off_was_given_all_the_same(node):
    async with Relay(node.address, delay_ms=2) as relay, Client(relay.address, actor="far") as client:
        await client.receive_stock({"TEA": 10})
        answered = order()
        relay.cut_one_way(Direction.BACK)
        with pytest.raises(OutcomeUnknown):
            await client.place_order(answered, timeout=0.3)
        relay.heal()
        found = await client.resolve(answered.id)
        assert found is not None
        assert (await client.place_order(answered)).write.replayed
