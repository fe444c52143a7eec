"""Every limit of the contract: accepted at it, a clear error one past it."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.core.codec import encode
from tallystick.core.order.facts import decode_order
from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.port import Table
from tallystick.store.store import Store
from tallystick.v1 import order_pb2, order_service_pb2, stock_service_pb2
from tests.rpc.asking import (
    cancel,
    confirm,
    edit,
    events_of,
    extend,
    get,
    get_stock,
    hold,
    list_orders,
    list_stock,
    order,
    pay,
    place,
    place_all,
    receive,
    seconds,
)
from tests.rpc.refusals import refusal
from tests.rpc.serving import CALL_S, Served, serving, start

CELL = (1 << 53) - 1
MEBIBYTE = 1 << 20
ID_CHARACTERS = string.ascii_letters + string.digits + "._~-"


@pytest.fixture
async def stocked(served):
    await receive(served, tea=10_000_000)
    return served


async def too_much(call: Any, field: str) -> None:
    refused = await refusal(call)
    assert (refused.code, refused.reason, refused.definite) == ("INVALID_ARGUMENT", "INVALID_FIELD", True)
    assert refused.fields == [field]


async def too_large(call: Any, limit: int) -> None:
    refused = await refusal(call)
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE")
    assert (refused.definite, refused.metadata["limit"]) == (True, str(limit))


# ----------------------------------------------------------------------------------------------- requests


def of_size(order_id: str, size: int) -> order_service_pb2.PlaceOrderRequest:
    """A request of exactly so many bytes."""
    large = order(order_id, *[("tea", 1)] * 1_020)
    for line in large.lines:
        line.description = "x" * 980
    request = order_service_pb2.PlaceOrderRequest(order=large)
    missing = size - request.ByteSize()
    for line in request.order.lines:
        line.description += "x" * min(missing, 40)
        missing -= min(missing, 40)
    assert request.ByteSize() == size
    return request


async def test_a_request_of_one_mebibyte(stocked):
    request = of_size("o-1", MEBIBYTE)
    assert len(request.SerializeToString()) == MEBIBYTE
    answer = await stocked.orders.PlaceOrder(request, timeout=CALL_S)
    assert len(answer.order.lines) == 1_020
    assert (await get(stocked, "o-1")) == answer.order
    await too_large(stocked.orders.PlaceOrder(of_size("o-2", MEBIBYTE + 1), timeout=CALL_S), MEBIBYTE)
    assert (await refusal(get(stocked, "o-2"))).reason == "ORDER_NOT_FOUND"


async def test_a_smaller_limit_may_be_set(tmp_path):
    async with serving(tmp_path / "node", request_bytes_max=1_000) as served:
        await receive(served, tea=1)
        await too_large(place(served, order("o-1", *[("tea", 1)] * 100)), 1_000)


async def test_a_stream_message_of_more_than_a_mebibyte_ends_the_stream(stocked):
    stream = stocked.orders.PlaceOrders(timeout=CALL_S)
    assert (await stream.read()).window_lines
    large = order_service_pb2.NumberedOrder(order=of_size("o-1", MEBIBYTE).order)
    await stream.write(order_service_pb2.PlaceOrdersRequest(orders=[large]))
    await too_large(stream.read(), MEBIBYTE)


async def test_as_many_replicas_as_a_cluster_may_have(stocked):
    """A node alone has nobody to wait for: what can't come is not waited for."""
    alone = await place(stocked, order("o-1", ("tea", 1)), replicas=63)
    assert alone.write.replicated_to == 0
    assert not alone.write.replayed
    many = await place_all(stocked, order("o-2", ("tea", 1)), replicas=63)
    assert (many.write.replicated_to, many.answers[0].order.id) == (0, "o-2")
    for wrong in (64, -1):
        await too_much(place(stocked, order("o-3", ("tea", 1)), replicas=wrong), "replicas")
        await too_much(place_all(stocked, order("o-3", ("tea", 1)), replicas=wrong), "replicas")
    assert (await refusal(get(stocked, "o-3"))).reason == "ORDER_NOT_FOUND"


async def test_two_thousand_lines(stocked):
    answer = await place(stocked, order("o-1", *[("tea", 1)] * 2_000))
    assert (await get_stock(stocked, "tea")).sold == 2_000
    await too_much(place(stocked, order("o-2", *[("tea", 1)] * 2_001)), "order.lines")
    names = [(line.line_id, 1) for line in answer.order.lines]
    await too_much(cancel(stocked, "o-1", "c-1", *names, ("x", 1)), "lines")
    assert (await cancel(stocked, "o-1", "c-1", *names)).order.state == order_pb2.ORDER_STATE_CANCELLED


