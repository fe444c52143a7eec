"""PlaceOrder: what it answers, what it takes, what it refuses."""

from typing import Any

import pytest

from tallystick.v1 import order_pb2, write_pb2
from tests.rpc.asking import (
    BASIC,
    CANCELLED,
    CONFIRMED,
    FULL,
    HELD,
    ON_AUTHORIZATION,
    ON_CAPTURE,
    cancel,
    events_of,
    get,
    get_stock,
    hold,
    order,
    place,
    receive,
    seconds,
)
from tests.rpc.refusals import refusal

FEE = order_pb2.ADJUSTMENT_KIND_FEE
SHIPPING = order_pb2.ADJUSTMENT_KIND_SHIPPING


async def test_an_order_is_sold_at_once_and_answered_in_full(served):
    await receive(served, tea=10)
    served.clock.advance(1.5)
    asked = order(
        "o-1",
        ("tea", 3),
        customer="ann",
        adjustments=[order_pb2.Adjustment(adjustment_id="post", kind=SHIPPING, amount=50)],
        details=order_pb2.Details(note="ring twice", tags=["gift"], attributes={"lane": "7"}),
        total=350,
    )
    answer = await place(served, asked, actor="shop")
    placed = answer.order
    assert placed.state == CONFIRMED
    assert placed.place_time.ToMilliseconds() == placed.update_time.ToMilliseconds() == served.clock.ms
    assert not placed.HasField("hold_expire_time")
    assert (placed.total, placed.payment.amount_due, placed.payment.refund_due) == (350, 350, 0)
    (line,) = placed.lines
    assert (line.line_id, line.sku, line.quantity, line.amount) == ("1", "tea", 3, 300)
    assert [(a.region, a.quantity) for a in line.allocations] == [("eu", 3)]
    (claim,) = placed.claims
    assert (claim.owner, claim.region, claim.state) == (served.node, "eu", CONFIRMED)
    assert claim.dot.startswith(f"{served.node}:")
    assert placed.confirm_when == order_pb2.CONFIRM_WHEN_ON_PLACING
    assert placed.shortage_mode == order_pb2.SHORTAGE_MODE_ALL_OR_NONE
    assert (placed.customer, placed.currency, placed.details) == ("ann", "EUR", asked.details)
    assert list(placed.adjustments) == list(asked.adjustments)
    assert placed.etag
    assert (answer.write.disposition, answer.write.replicated_to) == (write_pb2.DISPOSITION_DECIDED, 0)
    assert not answer.write.replayed
    assert await get(served, "o-1", answer.write.consistency_token) == placed
    stock = await get_stock(served, "tea")
    assert (stock.sold, stock.reserved, stock.available_here, stock.on_hand) == (3, 0, 7, 10)


async def test_a_hold_sets_stock_aside_until_its_time(served):
    await receive(served, tea=10)
    placed = (await place(served, hold("o-1", ("tea", 4), hold_s=60))).order
    assert placed.state == HELD
    assert placed.hold_expire_time.ToMilliseconds() == served.clock.ms + 60_000
    unset = order("o-2", ("tea", 1), confirm_when=ON_CAPTURE)
    later = (await place(served, unset)).order
    assert later.hold_expire_time.ToMilliseconds() == served.clock.ms + 15 * 60_000
    assert not later.HasField("hold")
    stock = await get_stock(served, "tea")
    assert (stock.sold, stock.reserved, stock.available_here, stock.on_hand) == (0, 5, 5, 10)


async def test_the_views_of_an_answer(served):
    await receive(served, tea=9)
    asked = order("o-1", ("tea", 1), customer="ann")
    basic = (await place(served, asked, view=BASIC)).order
    full = (await place(served, asked, view=FULL)).order
    unspecified = (await place(served, asked)).order
    assert full == unspecified
    assert not basic.lines
    assert (basic.id, basic.state, basic.place_time) == (full.id, full.state, full.place_time)


async def test_the_same_order_again_is_the_same_order(served):
    await receive(served, tea=10)
    first = await place(served, order("o-1", ("tea", 3)))
    again = await place(served, order("o-1", ("tea", 3)), actor="somebody else")
    assert again.order == first.order
    assert again.write.replayed
    assert (await get_stock(served, "tea")).sold == 3
    await cancel(served, "o-1")
    ended = await place(served, order("o-1", ("tea", 3)))
    assert (ended.order.state, ended.write.replayed) == (CANCELLED, True)
    assert (await get_stock(served, "tea")).sold == 0


