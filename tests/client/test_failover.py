"""Several addresses: who takes a call when the preferred node doesn't. The nodes here don't replicate."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tallystick import (
    BehindToken,
    Client,
    DefiniteError,
    InsufficientStock,
    Line,
    Order,
    OrderNotFound,
    OrderState,
    OutcomeUnknown,
    StorageFull,
    SyncClient,
    Unavailable,
    WrongNode,
)
from tests.node.driving import Blockade
from tests.rpc.serving import Served, serving, start

HOPELESS = 1 << 60
"""A reserve that no disk has: a node that refuses all writes."""


def tea(units: int = 1) -> Order:
    return Order(currency="EUR", lines=[Line("TEA", units)])


@pytest.fixture
async def eu(served: Served) -> Served:
    return served


@pytest.fixture
async def us(tmp_path) -> AsyncIterator[Served]:
    async with serving(tmp_path / "us", region="us") as running:
        yield running


@pytest.fixture
async def both(eu, us) -> AsyncIterator[Client]:
    """A client of both, with 5 TEA at each."""
    async with Client([eu.address, us.address], attempt_timeout=0.3) as client:
        for node in (eu.node, us.node):
            await client.receive_stock({"TEA": 5}, node=node)
        yield client


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@asynccontextmanager
async def full(directory: Path) -> AsyncIterator[Served]:
    """A node that was founded while there was room."""
    async with serving(directory):
        pass
    async with serving(directory, new_cluster=False, reserve=HOPELESS) as running:
        yield running


async def held_at(served: Served, order_id: str) -> bool:
    """Whether this one node has the order."""
    async with Client(served.address) as alone:
        return await alone.resolve(order_id) is not None


async def until_gone_back(client: Client, served: Served) -> None:
    """Ask who answers until it is this node."""
    async with asyncio.timeout(20):
        while (await client.status()).node != served.node:
            pass


# ------------------------------------------------------------------------------------------------- choosing


def test_addresses_are_one_or_several_each_once():
    assert Client("eu:1").addresses == ("eu:1",)
    client = SyncClient(["eu:1", "us:1"])
    assert (client.address, client.addresses) == ("eu:1", ("eu:1", "us:1"))
    for wrong in ([], ["eu:1", "eu:1"]):
        with pytest.raises(ValueError, match="each once"):
            Client(wrong)
    with pytest.raises(ValueError, match="more than 0"):
        Client(["eu:1", "us:1"], attempt_timeout=0)


async def test_the_preferred_node_takes_all_while_it_is_well(both, eu, us):
    placed = await both.place_order(tea())
    assert (await both.status()).node == eu.node
    assert await held_at(eu, placed.id)
    assert not await held_at(us, placed.id)


async def test_an_address_where_nobody_is_costs_no_timeout(nobody, us):
    async with Client([nobody, us.address], attempt_timeout=60.0, timeout=60.0) as client:
        async with asyncio.timeout(20):
            await client.receive_stock({"TEA": 5}, node=us.node)
            assert (await client.place_order(tea())).state is OrderState.CONFIRMED
            assert (await client.get_stock("TEA")).sold == 1


async def test_an_address_that_accepts_and_says_nothing_costs_one_attempt(us):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with Client([address, us.address], attempt_timeout=0.3, timeout=60.0) as client:
            async with asyncio.timeout(20):
                await client.receive_stock({"TEA": 5}, node=us.node)
                placed = await asyncio.gather(*(client.place_order(tea()) for _ in range(5)))
                assert {each.state for each in placed} == {OrderState.CONFIRMED}
                assert (await client.cancel_order(placed[0].id)).order.state is OrderState.CANCELLED


async def test_when_nobody_is_anywhere_nothing_happened(nobody):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        elsewhere = f"127.0.0.1:{other.getsockname()[1]}"
        async with Client([nobody, elsewhere], timeout=0.3) as client:
            for call in (
                client.place_order(tea()),
                client.confirm_order("o-1"),
                client.receive_stock({"TEA": 1}),
                client.receive_stock({"TEA": 1}, node="0a0b0c0d0e0f"),
                client.get_order("o-1"),
                client.resolve("o-1"),
                client.status(),
            ):
                with pytest.raises(Unavailable) as failed:
                    await call
                assert type(failed.value) is Unavailable


async def test_a_node_that_stops_hands_over_and_is_gone_back_to(tmp_path, us):
    eu = await start(tmp_path / "eu")
    address = eu.address
    async with Client([address, us.address]) as client:
        await client.receive_stock({"TEA": 5})
        await client.receive_stock({"TEA": 5}, node=us.node)
        await client.place_order(tea())
        await eu.stop()
        moved = await client.place_order(tea())
        assert await held_at(us, moved.id)
        async with serving(tmp_path / "eu", listen=address, new_cluster=False) as back:
            await until_gone_back(client, back)
            returned = await client.place_order(tea())
            assert await held_at(back, returned.id)


# -------------------------------------------------------------------------------------- a node that is stuck


async def test_what_a_stuck_node_does_not_answer_another_does(both, eu, us):
    await both.place_order(tea())
    blockade = Blockade(eu.engine)
    orders = [tea() for _ in range(3)]
    answers = await asyncio.gather(*(both.place_order(order) for order in orders))
    assert [answer.id for answer in answers] == [order.id for order in orders]
    for order in orders:
        assert await held_at(us, order.id)
    confirmed = await both.cancel_order(orders[0].id)
    assert confirmed.order.state is OrderState.CANCELLED
    blockade.lift()


async def test_a_stuck_node_that_comes_back_has_no_say_in_what_went_elsewhere(both, eu, us):
    """It refuses what was sent to it; what was sent elsewhere afterwards is still under way."""
    await both.place_order(tea(5))  # nothing is left at eu
    async with Client(both.addresses, attempt_timeout=1.0) as client:
        await client.place_order(Order(currency="EUR", lines=[Line("POST", 1, untracked=True)]))
        stuck, busy = Blockade(eu.engine), Blockade(us.engine)
        order = tea()
        placing = asyncio.ensure_future(client.place_order(order))
        async with asyncio.timeout(20):
            while (await client.status()).node != us.node:  # the attempt at eu is over
                pass
        stuck.lift()
        async with Client(eu.address) as alone:
            with pytest.raises(InsufficientStock):
                await alone.place_order(tea())
        busy.lift()
        assert (await placing).id == order.id
    assert await held_at(us, order.id)


async def test_who_waits_his_turn_at_a_node_that_answers_stays(tmp_path, us):
    """Many orders at once are more than one attempt's time of work. That makes no node unwell."""
    large = [Line("POST", 1, untracked=True)] * 1_000  # two of them fill the window
    async with (
        serving(tmp_path / "busy", window_lines=2_000) as busy,
        Client([busy.address, us.address], attempt_timeout=0.5, timeout=60.0) as client,
    ):
        loop = asyncio.get_running_loop()
        started = loop.time()
        placing = []
        for _ in range(1_000):
            placing.append(asyncio.ensure_future(client.place_order(Order(currency="EUR", lines=large))))
            await asyncio.sleep(0)
        await asyncio.gather(*placing)
        assert loop.time() - started > 1.0, "there was no queue to wait in"
        async with Client(us.address) as there:
            assert [each async for each in there.list_orders()] == []


