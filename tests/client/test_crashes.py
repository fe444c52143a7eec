"""Nodes that die and come back under a client's hands: what was acknowledged is there, the rest resolves."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tallystick import Client, InsufficientStock, Order, OrderState, OutcomeUnknown, PlacedOrder
from tests.client.house import Answer, House, at_once, order, place_all
from tests.nodes import Node

pytestmark = pytest.mark.process

TIMEOUT_S = 60.0


@asynccontextmanager
async def opened(node: Node, **stock: int) -> AsyncIterator[Client]:
    async with Client(node.address, timeout=TIMEOUT_S) as client:
        await client.receive_stock(stock)
        yield client


async def check(client: Client, answers: dict[str, Answer], sku: str, stock: int) -> None:
    """Acknowledged orders are there, refused ones aren't, and stock counts each of them once."""
    there: set[str] = set()

    async def resolve(id_: str) -> None:
        found = await client.resolve(id_)
        if isinstance(answers[id_], PlacedOrder):
            assert found is not None, f"{id_} was acknowledged and is gone"
        elif isinstance(answers[id_], InsufficientStock):
            assert found is None, f"{id_} was refused for certain and is there"
        if found is not None:
            assert found.state is OrderState.CONFIRMED
            there.add(id_)

    await at_once(answers, resolve)
    item = await client.get_stock(sku)
    assert (item.sold, item.available_here) == (len(there), stock - len(there))


async def test_a_node_that_is_killed_loses_nothing_that_it_acknowledged(house: House) -> None:
    node = await house.start("eu")
    async with opened(node, TEA=10_000) as client:
        back: list[asyncio.Future[Node]] = []

        def crash() -> None:
            node.kill()
            back.append(asyncio.ensure_future(house.start("eu", node.address)))

        answers = await place_all(client, [order("TEA") for _ in range(2_000)], crash)
        await back[0]
        assert {type(answer) for answer in answers.values()} == {PlacedOrder}
        await check(client, answers, "TEA", 10_000)


async def test_the_last_units_are_sold_once_over_a_crash(house: House) -> None:
    """Those refused after the crash may have been sent before it: the same node's refusal settles that."""
    node = await house.start("eu")
    async with opened(node, LAST=1_200) as client:
        back: list[asyncio.Future[Node]] = []

        def crash() -> None:
            node.kill()
            back.append(asyncio.ensure_future(house.start("eu", node.address)))

        answers = await place_all(client, [order("LAST") for _ in range(2_000)], crash)
        await back[0]
        assert {type(answer) for answer in answers.values()} == {PlacedOrder, InsufficientStock}
        await check(client, answers, "LAST", 1_200)
        assert (await client.get_stock("LAST")).sold == 1_200


async def test_a_node_that_stops_in_order_loses_nothing_either(
    house: House,
) -> None:
    node = await house.start("eu")
    async with opened(node, TEA=10_000) as client:
        back: list[asyncio.Future[Node]] = []

        async def restart() -> Node:
            assert await asyncio.to_thread(node.stop) == 0
            return await house.start("eu", node.address)

        answers = await place_all(
            client,
            [order("TEA") for _ in range(2_000)],
            lambda: back.append(asyncio.ensure_future(restart())),
        )
        await back[0]
        assert {type(answer) for answer in answers.values()} == {PlacedOrder}
        await check(client, answers, "TEA", 10_000)


async def sent_and_unanswered(client: Client, node: Node, lost: Order) -> asyncio.Future[PlacedOrder]:
    """An order on its way to a node that has frozen; it was sent, and nobody knows what became of it."""
    await client.place_order(order("TEA"))
    node.process.send_signal(signal.SIGSTOP)
    placing = asyncio.ensure_future(client.place_order(lost))
    with pytest.raises(OutcomeUnknown):  # it came after the other, on the same stream, and was sent
        await client.place_order(order("TEA"), timeout=0.2)
    return placing


async def test_the_refusal_of_another_node_does_not_settle_what_was_lost(house: House) -> None:
    """What came back under the old address is another node: it can't know what the first one stored."""
    node = await house.start("eu")
    async with opened(node, TEA=5) as client:
        lost = order("TEA")
        placing = await sent_and_unanswered(client, node, lost)
        node.kill()
        await house.start("replacement", node.address)
        with pytest.raises(OutcomeUnknown) as failed:
            await placing
        assert isinstance(failed.value.__cause__, InsufficientStock)
        assert failed.value.order_id == lost.id


async def test_the_refusal_of_the_same_node_settles_what_was_lost(house: House) -> None:
    node = await house.start("eu")
    async with opened(node, TEA=5) as client:
        placing = await sent_and_unanswered(client, node, order("SOLD-OUT"))
        node.kill()
        await house.start("eu", node.address)
        with pytest.raises(InsufficientStock):
            await placing


async def test_a_write_of_stock_is_repeated_over_a_restart_and_counted_once(house: House) -> None:
    node = await house.start("eu")
    async with opened(node, TEA=5) as client:
        node.process.send_signal(signal.SIGSTOP)
        receiving = [asyncio.ensure_future(client.receive_stock({"TEA": 1})) for _ in range(20)]
        await asyncio.sleep(0)
        node.kill()
        await house.start("eu", node.address)
        received = await asyncio.gather(*receiving)
        assert {change.stock[0].sku for change in received} == {"TEA"}
        assert (await client.get_stock("TEA")).on_hand == 25