@pytest.mark.parametrize(
    "other",
    [
        order("o-1", ("tea", 4)),
        order("o-1", ("tea", 3), customer="ann"),
        order("o-1", ("tea", 3), ("tea", 1)),
        hold("o-1", ("tea", 3)),
        order("o-1", ("tea", 3), details=order_pb2.Details(note="x")),
    ],
)
async def test_the_id_with_other_contents_is_refused(served, other):
    await receive(served, tea=10)
    await place(served, order("o-1", ("tea", 3)))
    refused = await refusal(place(served, other))
    assert (refused.code, refused.reason, refused.definite) == ("ALREADY_EXISTS", "ORDER_ID_REUSED", True)
    assert refused.metadata["order_id"] == "o-1"
    assert (await get_stock(served, "tea")).sold == 3


async def test_what_is_spelled_out_and_what_is_left_to_its_default_are_the_same_order(served):
    await receive(served, tea=10)
    await place(served, order("o-1", ("tea", 3)))
    spelled = order("o-1", ("tea", 3), confirm_when="CONFIRM_WHEN_ON_PLACING", total=300)
    spelled.shortage_mode = order_pb2.SHORTAGE_MODE_ALL_OR_NONE
    spelled.lines[0].line_id = "1"
    assert (await place(served, spelled)).write.replayed


async def test_a_shortage_names_every_item_and_takes_nothing(served):
    await receive(served, tea=5, milk=2, salt=1)
    short = order("o-1", ("tea", 3), ("milk", 3), ("salt", 1), ("tea", 4), ("air", 1))
    refused = await refusal(place(served, short))
    assert (refused.code, refused.reason, refused.definite) == (
        "FAILED_PRECONDITION",
        "INSUFFICIENT_STOCK",
        True,
    )
    rows = [(row.sku, row.location, row.asked, row.available_here) for row in refused.shortages]
    assert rows == [("tea", "", 7, 5), ("milk", "", 3, 2), ("air", "", 1, 0)]
    assert (refused.metadata["sku"], refused.metadata["asked"], refused.metadata["available_here"]) == (
        "tea",
        "7",
        "5",
    )
    for sku, units in (("tea", 5), ("milk", 2), ("salt", 1)):
        assert (await get_stock(served, sku)).available_here == units
    # The id stays free.
    assert not (await place(served, order("o-1", ("tea", 1)))).write.replayed


async def test_a_shortage_is_of_the_location_that_was_asked(served):
    await receive(served, tea=5)
    elsewhere = order("o-1", ("tea", 1))
    elsewhere.lines[0].location = "shelf"
    refused = await refusal(place(served, elsewhere))
    assert [(row.sku, row.location) for row in refused.shortages] == [("tea", "shelf")]


async def test_partial_acceptance_takes_what_there_is(served):
    await receive(served, tea=5, milk=1)
    partial = order("o-1", ("tea", 4), ("milk", 3), ("tea", 4), shortage_mode=order_pb2.SHORTAGE_MODE_PARTIAL)
    placed = (await place(served, partial)).order
    assert [line.cancelled_quantity for line in placed.lines] == [0, 2, 3]
    assert [sum(a.quantity for a in line.allocations) for line in placed.lines] == [4, 1, 1]
    assert placed.payment.amount_due == 600
    assert (await get_stock(served, "tea")).available_here == 0
    assert (await get_stock(served, "milk")).available_here == 0
    nothing = order("o-2", ("tea", 1), shortage_mode=order_pb2.SHORTAGE_MODE_PARTIAL)
    assert (await refusal(place(served, nothing))).reason == "INSUFFICIENT_STOCK"


async def test_a_service_takes_no_stock(served):
    postage = order("o-1", ("postage", 1))
    postage.lines[0].untracked = True
    placed = (await place(served, postage)).order
    assert placed.state == CONFIRMED
    assert not placed.lines[0].allocations


@pytest.mark.parametrize("when", [ON_AUTHORIZATION, ON_CAPTURE])
async def test_what_costs_nothing_waits_for_no_money(served, when):
    await receive(served, tea=1)
    placed = (await place(served, order("o-1", ("tea", 1), price=0, confirm_when=when))).order
    assert placed.state == CONFIRMED
    history = (await events_of(served, "o-1")).events
    assert [event.kind for event in history] == [
        order_pb2.ORDER_EVENT_KIND_PLACED,
        order_pb2.ORDER_EVENT_KIND_CONFIRMED,
    ]


