"""ListOrders and ListStock against a model that is a plain list: every filter, every page size."""

from __future__ import annotations

import itertools
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import timestamp_pb2

from tallystick.v1 import order_pb2, stock_service_pb2
from tests.node.driving import STARTED_MS
from tests.rpc.asking import (
    BASIC,
    CANCELLED,
    CONFIRMED,
    EXPIRED,
    FULL,
    HELD,
    UNPLACED,
    cancel,
    confirm,
    edit,
    get,
    hold,
    list_orders,
    list_stock,
    order,
    place,
    place_all,
    reached,
    receive,
)
from tests.rpc.refusals import refusal
from tests.rpc.serving import CALL_S, Served, serving, start

CUSTOMERS = ("ann", "annie", "bob", "")
FATES = (CONFIRMED, HELD, CANCELLED, EXPIRED)
ORDERS = 48


@dataclass
class Known:
    """What the model knows of an order."""

    name: str
    customer: str
    state: int
    ms: int


async def trade(served: Served) -> list[Known]:
    """Place orders one by one, so that the model knows their order; let each meet its fate."""
    await receive(served, tea=10_000)
    known: list[Known] = []
    shape = itertools.product(CUSTOMERS, FATES)
    for number, (customer, fate) in enumerate(itertools.islice(itertools.cycle(shape), ORDERS)):
        # Ids in no order; a clock that stands still at times. Orders of one moment are in order of placing.
        name = f"{number * 29 % ORDERS:03}"
        served.clock.advance(number % 3)
        hold_s = 60 if fate == EXPIRED else 86_400
        placed = (await place(served, hold(name, ("tea", 1), customer=customer, hold_s=hold_s))).order
        known.append(Known(name, customer, fate, placed.place_time.ToMilliseconds()))
    for one in known:
        if one.state == CONFIRMED:
            await confirm(served, one.name)
        elif one.state == CANCELLED:
            await cancel(served, one.name)
    served.clock.advance(120)
    for one in known:
        if one.state == EXPIRED:
            await reached(served, one.name, EXPIRED)
    await cancel(served, "early")  # known, but never placed: in no list
    return known[::-1]


def moment(ms: int) -> timestamp_pb2.Timestamp:
    stamp = timestamp_pb2.Timestamp()
    stamp.FromMilliseconds(ms)
    return stamp


async def pages(served: Served, size: int, **filters: Any) -> list[order_pb2.Order]:
    found: list[order_pb2.Order] = []
    token = ""
    while True:
        page = await list_orders(served, page_size=size, page_token=token, **filters)
        assert len(page.orders) <= size
        found += page.orders
        token = page.next_page_token
        if not token:
            return found
        assert len(page.orders) == size


def expected(known: list[Known], **filters: Any) -> list[str]:
    since, until = filters.get("placed_from"), filters.get("placed_until")
    return [
        one.name
        for one in known
        if filters.get("customer", one.customer) == one.customer
        and filters.get("state", one.state) == one.state
        and (since is None or one.ms >= since.ToMilliseconds())
        and (until is None or one.ms < until.ToMilliseconds())
    ]