async def test_two_thousand_items_of_stock(served):
    def items(count: int, sign: int = 1) -> list[Any]:
        return [stock_service_pb2.StockQuantity(sku=f"s-{n}", quantity=sign) for n in range(count)]

    def receipt(name: str, count: int) -> Any:
        request = stock_service_pb2.ReceiveStockRequest(receipt_id=name, node=served.node, items=items(count))
        return served.stock.ReceiveStock(request, timeout=CALL_S)

    def adjustment(name: str, count: int) -> Any:
        request = stock_service_pb2.AdjustStockRequest(
            adjustment_id=name, node=served.node, items=items(count, -1)
        )
        return served.stock.AdjustStock(request, timeout=CALL_S)

    assert len((await receipt("r-1", 2_000)).stock) == 2_000
    await too_much(receipt("r-2", 2_001), "items")
    assert len((await adjustment("a-1", 2_000)).stock) == 2_000
    await too_much(adjustment("a-2", 2_001), "items")
    assert len((await list_stock(served, page_size=1_000)).stock) == 1_000


# --------------------------------------------------------------------------------------------------- names


async def test_ids_have_one_to_sixty_four_characters(stocked):
    longest, longer = "x" * 64, "x" * 65
    await place(stocked, hold(longest, ("tea", 5)))
    await too_much(place(stocked, hold(longer, ("tea", 1))), "order.id")
    await too_much(get(stocked, longer), "order_id")
    await too_much(events_of(stocked, longer), "order_id")
    await pay(stocked, longest, 1, longest)
    await too_much(pay(stocked, longest, 1, longer), "payment.payment_id")
    for call in (extend, confirm, cancel):
        await too_much(call(stocked, longer, "x"), "order_id")
        await too_much(call(stocked, longest, longer), "request_id")
        assert not (await call(stocked, longest, longest)).write.replayed
    await too_much(edit(stocked, longest, longer, note="a"), "request_id")
    assert (await edit(stocked, longest, longest, note="a")).order.details.note == "a"
    await receive(stocked, longest, tea=1)
    await too_much(receive(stocked, longer, tea=1), "receipt_id")


async def test_ids_have_their_alphabet(stocked):
    for at in range(0, len(ID_CHARACTERS), 64):
        await place(stocked, order(ID_CHARACTERS[at : at + 64], ("tea", 1)))
    for character in {*map(chr, range(128)), "ä", "٣", "Å", "a\u0301"} - set(ID_CHARACTERS):
        await too_much(place(stocked, order(f"o{character}", ("tea", 1))), "order.id")


SIZES = [("x", 1), ("é", 2), ("日", 3), ("🍵", 4)]