WRONG: dict[str, list[dict[str, Any]]] = {
    "order.id": [{"id": ""}, {"id": "a b"}, {"id": "ä"}, {"id": "x\n"}],
    "order.currency": [{"currency": ""}, {"currency": "eur"}, {"currency": "EURO"}, {"currency": "ÄÖÜ"}],
    "order.lines": [{"lines": []}],
    "order.total": [{"total": 299}, {"total": 0}],
    "order.confirm_when": [{"confirm_when": 99}, {"confirm_when": -1}],
    "order.shortage_mode": [{"shortage_mode": 3}],
    "order.customer": [{"customer": "a\x00b"}, {"customer": "\x7f"}],
    "hold": [{"hold": seconds(0)}, {"hold": seconds(-5)}],
    "order.hold": [{"hold": seconds(9.999)}, {"hold": seconds(30 * 86_400 + 0.001)}],
}


@pytest.mark.parametrize(
    ("field", "change"), [(field, change) for field, changes in WRONG.items() for change in changes]
)
async def test_a_wrong_field_is_named(served, field, change):
    await receive(served, tea=10)
    asked = order("o-1", ("tea", 3))
    if change.get("lines") == []:
        asked.ClearField("lines")
    else:
        asked.MergeFrom(order_pb2.Order(**change))
        if change.get("id") == "" or change.get("currency") == "":
            asked.ClearField(*change)
    refused = await refusal(place(served, asked))
    assert (refused.code, refused.reason, refused.definite) == ("INVALID_ARGUMENT", "INVALID_FIELD", True)
    assert refused.fields == [field] == [refused.metadata["field"]]
    assert (await get_stock(served, "tea")).available_here == 10


WRONG_LINES: dict[str, dict[str, Any]] = {
    "order.lines[1].quantity": {"quantity": -1},
    "order.lines[1].sku": {"sku": "te\ta"},
    "order.lines[1].location": {"location": "shelf\n1"},
    "order.lines[1].amount": {"amount": -1},
    "order.lines[1].description": {"description": "a\x1fb"},
    "order.lines.line_id": {"line_id": "a\rb"},
}


@pytest.mark.parametrize(("field", "change"), WRONG_LINES.items())
async def test_a_wrong_field_of_a_line_is_named(served, field, change):
    asked = order("o-1", ("tea", 3))
    asked.lines[0].MergeFrom(order_pb2.Line(**change))
    assert (await refusal(place(served, asked))).fields == [field]


async def test_what_is_missing_or_doubled_is_named(served):
    asked = order("o-1", ("tea", 3), ("milk", 1))
    asked.lines[1].sku = ""
    assert (await refusal(place(served, asked))).fields == ["order.lines[2].sku"]
    asked = order("o-1", ("tea", 3), ("milk", 1))
    asked.lines[1].line_id = "1"
    assert (await refusal(place(served, asked))).fields == ["order.lines.line_id"]
    for first, second in (("a", "a"), ("", "a")):
        asked = order("o-1", ("tea", 3))
        asked.adjustments.add(adjustment_id=first, kind=FEE)
        asked.adjustments.add(adjustment_id=second, kind=FEE)
        assert (await refusal(place(served, asked))).fields == ["order.adjustments.adjustment_id"]
    asked = order("o-1", ("tea", 3))
    asked.adjustments.add(adjustment_id="a", amount=1)
    assert (await refusal(place(served, asked))).fields == ["order.adjustments.kind"]
    refused = await refusal(place(served, order_pb2.Order()))
    assert refused.fields == ["order.id"]


async def test_a_discount_beyond_the_lines_is_refused(served):
    asked = order("o-1", ("tea", 1))
    asked.adjustments.add(adjustment_id="a", kind="ADJUSTMENT_KIND_DISCOUNT", amount=-101)
    assert (await refusal(place(served, asked))).fields == ["order.total"]


async def test_an_order_cancelled_before_it_came_takes_nothing(served):
    await receive(served, tea=10)
    early = await cancel(served, "o-1", "c-1", reason="changed my mind")
    assert early.order.state == order_pb2.ORDER_STATE_UNPLACED
    assert (await get(served, "o-1")) == early.order
    placed = (await place(served, order("o-1", ("tea", 3)))).order
    assert placed.state == CANCELLED
    assert placed.lines[0].cancelled_quantity == 3
    assert (await get_stock(served, "tea")).available_here == 10
    assert (await place(served, order("o-1", ("tea", 3)))).write.replayed
