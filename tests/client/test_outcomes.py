"""What a caller learns when answers stay away: definite if nothing was sent, unknown if it was."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import grpc
import pytest

from tallystick import (
    Client,
    ClientClosed,
    Line,
    NotServed,
    Order,
    OrderState,
    OutcomeUnknown,
    Unavailable,
)
from tests.node.driving import Blockade
from tests.rpc.serving import serving


def tea(units: int = 1) -> Order:
    return Order(currency="EUR", lines=[Line("TEA", units)])


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


async def test_what_was_never_sent_did_not_happen(nobody):
    async with Client(nobody, timeout=0.3) as client:
        for call in (
            client.place_order(tea()),
            client.confirm_order("o-1"),
            client.receive_stock({"TEA": 1}),
            client.get_order("o-1"),
            client.resolve("o-1"),
            client.status(),
        ):
            with pytest.raises(Unavailable) as failed:
                await call
            assert type(failed.value) is Unavailable


async def test_an_address_that_is_no_nodes_says_so_at_once():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Client(f"127.0.0.1:{port}") as client:
        for call in (client.place_order(tea()), client.receive_stock({"TEA": 1}), client.status()):
            with pytest.raises(NotServed, match="UNIMPLEMENTED"):
                await call
    await server.stop(None)


async def test_an_order_without_an_answer_may_be_placed_and_resolves(client, served):
    await client.receive_stock({"TEA": 5})
    order = tea()
    blockade = Blockade(served.engine)
    with pytest.raises(OutcomeUnknown) as failed:
        await client.place_order(order, timeout=0.2)
    assert (failed.value.order_id, failed.value.request_id) == (order.id, order.id)
    blockade.lift()
    again = await client.place_order(order)
    assert again.write.replayed
    assert (await client.resolve(order.id)).state is OrderState.CONFIRMED
    assert (await client.get_stock("TEA")).sold == 1


async def test_a_receipt_without_an_answer_is_repeated_under_its_id(client, served):
    await client.receive_stock({"TEA": 5})
    blockade = Blockade(served.engine)
    with pytest.raises(OutcomeUnknown) as failed:
        await client.receive_stock({"TEA": 7}, timeout=0.2)
    assert (failed.value.request_id != "", failed.value.order_id) == (True, "")
    blockade.lift()
    again = await client.receive_stock({"TEA": 7}, failed.value.request_id)
    assert again.stock[0].on_hand == 12


async def test_a_deadline_is_each_calls_own(client, served):
    await client.receive_stock({"TEA": 5})
    blockade = Blockade(served.engine)
    patient = asyncio.ensure_future(client.place_order(tea()))
    hasty = asyncio.ensure_future(client.place_order(tea(), timeout=0.2))
    with pytest.raises(OutcomeUnknown):
        await hasty
    assert not patient.done()
    blockade.lift()
    assert (await patient).state is OrderState.CONFIRMED


async def test_closing_lets_calls_finish(served):
    client = Client(served.address)
    await client.receive_stock({"TEA": 5})
    blockade = Blockade(served.engine)
    calls = [asyncio.ensure_future(client.place_order(tea())) for _ in range(3)]
    write = asyncio.ensure_future(client.receive_stock({"TEA": 1}))
    await asyncio.to_thread(blockade.reached)
    closing = asyncio.ensure_future(client.close(grace=20))
    await asyncio.sleep(0)
    with pytest.raises(ClientClosed):
        await client.place_order(tea())
    blockade.lift()
    await closing
    assert {answer.state for answer in await asyncio.gather(*calls)} == {OrderState.CONFIRMED}
    assert (await write).stock[0].sku == "TEA"


async def test_closing_fails_what_does_not_finish_in_time(served):
    client = Client(served.address)
    await client.receive_stock({"TEA": 5})
    await client.place_order(tea())
    blockade = Blockade(served.engine)
    calls = [client.place_order(tea()), client.receive_stock({"TEA": 1}), client.confirm_order("o-1")]
    pending = asyncio.gather(*calls, return_exceptions=True)
    with pytest.raises(OutcomeUnknown):
        await client.place_order(tea(), timeout=0.2)
    await client.close(grace=0)
    assert {type(error) for error in await pending} == {OutcomeUnknown}
    blockade.lift()
    for call in (client.place_order(tea()), client.get_order("o-1"), client.receive_stock({"TEA": 1})):
        with pytest.raises(ClientClosed):
            await call


async def test_closing_an_unreachable_client_fails_what_waits(nobody):
    client = Client(nobody)
    pending = asyncio.gather(
        client.place_order(tea()), client.receive_stock({"TEA": 1}), return_exceptions=True
    )
    await asyncio.sleep(0)
    await client.close(grace=0)
    assert {type(error) for error in await pending} == {ClientClosed}
    await client.close()


async def test_a_busy_node_is_waited_for(tmp_path):
    async with serving(tmp_path / "small", calls_max=1) as served, Client(served.address) as late:
        holder = Client(served.address)
        await holder.receive_stock({"TEA": 5})
        await holder.place_order(tea())  # its stream is the one that the node takes
        with pytest.raises((Unavailable, OutcomeUnknown)):
            await late.place_order(tea(), timeout=0.4)
        waiting = asyncio.ensure_future(late.place_order(tea()))
        await holder.close()
        assert (await waiting).state is OrderState.CONFIRMED


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
async def test_a_timeout_that_leaves_no_time_is_refused(nobody, timeout):
    async with Client(nobody) as client:
        for call in (client.place_order(tea(), timeout=timeout), client.get_order("o-1", timeout=timeout)):
            with pytest.raises(ValueError, match="more than 0"):
                await call


async def test_a_client_belongs_to_its_event_loop(client):
    await client.status()
    with pytest.raises(RuntimeError, match="event loop"):
        await asyncio.to_thread(asyncio.run, client.status())
