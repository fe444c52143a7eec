"""What one caller can ask for is bounded: pages, errors, early wishes, bytes under way."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tallystick.core.limits import Limits
from tallystick.v1 import order_pb2, order_service_pb2
from tests.node.driving import Blockade
from tests.rpc.asking import (
    BASIC,
    CANCELLED,
    HELD,
    cancel,
    edit,
    get,
    get_stock,
    hold,
    list_orders,
    order,
    pay,
    place,
    place_all,
    receive,
)
from tests.rpc.refusals import read_status, refusal
from tests.rpc.serving import CALL_S, serving, start, until

MEBIBYTE = 1 << 20


async def every_page(served: Any, **filters: Any) -> list[Any]:
    pages, token = [], ""
    while True:
        page = await list_orders(served, page_size=1_000, page_token=token, **filters)
        pages.append(page)
        token = page.next_page_token
        if not token:
            return pages


async def test_a_page_of_large_orders_ends_early(served):
    await receive(served, tea=10_000)
    names = [f"o-{number:02}" for number in range(30)]
    for name in names:
        large = order(name, *[("tea", 1)] * 100)
        for line in large.lines:
            line.description = "x" * 1_000
        await place_all(served, large, view=BASIC)
    pages = await every_page(served)
    assert [one.id for page in pages for one in page.orders] == names[::-1]
    assert len(pages) >= 3
    assert all(len(page.SerializeToString()) < 1.2 * MEBIBYTE for page in pages)
    assert len(await every_page(served, view=BASIC)) == 1


async def test_a_search_for_a_needle_goes_on_over_empty_pages(served):
    """One index does for two filters: a page ends after so many looks, or it would hold up the others."""
    await receive(served, tea=10_000)
    await place(served, hold("needle", ("tea", 1), customer="ann"))
    for turn in range(6):
        hay = [order(f"hay-{turn}-{number}", ("tea", 1), customer="ann") for number in range(900)]
        await place_all(served, *hay)
    pages = await every_page(served, customer="ann", state=HELD)
    assert [[one.id for one in page.orders] for page in pages] == [[], ["needle"]]
    assert (
        len([one for page in await every_page(served, customer="ann", view=BASIC) for one in page.orders])
        == 5_401
    )


async def test_a_shortage_of_very_many_items_still_reaches_the_caller(served):
    """Errors travel in trailers, and gRPC drops a call whose trailers are too large."""
    skus = [f"{number:04}" + "x" * 124 for number in range(2_000)]
    refused = await refusal(place(served, order("o-1", *((sku, 1) for sku in skus))))
    assert refused.reason == "INSUFFICIENT_STOCK"
    detail = refused.details["InsufficientStock"]
    assert detail.shortages_total == 2_000
    assert [row.sku for row in detail.shortages] == skus[: len(detail.shortages)]
    assert 10 < len(detail.shortages) < 2_000
    assert len(refused.message) < 1_000


async def test_a_wrong_value_is_not_sent_back_whole(served):
    await receive(served, tea=1)
    await place(served, order("o-1", ("tea", 1)))
    request = order_service_pb2.EditOrderRequest(order_id="o-1", request_id="e-1")
    request.update_mask.paths.append("x" * 500_000)
    refused = await refusal(served.orders.EditOrder(request, timeout=CALL_S))
    assert refused.reason == "INVALID_FIELD"
    assert len(refused.message) <= 500
    long = order("o-2", ("tea", 1))
    long.lines[0].line_id = "y" * 500_000
    refused = await refusal(place(served, long))
    assert len(refused.metadata["field"]) <= 160
    assert len(refused.message) <= 500


async def test_wishes_for_an_order_that_never_came(served):
    for number in range(16):
        await cancel(served, "o-1", f"c-{number}", ("1", 1))
    refused = await refusal(cancel(served, "o-1", "c-16", ("1", 1)))
    assert (refused.code, refused.reason, refused.definite) == ("FAILED_PRECONDITION", "HISTORY_FULL", True)
    assert (await cancel(served, "o-1", "c-15", ("1", 1))).write.replayed


async def test_a_stream_reads_no_more_than_it_may_have_under_way(served):
    """By messages, and by bytes: what waits for the engine is bounded, whatever clients send."""
    await receive(served, tea=1_000)
    blockade = Blockade(served.engine)
    blockade.reached()
    small = served.orders.PlaceOrders(timeout=CALL_S)
    large = served.orders.PlaceOrders(timeout=CALL_S)
    for call in (small, large):
        assert (await call.read()).window_lines
    for number in range(24):
        await small.write(message(order(f"s-{number}", ("tea", 1))))
    await until(lambda: served.engine._queue.qsize() == 16)
    heavy = order("l", ("tea", 1))
    heavy.lines[0].description = "x" * 400_000  # refused, but not before it is read
    for _ in range(6):
        await large.write(message(heavy))
    await until(lambda: served.engine._queue.qsize() == 16 + 3)
    # Reads go on, so everything that could be handed over has been.
    assert (await refusal(get(served, "s-0"))).reason == "ORDER_NOT_FOUND"
    assert served.engine._queue.qsize() == 19
    blockade.lift()
    assert [(await small.read()).answers[0].order.id for _ in range(24)] == [f"s-{n}" for n in range(24)]
    refused = [read_status((await large.read()).answers[0].error) for _ in range(6)]
    assert {one.reason for one in refused} == {"INVALID_FIELD"}
    for call in (small, large):
        call.cancel()


def message(placed: order_pb2.Order) -> order_service_pb2.PlaceOrdersRequest:
    return order_service_pb2.PlaceOrdersRequest(orders=[order_service_pb2.NumberedOrder(order=placed)])


async def test_work_that_nobody_waits_for_is_not_begun(served):
    await receive(served, tea=10)
    blockade = Blockade(served.engine)
    blockade.reached()
    request = order_service_pb2.PlaceOrderRequest(order=order("given-up", ("tea", 1)))
    call = served.orders.PlaceOrder(request, timeout=CALL_S)
    stream = served.orders.PlaceOrders(timeout=CALL_S)
    assert (await stream.read()).window_lines
    await stream.write(message(order("cut-off", ("tea", 1))))
    await until(lambda: served.engine._queue.qsize() == 2)
    call.cancel()
    stream.cancel()
    await until(lambda: not served.running.shell._calls and not served.running.shell._streams)
    blockade.lift()
    await place(served, order("last", ("tea", 1)))  # behind both
    for name in ("given-up", "cut-off"):
        assert (await refusal(get(served, name))).reason == "ORDER_NOT_FOUND"
    assert [one.id for one in (await list_orders(served)).orders] == ["last"]
    assert (await cancel(served, "last")).order.state == CANCELLED


SMALLER = [
    ({"lines_max": 1}, lambda s: place(s, order("o-2", ("tea", 1), ("tea", 1))), "INVALID_FIELD"),
    ({"order_id_bytes_max": 3}, lambda s: place(s, order("o-22", ("tea", 1))), "INVALID_FIELD"),
    ({"sku_bytes_max": 3}, lambda s: get_stock(s, "milk"), "INVALID_FIELD"),
    (
        {"customer_bytes_max": 3},
        lambda s: place(s, order("o-2", ("tea", 1), customer="anna")),
        "INVALID_FIELD",
    ),
    ({"quantity_max": 2}, lambda s: place(s, order("o-2", ("tea", 3))), "INVALID_FIELD"),
    ({"text_bytes_max": 8}, lambda s: cancel(s, "o-1", "c", reason="x" * 9), "INVALID_FIELD"),
    ({"tags_max": 1}, lambda s: edit(s, "o-1", "e", tags=["a", "b"]), "INVALID_FIELD"),
    ({"hold_ms_min": 20_000}, lambda s: place(s, hold("o-2", ("tea", 1), hold_s=19)), "INVALID_FIELD"),
    ({"hold_ms_max": 20_000}, lambda s: place(s, hold("o-2", ("tea", 1), hold_s=21)), "INVALID_FIELD"),
    ({"page_size_max": 10}, lambda s: list_orders(s, page_size=11), "INVALID_FIELD"),
    ({"history_max": 1}, lambda s: pay(s, "o-1", 1, "p-2"), "HISTORY_FULL"),
    ({"record_bytes_max": 1}, lambda s: edit(s, "o-1", "e", note="a"), "HISTORY_FULL"),
    ({"document_bytes_max": 100}, lambda s: edit(s, "o-1", "e", note="x" * 200), "DOCUMENT_FULL"),
]


@pytest.mark.parametrize(("limit", "call", "reason"), SMALLER)
async def test_every_limit_may_be_smaller(tmp_path, limit, call, reason):
    served = await start(tmp_path / "node")
    await receive(served, tea=10)
    await place(served, order("o-1", ("tea", 1)))
    await pay(served, "o-1", 1, "p-1")
    before = await get(served, "o-1")
    await served.stop()
    async with serving(tmp_path / "node", limits=Limits(**limit)) as strict:
        refused = await refusal(call(strict))
        assert (refused.reason, refused.definite) == (reason, True)
        assert await get(strict, "o-1") == before


def test_no_limit_may_be_larger():
    """What is stored must be readable by every node."""
    for field in dataclasses.fields(Limits):
        if field.name != "hold_ms_min":
            with pytest.raises(ValueError, match=field.name):
                Limits(**{field.name: getattr(Limits(), field.name) + 1})