async def test_a_refusal_elsewhere_does_not_settle_what_was_lost(both, eu, us):
    await both.place_order(tea())
    async with Client(us.address) as there:
        await there.place_order(tea(5))
    blockade = Blockade(eu.engine)
    order = tea()
    with pytest.raises(OutcomeUnknown) as failed:
        await both.place_order(order)
    assert isinstance(failed.value.__cause__, InsufficientStock)
    assert (failed.value.order_id, failed.value.request_id) == (order.id, order.id)
    blockade.lift()


async def test_the_time_of_all_attempts_is_the_callers(both, eu, us):
    await both.place_order(tea())
    stuck, too = Blockade(eu.engine), Blockade(us.engine)
    started = asyncio.get_running_loop().time()
    calls = [both.place_order(tea(), timeout=1.0), both.confirm_order("o-1", timeout=1.0)]
    failed = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in failed} == {OutcomeUnknown}
    assert asyncio.get_running_loop().time() - started < 5
    stuck.lift()
    too.lift()


# ------------------------------------------------------------------------------------------------- refusals


async def test_a_full_disk_is_anothers_chance(tmp_path, us):
    async with (
        full(tmp_path / "eu") as eu,
        full(tmp_path / "ap") as ap,
        Client([eu.address, us.address]) as client,
        Client([eu.address, ap.address]) as hopeless,
    ):
        await client.receive_stock({"TEA": 5}, node=us.node)
        placed = await client.place_order(tea())
        assert await held_at(us, placed.id)
        with pytest.raises(StorageFull):
            await client.receive_stock({"TEA": 5}, node=eu.node)
        for call in (hopeless.place_order(tea()), hopeless.cancel_order("o-1")):
            with pytest.raises(StorageFull):
                await call