def every_filter(known: list[Known]) -> list[dict[str, Any]]:
    """Every combination of customer, state and a few spans of time."""
    first, middle, last = known[-1].ms, known[len(known) // 2].ms, known[0].ms
    edges: list[int | None] = [None, 0, first, middle, middle + 1, last, last + 1]
    spans: list[dict[str, Any]] = [
        {
            name: moment(edge)
            for name, edge in (("placed_from", since), ("placed_until", until))
            if edge is not None
        }
        for since, until in itertools.product(edges, edges)
    ]
    customers: list[dict[str, Any]] = [{}, *({"customer": name} for name in ("ann", "annie", "an", "zoe"))]
    states: list[dict[str, Any]] = [{}, *({"state": state} for state in (*FATES, UNPLACED, 77))]
    return [a | b | c for a, b, c in itertools.product(customers, states, spans)]


@pytest.fixture(scope="module")
async def traded(tmp_path_factory):
    """A node with some trade, once as it went on and once reopened: rows in memory, rows in the tables."""
    directory = tmp_path_factory.mktemp("lists") / "node"
    served = await start(directory)
    known = await trade(served)
    clock = served.clock
    await served.stop()
    async with serving(directory, clock) as reopened:
        yield reopened, known


async def test_every_filter_in_every_page_size(traded):
    served, known = traded
    for number, filters in enumerate(every_filter(known)[::3]):
        size = (1, 7, ORDERS - 1, ORDERS, 1_000)[number % 5]
        if number % 35 and size == 1:
            size = 2
        found = await pages(served, size, view=BASIC, **filters)
        assert [one.id for one in found] == expected(known, **filters), (filters, size)


async def test_lists_are_the_same_before_and_after_a_checkpoint(tmp_path):
    async with serving(tmp_path / "node") as served:
        known = await trade(served)
        for filters in every_filter(known)[::29]:
            found = await pages(served, 5, view=BASIC, **filters)
            assert [one.id for one in found] == expected(known, **filters), filters


async def test_the_full_view_is_what_get_order_answers(traded):
    served, known = traded
    full = await pages(served, 20)
    assert full == await pages(served, 20, view=FULL)
    assert full == [await get(served, one.name) for one in known]
    assert not any(one.lines for one in await pages(served, 20, view=BASIC))


async def test_an_edited_order_is_listed_with_its_edits(served):
    await receive(served, tea=1)
    await place(served, order("o-1", ("tea", 1)))
    edited = (await edit(served, "o-1", "e-1", note="a")).order
    assert list((await list_orders(served)).orders) == [edited]


async def test_the_page_size_has_a_default_and_a_limit(served):
    await receive(served, tea=101)
    await place_all(served, *(order(f"o-{number}", ("tea", 1)) for number in range(101)))
    assert len((await list_orders(served)).orders) == 100
    assert len((await list_orders(served, page_size=1_000)).orders) == 101
    for size in (-1, 1_001):
        assert (await refusal(list_orders(served, page_size=size))).fields == ["page_size"]
        assert (await refusal(list_stock(served, page_size=size))).fields == ["page_size"]


async def test_orders_that_come_or_change_between_pages(served):
    """A page ends at a place in the list, not at a number: nothing is told twice or left out."""
    await receive(served, tea=100)
    for number in range(10):
        served.clock.advance(1)
        await place(served, hold(f"o-{number}", ("tea", 1)))
    first = await list_orders(served, page_size=4, state=HELD)
    assert [one.id for one in first.orders] == ["o-9", "o-8", "o-7", "o-6"]
    await cancel(served, "o-6")
    await cancel(served, "o-4")
    served.clock.advance(1)
    await place(served, hold("o-new", ("tea", 1)))
    second = await list_orders(served, page_size=9, state=HELD, page_token=first.next_page_token)
    assert [one.id for one in second.orders] == ["o-5", "o-3", "o-2", "o-1", "o-0"]


def token_of(key: bytes) -> str:
    return urlsafe_b64encode(key).decode()


@pytest.mark.parametrize(
    "token",
    [
        "!",
        "=",
        "abc",
        "ä",
        "x" * 3_000,
        token_of(b"\0" * 8 + b"x" * 600),
        token_of(b"a"),
        token_of(b"\xff" * 9),
    ],
)
async def test_page_tokens_that_no_list_has_given(served, token):
    await receive(served, tea=10)
    await place(served, order("o-1", ("tea", 1)))
    refused = await refusal(
        list_orders(served, page_token=token, placed_from=moment(STARTED_MS), placed_until=moment(STARTED_MS))
    )
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ["page_token"])
    if token not in (token_of(b"a"), token_of(b"\xff" * 9)):
        assert (await refusal(list_stock(served, page_token=token))).fields == ["page_token"]


async def test_a_page_token_belongs_to_its_filters(traded):
    served, _ = traded
    token = (await list_orders(served, page_size=1, customer="ann")).next_page_token
    assert (await refusal(list_orders(served, customer="bob", page_token=token))).fields == ["page_token"]
    assert (await refusal(list_orders(served, state=HELD, page_token=token))).fields == ["page_token"]
    late = (await list_orders(served, page_size=1)).next_page_token
    until = moment(STARTED_MS + 1_000)
    refused = await refusal(list_orders(served, placed_until=until, page_token=late))
    assert refused.fields == ["page_token"]


async def test_a_customer_that_cannot_be(served):
    assert (await refusal(list_orders(served, customer="a\0b"))).fields == ["customer"]
    assert (await refusal(list_orders(served, customer="x" * 129))).fields == ["customer"]
    assert (await refusal(list_stock(served, sku_prefix="a\nb"))).fields == ["sku_prefix"]


async def test_times_at_the_ends_of_time(served):
    await receive(served, tea=1)
    await place(served, order("o-1", ("tea", 1)))
    for seconds, found in ((-62_135_596_800, 1), (0, 1), (253_402_300_799, 0)):
        since = timestamp_pb2.Timestamp(seconds=seconds)
        assert len((await list_orders(served, placed_from=since)).orders) == found
        assert len((await list_orders(served, placed_until=since)).orders) == 1 - found


ITEMS = sorted(
    ((sku, at) for sku in ("a", "ab", "abc", "b", "Ä", "日本") for at in ("", "shelf", "ß")),
    key=lambda item: (item[0].encode(), item[1].encode()),
)


@pytest.mark.parametrize("reopen", [False, True])
async def test_stock_by_sku_and_location(tmp_path, reopen):
    served = await start(tmp_path / "node")
    items = [
        stock_service_pb2.StockQuantity(sku=s, location=at, quantity=n + 1) for n, (s, at) in enumerate(ITEMS)
    ]
    request = stock_service_pb2.ReceiveStockRequest(receipt_id="r-1", node=served.node, items=items[::-1])
    await served.stock.ReceiveStock(request, timeout=CALL_S)
    if reopen:
        await served.stop()
        served = await start(tmp_path / "node")
    for prefix in ("", "a", "ab", "abc", "abcd", "b", "Ä", "日", "日本"):
        for size in (1, 2, 5, 1_000):
            found, token = [], ""
            while True:
                page = await list_stock(served, sku_prefix=prefix, page_size=size, page_token=token)
                found += [(stock.sku, stock.location, stock.received) for stock in page.stock]
                token = page.next_page_token
                if not token:
                    break
            assert found == [(s, at, n + 1) for n, (s, at) in enumerate(ITEMS) if s.startswith(prefix)]
    token = (await list_stock(served, sku_prefix="ab", page_size=1)).next_page_token
    assert (await refusal(list_stock(served, sku_prefix="b", page_token=token))).fields == ["page_token"]
    await served.stop()