def filled(letter: str, width: int, size: int) -> str:
    """As many letters as have so many bytes, and plain ones for the rest."""
    return letter * (size // width) + "x" * (size % width)


def named(served: Served, **line: Any) -> order_pb2.Order:
    asked = order("o-1", ("tea", 1))
    asked.lines[0].untracked = True
    asked.lines[0].MergeFrom(order_pb2.Line(**line))
    return asked


@pytest.mark.parametrize(("letter", "width"), SIZES)
@pytest.mark.parametrize(
    ("name", "size"), [("sku", 128), ("location", 64), ("line_id", 64), ("description", 1_024)]
)
async def test_strings_of_a_line_count_in_bytes(served, letter, width, name, size):
    fits = filled(letter, width, size)
    placed = (await place(served, named(served, **{name: fits}))).order
    assert getattr(placed.lines[0], name) == fits
    refused = await refusal(place(served, named(served, **{name: fits + "x"})))
    assert refused.fields[0].endswith(name)
    assert str(size) in refused.message


@pytest.mark.parametrize(("letter", "width"), SIZES)
async def test_strings_of_an_order_count_in_bytes(stocked, letter, width):
    customer, text = filled(letter, width, 128), filled(letter, width, 1_024)
    placed = (await place(stocked, order("o-1", ("tea", 1), customer=customer), actor=customer)).order
    assert placed.customer == customer
    assert [one.id for one in (await list_orders(stocked, customer=customer)).orders] == ["o-1"]
    await too_much(place(stocked, order("o-2", ("tea", 1), customer=customer + "x")), "order.customer")
    await too_much(place(stocked, order("o-2", ("tea", 1)), actor=customer + "x"), "actor")
    await pay(stocked, "o-1", 1, "p-1", reference=text)
    await too_much(pay(stocked, "o-1", 1, "p-2", reference=text + "x"), "payment.reference")
    edited = await edit(stocked, "o-1", "e-1", note=text, attributes={"a": text})
    assert (edited.order.details.note, edited.order.details.attributes["a"]) == (text, text)
    await too_much(edit(stocked, "o-1", "e-2", email=text + "x"), "details.email")
    await too_much(cancel(stocked, "o-1", "c-1", reason=text + "x"), "reason")
    await cancel(stocked, "o-1", "c-1", reason=text)
    assert (await events_of(stocked, "o-1")).events[-1].reason == text


async def test_the_longest_names_of_stock(served):
    sku, location = "日" * 42 + "xx", "é" * 32
    request = stock_service_pb2.ReceiveStockRequest(receipt_id="r-1", node=served.node)
    request.items.add(sku=sku, location=location, quantity=3)
    await served.stock.ReceiveStock(request, timeout=CALL_S)
    assert (await get_stock(served, sku, location)).received == 3
    (listed,) = (await list_stock(served, sku_prefix=sku)).stock
    assert (listed.sku, listed.location) == (sku, location)
    await too_much(get_stock(served, sku + "x"), "stock.sku")
    await too_much(get_stock(served, sku, location + "x"), "stock.location")
    await too_much(list_stock(served, sku_prefix=sku + "x"), "sku_prefix")


async def test_sixty_four_tags_and_attributes(stocked):
    names = [f"{number:064}" for number in range(65)]
    full = dict.fromkeys(names[:64], "x")
    details = order_pb2.Details(tags=names[:64], attributes=full)
    placed = (await place(stocked, order("o-1", ("tea", 1), details=details))).order
    assert len(placed.details.tags) == len(placed.details.attributes) == 64
    for one_more in (order_pb2.Details(tags=names), order_pb2.Details(attributes=dict.fromkeys(names, "x"))):
        await too_much(place(stocked, order("o-2", ("tea", 1), details=one_more)), "order.details")
    # What an edit adds counts with what is there; one that makes room first is fine.
    await too_much(edit(stocked, "o-1", "e-1", tags=[names[64]]), "details")
    await too_much(edit(stocked, "o-1", "e-1", attributes={names[64]: "x"}), "details")
    mask = (f"attributes.{names[0]}", f"attributes.{names[64]}")
    edited = (await edit(stocked, "o-1", "e-1", *mask, attributes={names[64]: "x"})).order
    assert set(edited.details.attributes) == set(names[1:])
    long = "x" * 65
    await too_much(edit(stocked, "o-1", "e-2", tags=[long]), "details.tags")
    await too_much(edit(stocked, "o-1", "e-2", attributes={long: "x"}), "details.attributes")


# ------------------------------------------------------------------------------------------------- numbers


async def test_a_million_units_a_line(stocked):
    await place(stocked, hold("o-1", ("tea", 1_000_000)))
    await too_much(place(stocked, order("o-2", ("tea", 1_000_001))), "order.lines[1].quantity")
    await too_much(place(stocked, order("o-2", ("tea", 0))), "order.lines[1].quantity")
    await too_much(cancel(stocked, "o-1", "c-1", ("1", 1_000_001)), "lines.quantity")
    await cancel(stocked, "o-1", "c-1", ("1", 1_000_000))


async def test_holds_of_ten_seconds_to_thirty_days(stocked):
    month = 30 * 86_400.0
    for number, length in enumerate((10.0, month)):
        name = f"o-{number}"
        placed = (await place(stocked, hold(name, ("tea", 1), hold_s=length))).order
        assert placed.hold_expire_time.ToMilliseconds() == stocked.clock.ms + length * 1_000
        extended = (await extend(stocked, name, hold=seconds(length))).order
        assert extended.hold_expire_time == placed.hold_expire_time
    for length in (9.999, month + 0.001):
        await too_much(place(stocked, hold("o-9", ("tea", 1), hold_s=length)), "order.hold")
        await too_much(extend(stocked, "o-1", "x-2", hold=seconds(length)), "hold")


async def test_money_that_a_double_holds(stocked):
    def costing(order_id: str, amount: int, **fields: Any) -> order_pb2.Order:
        asked = order(order_id, ("tea", 1), **fields)
        asked.lines[0].amount = amount
        return asked

    assert (await place(stocked, costing("o-1", CELL, total=CELL))).order.total == CELL
    await too_much(place(stocked, costing("o-2", CELL + 1)), "order.lines[1].amount")
    fee = order_pb2.Adjustment(adjustment_id="a", kind=order_pb2.ADJUSTMENT_KIND_FEE, amount=1)
    await too_much(place(stocked, costing("o-2", CELL, adjustments=[fee])), "order.total")
    fee.amount = CELL + 1
    await too_much(place(stocked, costing("o-2", 0, adjustments=[fee])), "order.adjustments.amount")
    await pay(stocked, "o-1", CELL, "p-1")
    await too_much(pay(stocked, "o-1", CELL + 1, "p-2"), "payment.amount")
    for number in range(2, 10):
        paid = (await pay(stocked, "o-1", CELL, f"p-{number}")).order
    assert (paid.payment.captured, paid.payment.refund_due) == (9 * CELL, 8 * CELL)


async def test_cells_that_a_double_holds(served):
    full = (await receive(served, "r-1", tea=CELL)).stock[0]
    assert (full.received, full.available_here) == (CELL, CELL)
    refused = await refusal(receive(served, "r-2", tea=1))
    assert (refused.code, refused.reason, refused.definite) == ("FAILED_PRECONDITION", "COUNTER_FULL", True)
    await too_much(receive(served, "r-3", milk=CELL + 1), "items.quantity")

    def policy(name: str, limit: int) -> Any:
        request = stock_service_pb2.SetStockPolicyRequest(
            request_id=name, node=served.node, sku="salt", overbooking_limit=limit
        )
        return served.stock.SetStockPolicy(request, timeout=CALL_S)

    assert (await policy("p-1", CELL)).stock.available_here == CELL
    await too_much(policy("p-2", CELL + 1), "overbooking_limit")
    await policy("p-3", 0)
    assert (await refusal(policy("p-4", 1))).reason == "COUNTER_FULL"
    assert (await get_stock(served, "salt")).overbooked == 0


async def test_adjustments_of_an_order(stocked):
    def adjusted(order_id: str, count: int) -> order_pb2.Order:
        kind = order_pb2.ADJUSTMENT_KIND_FEE
        rows = [order_pb2.Adjustment(adjustment_id=str(n), kind=kind, amount=1) for n in range(count)]
        return order(order_id, ("tea", 1), adjustments=rows)

    assert (await place(stocked, adjusted("o-1", 2_000))).order.total == 2_100
    await too_much(place(stocked, adjusted("o-2", 2_001)), "order.adjustments")


async def test_a_thousand_facts_of_an_order(tmp_path):
    """Then no more, but what was asked before is still answered, and the order is still read."""
    served = await start(tmp_path / "node")
    await receive(served, tea=1)
    await place(served, order("o-1", ("tea", 1)))
    await pay(served, "o-1", 1, "p-0")
    await served.stop()
    add_payments(tmp_path / "node", "o-1", 998)
    async with serving(tmp_path / "node") as again:
        assert (await pay(again, "o-1", 1, "p-999")).order.payment.captured == 1_000
        refused = await refusal(pay(again, "o-1", 1, "p-1000"))
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "HISTORY_FULL")
        assert (refused.definite, refused.metadata["order_id"]) == (True, "o-1")
        assert (await pay(again, "o-1", 1, "p-999")).write.replayed
        assert (await get(again, "o-1")).payment.captured == 1_000
        page = await events_of(again, "o-1", page_size=1_000)
        assert (len(page.events), page.next_page_token) == (1_000, "1000")


def add_payments(directory: Path, order_id: str, count: int) -> None:
    """Write many more payments like the first into the record of an order, while the node is down."""
    backend = LmdbBackend(directory, map_bytes=1 << 26, reserve_bytes=0)
    store = Store(backend, {})
    data = store.get(Table.ORDERS, order_id.encode())
    assert data is not None
    record = decode_order(data)
    (first,) = record.intents
    more = [
        replace(first, request_id=f"p-{n}", seq=first.seq + n, hlc=first.hlc + n) for n in range(1, count + 1)
    ]
    longer = replace(record, intents=(first, *more))
    store.commit({Table.ORDERS: {order_id.encode(): encode(longer)}}, {}, 0, b"")
    store.close()
