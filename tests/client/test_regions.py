"""Two real nodes under a crowd; one is killed, stopped or frozen. They don't replicate."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tallystick import (
    Client,
    Details,
    InsufficientStock,
    Line,
    Order,
    OrderState,
    OutcomeUnknown,
    PlacedOrder,
)
from tests.client.house import WORKERS, Answer, House, at_once, order, place_all
from tests.nodes import Node

pytestmark = pytest.mark.process

ORDERS = 1_500
PATIENCE_S = 60.0


@asynccontextmanager
async def crowd(eu: Node, us: Node, *, here: int, there: int) -> AsyncIterator[Client]:
    """A client of both that prefers eu, with stock at each."""
    async with Client([eu.address, us.address], timeout=PATIENCE_S, attempt_timeout=0.5) as client:
        await client.receive_stock({"TEA": here}, node=eu.name)
        await client.receive_stock({"TEA": there}, node=us.name)
        yield client


async def load(client: Client, orders: int, halfway: Callable[[], None]) -> dict[str, Answer]:
    """Place orders; nobody waits for the deadline, whatever becomes of the node."""
    async with asyncio.timeout(PATIENCE_S / 2):
        return await place_all(client, [order("TEA") for _ in range(orders)], halfway)


async def audit(answers: dict[str, Answer], *nodes: Node) -> dict[str, set[str]]:
    """Each answer is true of what the nodes hold, and each node's stock counts its own orders once.

    Answers which of these orders each node holds, by region.
    """
    where: dict[str, set[str]] = {}
    async with AsyncExitStack() as stack:
        for node in nodes:
            client = await stack.enter_async_context(Client(node.address))
            held = {each.id async for each in client.list_orders(state=OrderState.CONFIRMED, page_size=1_000)}
            assert (await client.get_stock("TEA")).sold == len(held)
            where[node.region] = held & answers.keys()
    somewhere = set().union(*where.values())
    for id_, answer in answers.items():
        if isinstance(answer, PlacedOrder):
            assert id_ in somewhere, f"{id_} was acknowledged and is nowhere"
        elif isinstance(answer, InsufficientStock):
            assert id_ not in somewhere, f"{id_} was refused for certain and is somewhere"
    return where


async def until_gone_back(client: Client, node: Node) -> None:
    """Place orders until this node takes one."""
    async with asyncio.timeout(PATIENCE_S), Client(node.address) as there:
        while await there.resolve((await client.place_order(order("TEA"))).id) is None:
            pass


async def test_orders_go_on_elsewhere_when_the_node_is_killed_and_come_back_with_it(house: House) -> None:
    eu, us = await house.start("eu"), await house.start("us", region="us")
    async with crowd(eu, us, here=10_000, there=10_000) as client:
        answers = await load(client, ORDERS, eu.kill)
        assert {type(answer) for answer in answers.values()} == {PlacedOrder}
        back = await house.start("eu", eu.address)
        held = await audit(answers, back, us)
        assert min(map(len, held.values())) >= ORDERS // 2 - WORKERS
        await until_gone_back(client, back)


async def test_a_node_that_stops_in_order_leaves_nothing_placed_twice(house: House) -> None:
    """It answers what it has begun and says that it has not begun the rest."""
    eu, us = await house.start("eu"), await house.start("us", region="us")
    stopped: list[asyncio.Future[int]] = []

    def stop() -> None:
        stopped.append(asyncio.ensure_future(asyncio.to_thread(eu.stop)))

    async with crowd(eu, us, here=10_000, there=10_000) as client:
        answers = await load(client, ORDERS, stop)
        assert await stopped[0] == 0
        assert {type(answer) for answer in answers.values()} == {PlacedOrder}
        held = await audit(answers, await house.start("eu", eu.address), us)
        assert not held["eu"] & held["us"]


async def test_a_frozen_node_is_left_after_one_attempt_and_gone_back_to_when_it_thaws(house: House) -> None:
    """It accepts, and answers nothing. What it had read it does later: rivals for the nodes to settle."""
    eu, us = await house.start("eu"), await house.start("us", region="us")
    async with crowd(eu, us, here=10_000, there=10_000) as client:
        answers = await load(client, ORDERS, lambda: eu.process.send_signal(signal.SIGSTOP))
        assert {type(answer) for answer in answers.values()} == {PlacedOrder}
        changed = await client.cancel_order(next(reversed(answers)))
        assert changed.order.state is OrderState.CANCELLED
        await client.place_order(order("TEA"))
        eu.process.send_signal(signal.SIGCONT)
        await until_gone_back(client, eu)
        del answers[changed.order.id]
        held = await audit(answers, eu, us)
        assert len(held["us"]) >= ORDERS // 2 - WORKERS
        # What was sent to it was taken back, else it would place all that was under way a second time.
        assert len(held["eu"] & held["us"]) < WORKERS // 2


async def test_more_than_a_frozen_node_can_take_in_goes_elsewhere_too(house: House) -> None:
    """Megabytes of them wait in the client, in gRPC and in the kernel when the stream is cut."""
    eu, us = await house.start("eu"), await house.start("us", region="us")
    async with crowd(eu, us, here=10_000, there=10_000) as client:
        await client.place_order(order("TEA"))
        eu.process.send_signal(signal.SIGSTOP)
        bulky = Details(attributes={f"note-{number}": "x" * 1_000 for number in range(60)})
        lines = [Line("POST", 1, untracked=True)]
        orders = [Order(currency="EUR", lines=lines, details=bulky) for _ in range(200)]
        async with asyncio.timeout(PATIENCE_S / 2):
            await asyncio.gather(*map(client.place_order, orders))
        eu.process.send_signal(signal.SIGCONT)
        await until_gone_back(client, eu)


async def test_what_a_dead_node_may_have_taken_stays_unknown_when_the_other_refuses(house: House) -> None:
    eu, us = await house.start("eu"), await house.start("us", region="us")
    async with crowd(eu, us, here=10_000, there=50) as client:
        answers = await load(client, ORDERS, eu.kill)
        kinds = [type(answer) for answer in answers.values()]
        assert set(kinds) == {PlacedOrder, InsufficientStock, OutcomeUnknown}
        unknown = [answer for answer in answers.values() if isinstance(answer, OutcomeUnknown)]
        assert {type(answer.__cause__) for answer in unknown} == {InsufficientStock}
        with pytest.raises(OutcomeUnknown):  # not at us, and eu cannot be asked
            await client.resolve("nowhere", timeout=1.0)
        back = await house.start("eu", eu.address)
        held = await audit(answers, back, us)
        assert len(held["us"]) == 50
        found: set[str] = set()

        async def resolve(id_: str) -> None:
            if await client.resolve(id_) is not None:
                found.add(id_)

        await at_once(answers, resolve)
        assert found == held["eu"] | held["us"]
