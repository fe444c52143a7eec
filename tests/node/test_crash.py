"""Killed again and again in the middle of everything: nothing acknowledged is lost, nothing is half done."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest

from tallystick.node.opening import open_store
from tallystick.v1 import order_pb2, order_service_pb2, stock_service_pb2
from tests.node.checking import check_store
from tests.node.crash_ledger import CANCELLED, CONFIRMED, HELD, Ledger
from tests.node.crash_load import CALL_S, CUSTOMERS, PLENTY, SKUS, Client, Load
from tests.nodes import Node, start_node

pytestmark = [pytest.mark.process, pytest.mark.slow]

LIVES = 8
SEEDS = range(4)
BACKLOG = 1_000
ENV = {"TALLY_BACKLOG_EVENTS": str(BACKLOG), "TALLY_RESERVE": "0", "TALLY_MAP_SIZE": "4GiB"}


@asynccontextmanager
async def living(directory: Path) -> AsyncIterator[tuple[Node, Client]]:
    """One life of a node, and a client of it."""
    with start_node(directory, env=ENV) as node:
        client = Client(node.address, node.name)
        try:
            yield node, client
        finally:
            await client.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_killed_at_any_moment(tmp_path, seed):
    directory, random, ledger = tmp_path / "node", Random(seed), Ledger()
    seen: Counter[str] = Counter()
    async with living(directory) as (_, client):
        for sku in SKUS:
            units = 60 if sku == "scarce" else PLENTY
            await client.receive(f"r-{sku}", sku, units)
            ledger.received[sku] += units
    touched: set[str] = set()
    for life in range(LIVES):
        async with living(directory) as (node, client):
            seen += await check_recent(client, ledger, touched)
            load = Load(client, ledger, seed * 100 + life, target=random.randint(100, 900))
            clients = asyncio.ensure_future(load.run())
            enough = asyncio.ensure_future(load.enough.wait())
            await asyncio.wait({clients, enough}, timeout=CALL_S, return_when=asyncio.FIRST_COMPLETED)
            node.kill()
            enough.cancel()
            await clients
            touched = load.touched
    async with living(directory) as (node, client):
        seen += await check_recent(client, ledger, touched)
        await check_everything(client, ledger)
        assert node.stop() == 0
    replayed = replays(directory)
    assert len(replayed) >= LIVES
    # The checkpoint begins at half of the backlog: these were killed while it was running.
    assert sum(events > BACKLOG // 2 for events in replayed) >= 1
    assert max(replayed) <= BACKLOG + 100
    for what in ("placed", "unchanged", "placed, answer unknown", "not placed, answer unknown"):
        assert seen[what], seen
    check_directory(directory)


def replays(directory: Path) -> list[int]:
    """How many events each opening had to replay, by the node's own log."""
    lines = directory.with_name("node.log").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    assert not [entry for entry in entries if entry["level"] in ("error", "critical")]
    return [entry["events"] for entry in entries if entry["event"] == "replayed"]


def check_directory(directory: Path) -> None:
    """After the clean stop: tables, log, orders and stock agree, and nothing is left to replay."""
    opened = open_store(directory, "eu", new_cluster=False, map_size=4 << 30, reserve=0, backlog=BACKLOG)
    assert opened.store.backlog == 0
    check_store(opened.store)
    opened.store.close()


async def check_recent(client: Client, ledger: Ledger, touched: set[str]) -> Counter[str]:
    """What the last life has touched, and the sums of everything; then ask again for what is unknown."""
    seen = Counter(ledger.settle(touched, await newest(client, ledger, touched)))
    await check_stock(client, ledger)
    for name in touched:
        await ask_again(client, ledger, name)
    if ledger.receipt:
        name, sku, units = ledger.receipt
        answer = await client.receive(name, sku, units)
        ledger.received[sku] += 0 if answer.write.replayed else units
        ledger.receipt = None
    await check_stock(client, ledger)
    return seen


async def newest(client: Client, ledger: Ledger, touched: set[str]) -> dict[str, order_pb2.Order]:
    """The orders that were placed last, those touched among them; the token proves that nothing is behind."""
    found: dict[str, order_pb2.Order] = {}
    async for page in pages(client, consistency_token=ledger.token):
        recent = {order.id: order for order in page if order.id in touched}
        found |= recent
        if not recent:
            break
    return found


async def pages(client: Client, **filters: Any) -> AsyncIterator[list[order_pb2.Order]]:
    token = ""
    while True:
        request = order_service_pb2.ListOrdersRequest(page_size=500, page_token=token, **filters)
        page = await client.orders.ListOrders(request, timeout=CALL_S)
        yield list(page.orders)
        token = page.next_page_token
        if not token:
            return


async def ask_again(client: Client, ledger: Ledger, name: str) -> None:
    """A retry under the same id: it says whether it had happened, and then it has."""
    known = ledger.orders[name]
    if known.wish is None:
        return
    if known.wish.kind == "place":
        request = order_service_pb2.PlaceOrderRequest(order=known.asked)
        try:
            answer = await client.orders.PlaceOrder(request, timeout=CALL_S)
        except grpc.aio.AioRpcError as error:
            if known.done or error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                raise
            known.wish, known.refused = None, True
            return
    else:
        answer = await client.change(name, known.wish)
    assert answer.write.replayed == known.done
    if known.done:
        assert answer.order == known.full
    known.full, known.wish, known.done = answer.order, None, False
    ledger.heard(answer.write.consistency_token)


async def check_stock(client: Client, ledger: Ledger) -> None:
    """To the unit, by what every order of every life is."""
    request = stock_service_pb2.ListStockRequest(page_size=1_000, consistency_token=ledger.token)
    listed = (await client.stock.ListStock(request, timeout=CALL_S)).stock
    assert {stock.sku for stock in listed} == set(SKUS)
    reserved, sold = ledger.units(HELD), ledger.units(CONFIRMED)
    for stock in listed:
        if ledger.receipt and ledger.receipt[1] == stock.sku and stock.received != ledger.received[stock.sku]:
            ledger.received[stock.sku] += ledger.receipt[2]  # it came in before the answer was lost
            assert (await client.receive(*ledger.receipt)).write.replayed
            ledger.receipt = None
        assert stock.received == ledger.received[stock.sku]
        assert (stock.reserved, stock.sold) == (reserved[stock.sku], sold[stock.sku])
        assert (stock.burned, stock.owed) == (0, 0)
        assert stock.received - stock.burned == stock.available_here + stock.reserved + stock.sold
        assert stock.available_here >= 0


async def check_everything(client: Client, ledger: Ledger) -> None:
    """Every order of every life, by id and by every list."""
    there = {name: known.full for name, known in ledger.orders.items() if known.full is not None}
    listed = [order async for page in pages(client) for order in page]
    assert {order.id: order for order in listed} == there
    assert len(listed) == len(there)
    times = [order.place_time.ToNanoseconds() for order in listed]
    assert times == sorted(times, reverse=True)
    gate = asyncio.Semaphore(50)

    async def get(name: str) -> None:
        async with gate:
            request = order_service_pb2.GetOrderRequest(order_id=name)
            assert (await client.orders.GetOrder(request, timeout=CALL_S)).order == there[name]

    await asyncio.gather(*map(get, there))
    for customer in filter(None, CUSTOMERS):
        mine = [order.id async for page in pages(client, customer=customer) for order in page]
        assert mine == [order.id for order in listed if order.customer == customer]
    for state in (HELD, CONFIRMED, CANCELLED):
        such = [order.id async for page in pages(client, state=state) for order in page]
        assert such == [order.id for order in listed if order.state == state]
