"""Killed again and again in the middle of everything: nothing acknowledged is lost, nothing is half done."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from tallystick.core.order.facts import decode_order
from tallystick.node.identity import decode_position
from tallystick.node.opening import open_store
from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.port import Table
from tallystick.store.store import Store
from tallystick.v1 import order_pb2, order_service_pb2, stock_service_pb2
from tests.node.checking import check_store
from tests.node.crash_ledger import CANCELLED, CONFIRMED, HELD, Known, Ledger
from tests.node.crash_load import CALL_S, CUSTOMERS, PLENTY, SKUS, Client, Load
from tests.node.nursery import Life, Nursery, nursery

pytestmark = [pytest.mark.process, pytest.mark.slow]

LIVES, LIVES_MAX = 8, 40
SEEDS = range(4)
BACKLOG = 1_000
SETTINGS = {"region": "eu", "backlog_events": BACKLOG, "reserve": 0, "map_size": 4 << 30}


@pytest.fixture(scope="module")
def births():
    with nursery() as births:
        yield births


@asynccontextmanager
async def living(births: Nursery, directory: Path) -> AsyncIterator[tuple[Life, Client]]:
    """One life of a node, and a client of it. The block is to end the life."""
    log = directory.with_name("node.log")
    life = births.start(log, data=str(directory), listen="127.0.0.1:0", new_cluster=True, **SETTINGS)
    client = Client(life.address, life.node)
    try:
        yield life, client
    finally:
        await client.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_killed_at_any_moment(tmp_path, births, seed):
    directory, random, ledger = tmp_path / "node", Random(seed), Ledger()
    seen: Counter[str] = Counter()
    touched: set[str] = set()
    cut_short: list[bool] = []  # lives that ended between two slices of a checkpoint: about a third of them
    while len(cut_short) < LIVES or (not any(cut_short) and len(cut_short) < LIVES_MAX):
        number = len(cut_short)
        async with living(births, directory) as (life, client):
            if number:
                seen += await check_recent(client, ledger, touched)
            else:
                await stock_up(client, ledger)
            load = Load(client, ledger, seed * 100 + number, target=random.randint(50, 500))
            clients = asyncio.ensure_future(load.run())
            # Half of them die in the middle of something, half in the middle of a checkpoint.
            moment = load.enough.wait() if number % 2 else checkpointing(client, random.randint(0, 3))
            enough = asyncio.ensure_future(moment)
            await asyncio.wait({clients, enough}, timeout=CALL_S, return_when=asyncio.FIRST_COMPLETED)
            life.kill()
            enough.cancel()
            await clients
            touched = load.touched
        cut_short.append(is_cut_short(directory))
    async with living(births, directory) as (life, client):
        seen += await check_recent(client, ledger, touched)
        await check_everything(client, ledger)
        assert life.end(signal.SIGTERM) == 0
    replayed = replays(directory)
    assert any(cut_short)
    assert len(replayed) >= LIVES - 1
    assert max(replayed) <= BACKLOG + 100
    for what in ("placed", "unchanged", "placed, answer unknown", "not placed, answer unknown"):
        assert seen[what], seen
    check_directory(directory)


async def test_told_to_stop_at_any_moment(tmp_path, births):
    """A stop is no crash: what was accepted is answered, so whatever got no answer was never begun."""
    directory, random, ledger = tmp_path / "node", Random(77), Ledger()
    seen: Counter[str] = Counter()
    touched: set[str] = set()
    for number in range(6):
        async with living(births, directory) as (life, client):
            assert (await client.status()).storage.checkpoint_backlog <= 1  # the founding alone
            if number:
                seen += await check_recent(client, ledger, touched)
            else:
                await stock_up(client, ledger)
            load = Load(client, ledger, 900 + number, target=random.randint(50, 500))
            clients = asyncio.ensure_future(load.run())
            await asyncio.wait_for(load.enough.wait(), CALL_S)
            assert await asyncio.to_thread(life.end, signal.SIGTERM) == 0
            await clients
            touched = load.touched
    assert replays(directory) == []
    assert {what for what in seen if "unknown" in what} == {
        "not placed, answer unknown",
        "not changed, answer unknown",
    }
    check_directory(directory)


async def checkpointing(client: Client, more: int) -> None:
    """Wait until a checkpoint begins, at half of the backlog, and for a few answers more."""
    while (await client.status()).storage.checkpoint_backlog <= BACKLOG // 2:
        pass
    for _ in range(more):
        await client.status()


def is_cut_short(directory: Path) -> bool:
    """Whether a checkpoint had begun to write and had not finished: an index is ahead of its position."""
    backend = LmdbBackend(directory, map_bytes=4 << 30, reserve_bytes=0)
    store = Store(backend, {})
    position = store.checkpoint_position()
    reached = max(head.seq for head in decode_position(position)[0].values()) if position else 0
    with store.read() as reader:
        orders = [cast(bytes, data) for _, data in reader.scan(Table.ORDERS)]
        listed = sum(1 for _ in reader.scan(Table.BY_TIME))
    store.close()
    return listed > sum(decode_order(data).claims[0].seq <= reached for data in orders)


async def stock_up(client: Client, ledger: Ledger) -> None:
    for sku in SKUS:
        units = 60 if sku == "scarce" else PLENTY
        await client.receive(f"r-{sku}", sku, units)
        ledger.received[sku] += units


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
    await place_again(client, ledger, touched)
    await asyncio.gather(*(change_again(client, ledger, name) for name in touched))
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


async def place_again(client: Client, ledger: Ledger, touched: set[str]) -> None:
    """Place under the same ids what got no answer: it says whether it had happened, and then it has."""
    unknown = [known for name in touched if is_placing(known := ledger.orders[name])]
    request = order_service_pb2.PlaceOrdersRequest(view=order_service_pb2.ORDER_VIEW_FULL)
    for number, known in enumerate(unknown):
        request.orders.add(number=number, order=known.asked)
    call = client.orders.PlaceOrders(timeout=CALL_S)
    await call.write(request)
    await call.done_writing()
    _, response = [message async for message in call]
    assert len(response.answers) == len(unknown)
    for answer in response.answers:
        known = unknown[answer.number]
        if answer.HasField("error"):
            assert not known.done, "it was taken, and is refused now"
            assert "scarce" in answer.error.message
            known.refused = True
        else:
            assert answer.replayed == known.done
            assert known.full in (None, answer.order)
            known.full = answer.order
        known.wish, known.done = None, False
    ledger.heard(response.write.consistency_token)


def is_placing(known: Known) -> bool:
    return known.wish is not None and known.wish.kind == "place"


async def change_again(client: Client, ledger: Ledger, name: str) -> None:
    """Ask under the same id for a change that got no answer."""
    known = ledger.orders[name]
    if known.wish is None:
        return
    answer = await client.change(name, known.wish)
    assert answer.write.replayed == known.done
    assert not known.done or answer.order == known.full
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
