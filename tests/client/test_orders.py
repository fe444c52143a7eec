"""The calls about orders, against a node."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tallystick import (
    Address,
    Adjustment,
    AdjustmentKind,
    Client,
    ConfirmWhen,
    Details,
    EtagMismatch,
    InsufficientStock,
    InvalidRequest,
    Line,
    LineNotFound,
    Order,
    OrderEventKind,
    OrderIdReused,
    OrderNotFound,
    OrderState,
    Payment,
    PaymentKind,
    PlacedOrder,
    PreconditionFailed,
    Shortage,
    ShortageMode,
)

TEA = [Line("TEA", 2, amount=1800)]


@pytest.fixture(autouse=True)
async def stocked(client):
    await client.receive_stock({"TEA": 100, "CUP": 5})


async def test_a_placed_order_reads_back_as_it_was_given(client):
    order = Order(
        currency="EUR",
        customer="c-1",
        lines=[*TEA, Line("POSTAGE", 1, amount=490, untracked=True, description="parcel")],
        adjustments=[Adjustment("spring", AdjustmentKind.DISCOUNT, -100)],
        total=2190,
        details=Details(
            shipping_address=Address(name="A. Smith", city="Ghent"), tags={"gift"}, attributes={"lane": "7"}
        ),
    )
    placed = await client.place_order(order)
    assert (placed.id, placed.state, placed.lines) == (order.id, OrderState.CONFIRMED, ())
    assert not placed.write.replayed
    read = await client.get_order(order.id)
    assert (read.customer, read.total, read.details) == ("c-1", 2190, order.details)
    assert read.adjustments == order.adjustments
    assert [(line.sku, line.quantity, line.amount) for line in read.lines] == [
        ("TEA", 2, 1800),
        ("POSTAGE", 1, 490),
    ]
    assert read.place_time == placed.place_time
    assert (await client.get_stock("TEA")).sold == 2


async def test_an_order_may_be_given_by_its_fields(client):
    placed = await client.place_order(currency="EUR", lines=TEA, customer="c-1", id="mine")
    assert placed.id == "mine"
    with pytest.raises(TypeError, match="not both"):
        await client.place_order(Order(currency="EUR", lines=TEA), customer="c-1")
    with pytest.raises(TypeError, match="currency"):
        await client.place_order(lines=TEA)


async def test_placing_again_answers_the_order_that_is_there(client):
    order = Order(currency="EUR", lines=TEA)
    first, again = await client.place_order(order), await client.place_order(order)
    assert (again.id, again.state, again.place_time) == (first.id, first.state, first.place_time)
    assert (first.write.replayed, again.write.replayed) == (False, True)
    assert (await client.get_stock("TEA")).sold == 2
    with pytest.raises(OrderIdReused):
        await client.place_order(Order(id=order.id, currency="EUR", lines=[Line("CUP", 1)]))


async def test_a_refusal_says_what_is_short_and_leaves_the_id_free(client):
    order = Order(currency="EUR", lines=[Line("TEA", 1), Line("CUP", 6), Line("MUG", 1)])
    with pytest.raises(InsufficientStock) as refused:
        await client.place_order(order)
    assert [(short.sku, short.asked, short.available_here) for short in refused.value.shortages] == [
        ("CUP", 6, 5),
        ("MUG", 1, 0),
    ]
    assert all(type(short) is Shortage for short in refused.value.shortages)
    await client.receive_stock({"CUP": 1, "MUG": 1})
    assert not (await client.place_order(order)).write.replayed


async def test_an_order_may_take_what_there_is(client):
    placed = await client.place_order(
        currency="EUR", lines=[Line("CUP", 9)], shortage_mode=ShortageMode.PARTIAL
    )
    assert placed.state is OrderState.CONFIRMED
    (line,) = (await client.get_order(placed.id)).lines
    assert sum(each.quantity for each in line.allocations) == 5


async def test_what_breaks_a_rule_is_refused_by_its_field(client):
    with pytest.raises(InvalidRequest) as refused:
        await client.place_order(currency="EUR", lines=[Line("TEA", 0)])
    assert refused.value.field.endswith(".quantity")


async def test_a_request_that_no_node_takes_is_refused_before_it_breaks_the_stream(client):
    bulky = [Line("TEA", 1, description="x" * 1000) for _ in range(2000)]
    with pytest.raises(InvalidRequest, match="bytes"):
        await client.place_order(currency="EUR", lines=bulky)


async def test_a_checkout_hold_is_confirmed_by_hand(client, served):
    held = await client.place_order(
        currency="EUR", lines=TEA, confirm_when=ConfirmWhen.BY_HAND, hold=timedelta(seconds=60)
    )
    assert held.state is OrderState.HELD
    assert held.hold_expire_time - held.place_time == timedelta(seconds=60)
    served.clock.advance(30)
    extended = await client.extend_hold(held.id, timedelta(minutes=5), request_id="more")
    assert extended.order.hold_expire_time - held.place_time == timedelta(seconds=330)
    again = await client.extend_hold(held.id, timedelta(minutes=5), request_id="more")
    assert again.write.replayed
    assert (await client.confirm_order(held.id)).order.state is OrderState.CONFIRMED
    with pytest.raises(PreconditionFailed):
        await client.extend_hold(held.id)


async def test_a_payment_is_counted_once(client):
    held = await client.place_order(currency="EUR", lines=TEA, confirm_when=ConfirmWhen.ON_CAPTURE)
    payment = Payment(kind=PaymentKind.CAPTURED, amount=1800, currency="EUR", reference="ch_1")
    first = await client.record_payment(held.id, payment)
    again = await client.record_payment(held.id, payment)
    assert (first.write.replayed, again.write.replayed) == (False, True)
    assert first.order == again.order
    assert (first.order.state, first.order.payment.captured) == (OrderState.CONFIRMED, 1800)


async def test_lines_are_cancelled_in_part_and_in_whole(client):
    placed = await client.place_order(currency="EUR", lines=[*TEA, Line("CUP", 3)])
    part = await client.cancel_order(placed.id, {"1": 1, "2": 0}, reason="changed my mind")
    assert [line.cancelled_quantity for line in part.order.lines] == [1, 3]
    with pytest.raises(LineNotFound):
        await client.cancel_order(placed.id, {"9": 1})
    whole = await client.cancel_order(placed.id)
    assert whole.order.state is OrderState.CANCELLED
    assert (await client.get_stock("TEA")).available_here == 100


async def test_details_are_edited_by_path(client):
    placed = await client.place_order(currency="EUR", lines=TEA, details=Details(phone="1"))
    first = await client.edit_order(
        placed.id, {"note": "ring", "shipping_address.city": "Ghent", "tags": {"a"}}
    )
    assert first.order.details == Details(
        phone="1", note="ring", shipping_address=Address(city="Ghent"), tags={"a"}
    )
    second = await client.edit_order(placed.id, {"note": None, "attributes.lane": "7"}, first.order.etag)
    assert (second.order.details.note, second.order.details.attributes) == ("", {"lane": "7"})
    with pytest.raises(EtagMismatch):
        await client.edit_order(placed.id, {"note": "late"}, first.order.etag)


async def test_lists_go_on_over_pages(client, served):
    ids = []
    for number in range(7):
        served.clock.advance(1)
        placed = await client.place_order(currency="EUR", lines=TEA, customer=f"c-{number % 2}")
        ids.append(placed.id)
    await client.cancel_order(ids[0])
    assert [order.id async for order in client.list_orders(page_size=2)] == ids[::-1]
    assert [order.id async for order in client.list_orders(customer="c-0")] == ids[::2][::-1]
    assert [order.id async for order in client.list_orders(state=OrderState.CANCELLED)] == ids[:1]
    third = (await client.get_order(ids[2])).place_time
    assert [order.id async for order in client.list_orders(placed_from=third, page_size=1)] == ids[2:][::-1]
    assert [order.id async for order in client.list_orders(placed_until=third)] == ids[:2][::-1]


async def test_the_history_tells_who_did_what(client):
    placed = await client.place_order(currency="EUR", lines=TEA)
    await client.cancel_order(placed.id, reason="late", request_id="c-1")
    events = [event async for event in client.list_order_events(placed.id, page_size=1)]
    assert [event.kind for event in events] == [
        OrderEventKind.PLACED,
        OrderEventKind.CANCEL_REQUESTED,
        OrderEventKind.CANCELLED,
    ]
    assert [(event.actor, event.reason, event.request_id) for event in events[:2]] == [
        ("shop", "", ""),
        ("shop", "late", "c-1"),
    ]


async def test_resolving_tells_what_is_there(client):
    placed = await client.place_order(currency="EUR", lines=TEA)
    resolved = await client.resolve(placed.id)
    assert resolved.state is OrderState.CONFIRMED
    assert await client.resolve("never-placed") is None
    await client.cancel_order("cancelled-early")
    assert await client.resolve("cancelled-early") is None
    with pytest.raises(OrderNotFound):
        await client.get_order("never-placed")


async def test_256_at_once_sell_what_there_is_and_no_more(client):
    before = (await client.status()).sequence
    orders = [Order(currency="EUR", lines=[Line("TEA", 1)]) for _ in range(256)]
    answers = await asyncio.gather(*map(client.place_order, orders), return_exceptions=True)
    given = {order.id for order in orders}
    placed = {answer.id for answer in answers if isinstance(answer, PlacedOrder)}
    refused = [answer for answer in answers if isinstance(answer, InsufficientStock)]
    assert (len(placed), len(refused)) == (100, 156)
    assert placed < given
    assert (await client.get_stock("TEA")).available_here == 0
    assert (await client.status()).sequence - before == 100


async def test_large_orders_pass_through_a_small_window(client):
    """More lines than the server's window, more bytes than a message: they wait for each other."""
    lines = [Line("TEA", 1, description="x" * 200) for _ in range(900)]
    await client.receive_stock({"TEA": 60_000})
    orders = [Order(currency="EUR", lines=lines) for _ in range(60)]
    placed = await asyncio.gather(*(client.place_order(order, timeout=60) for order in orders))
    assert {answer.state for answer in placed} == {OrderState.CONFIRMED}


async def test_a_caller_that_gives_up_disturbs_nobody(client):
    calls = [asyncio.ensure_future(client.place_order(currency="EUR", lines=TEA)) for _ in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers[::2]} == {asyncio.CancelledError}
    assert {type(answer) for answer in answers[1::2]} == {PlacedOrder}


async def test_two_streams_place_all_the_same(served):
    async with Client(served.address, streams=2) as client:
        orders = [Order(currency="EUR", lines=[Line("TEA", 1)]) for _ in range(100)]
        placed = await asyncio.gather(*map(client.place_order, orders))
    assert [answer.id for answer in placed] == [order.id for order in orders]