async def test_short_of_stock_is_a_verdict_unless_one_asks_for_more(both, eu, us):
    async with Client(us.address) as there:
        await there.receive_stock({"TEA": 5})
    with pytest.raises(InsufficientStock) as refused:
        await both.place_order(tea(7))
    assert [each.available_here for each in refused.value.shortages] == [5]
    placed = await both.place_order(tea(7), try_elsewhere=True)
    assert await held_at(us, placed.id)
    with pytest.raises(InsufficientStock) as refused:
        await both.place_order(tea(7), try_elsewhere=True)
    assert [each.available_here for each in refused.value.shortages] == [5]  # here: not the 3 elsewhere
    assert (await both.place_order(tea())).state is OrderState.CONFIRMED  # eu is no worse for it
    assert (await both.status()).node == eu.node


async def test_an_order_is_changed_where_it_is(both, us):
    async with Client(us.address) as there:
        placed = await there.place_order(tea())
    cancelled = await both.edit_order(placed.id, {"note": "ring twice"})
    assert cancelled.order.details.note == "ring twice"
    with pytest.raises(OrderNotFound):
        await both.confirm_order("nowhere")


# ---------------------------------------------------------------------------------------------------- stock


async def test_stock_is_written_where_it_says(both, eu, us):
    await both.receive_stock({"TEA": 1})
    await both.receive_stock({"TEA": 2}, node=us.node)
    for served, on_hand in ((eu, 6), (us, 7)):
        async with Client(served.address) as alone:
            assert (await alone.get_stock("TEA")).on_hand == on_hand
    with pytest.raises(WrongNode):
        await both.receive_stock({"TEA": 1}, node="0a0b0c0d0e0f")


async def test_stock_waits_for_its_node_and_goes_nowhere_else(both, eu, us):
    blockade = Blockade(eu.engine)
    with pytest.raises(OutcomeUnknown):
        await both.receive_stock({"TEA": 1}, timeout=1.0)
    blockade.lift()
    async with Client(us.address) as there:
        assert (await there.get_stock("TEA")).on_hand == 5


async def test_a_node_that_may_be_where_nobody_answers_is_not_a_wrong_one(nobody, us):
    async with Client([nobody, us.address], timeout=0.5) as client:
        with pytest.raises(Unavailable, match="could not be asked"):
            await client.receive_stock({"TEA": 1}, node="0a0b0c0d0e0f")


# ---------------------------------------------------------------------------------------------------- reads


async def test_a_read_goes_to_who_has_seen_its_token(both, eu, us):
    async with Client(us.address) as there:
        placed = await there.place_order(tea())
        token = there.consistency_token
    assert (await both.get_order(placed.id, consistency_token=token)).id == placed.id
    with pytest.raises(OrderNotFound):
        await both.get_order(placed.id, consistency_token=b"")
    assert (await both.status()).node == eu.node  # being behind is no illness


async def test_a_client_reads_what_it_wrote_at_either_node_or_is_refused(both, eu, us):
    """These two never replicate: neither can show what the client has written at both."""
    with pytest.raises(BehindToken):
        await both.get_stock("TEA", timeout=0.3)
    assert (await both.get_stock("TEA", consistency_token=b"")).on_hand == 5
    async with Client([eu.address, us.address], read_your_writes=False) as careless:
        await careless.receive_stock({"TEA": 1}, node=us.node)
        assert (await careless.get_stock("TEA")).on_hand == 5
        assert [item.on_hand async for item in careless.list_stock()] == [5]


# -------------------------------------------------------------------------------------------------- resolve


async def test_resolving_asks_everybody(both, eu, us):
    here = await both.place_order(tea())
    async with Client(us.address) as there:
        far = await there.place_order(tea())
    for placed in (here, far):
        found = await both.resolve(placed.id)
        assert found is not None
        assert found.id == placed.id
    assert await both.resolve("nowhere") is None
    await both.cancel_order("unplaced")
    assert await both.resolve("unplaced") is None


async def test_what_nobody_has_is_unknown_while_somebody_cannot_be_asked(nobody, us):
    async with Client([us.address, nobody], timeout=0.5) as client:
        await client.receive_stock({"TEA": 5})
        placed = await client.place_order(tea())
        found = await client.resolve(placed.id)
        assert found is not None
        with pytest.raises(OutcomeUnknown) as failed:
            await client.resolve("nowhere")
        assert failed.value.order_id == "nowhere"
        assert isinstance(failed.value.__cause__, DefiniteError)


async def test_closing_asks_after_nobody_any_more(nobody, us):
    client = Client([nobody, us.address])
    await client.status()
    await client.close()
    assert [task for task in asyncio.all_tasks() if "Fleet._probe" in repr(task)] == []
