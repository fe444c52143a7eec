"""RecordPayment: what money does to an order, and what is to be given back."""

from typing import Any

import pytest

from tests.rpc.asking import (
    AUTHORIZED,
    CANCELLED,
    CAPTURED,
    CONFIRMED,
    EXPIRED,
    HELD,
    ON_AUTHORIZATION,
    ON_CAPTURE,
    REFUNDED,
    cancel,
    get,
    get_stock,
    hold,
    order,
    pay,
    place,
    reached,
    receive,
    seconds,
)
from tests.rpc.refusals import refusal


@pytest.fixture
async def stocked(served):
    await receive(served, tea=10)
    return served


def money(message):
    payment = message.payment
    return payment.authorized, payment.captured, payment.refunded, payment.amount_due, payment.refund_due


async def test_captures_that_reach_the_total_confirm(stocked):
    await place(stocked, order("o-1", ("tea", 3), confirm_when=ON_CAPTURE))
    first = await pay(stocked, "o-1", 200, "p-1", currency="EUR", reference="psp-77")
    assert (first.order.state, money(first.order)) == (HELD, (0, 200, 0, 300, 0))
    again = await pay(stocked, "o-1", 200, "p-1", currency="EUR", reference="psp-77")
    assert (again.write.replayed, again.order) == (True, first.order)
    second = await pay(stocked, "o-1", 100, "p-2")
    assert (second.order.state, money(second.order)) == (CONFIRMED, (0, 300, 0, 300, 0))
    assert await get(stocked, "o-1", second.write.consistency_token) == second.order


async def test_an_authorisation_confirms_where_that_is_asked(stocked):
    await place(stocked, order("o-1", ("tea", 3), confirm_when=ON_AUTHORIZATION))
    await place(stocked, order("o-2", ("tea", 3), confirm_when=ON_CAPTURE))
    first = (await pay(stocked, "o-1", 300, kind=AUTHORIZED)).order
    other = (await pay(stocked, "o-2", 300, kind=AUTHORIZED)).order
    assert (first.state, money(first)) == (CONFIRMED, (300, 0, 0, 300, 0))
    assert (other.state, money(other)) == (HELD, (300, 0, 0, 300, 0))


async def test_a_hold_by_hand_is_not_confirmed_by_money(stocked):
    await place(stocked, hold("o-1", ("tea", 3)))
    assert (await pay(stocked, "o-1", 300)).order.state == HELD


async def test_one_payment_is_told_once(stocked):
    await place(stocked, order("o-1", ("tea", 3)))
    before = (await pay(stocked, "o-1", 200, "p-1")).order
    for change in ({"amount": 201}, {"kind": REFUNDED}, {"reference": "psp-1"}):
        told: dict[str, Any] = {"amount": 200, "kind": CAPTURED, **change}
        refused = await refusal(pay(stocked, "o-1", payment_id="p-1", **told))
        assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert await get(stocked, "o-1") == before


async def test_cancelling_a_paid_order_leaves_a_refund_due(stocked):
    await place(stocked, order("o-1", ("tea", 3)))
    await pay(stocked, "o-1", 300, "p-1")
    part = (await cancel(stocked, "o-1", "c-1", ("1", 1))).order
    assert (part.state, money(part)) == (CONFIRMED, (0, 300, 0, 200, 100))
    whole = (await cancel(stocked, "o-1", "c-2")).order
    assert (whole.state, money(whole)) == (CANCELLED, (0, 300, 0, 0, 300))
    part = (await pay(stocked, "o-1", 120, "p-2", REFUNDED)).order
    assert money(part) == (0, 300, 120, 0, 180)
    done = (await pay(stocked, "o-1", 180, "p-3", REFUNDED)).order
    assert money(done) == (0, 300, 300, 0, 0)


async def test_a_paid_hold_that_expires_leaves_a_refund_due(stocked):
    await place(stocked, order("o-1", ("tea", 3), confirm_when=ON_CAPTURE, hold=seconds(10)))
    await pay(stocked, "o-1", 299)
    stocked.clock.advance(10)
    expired = await reached(stocked, "o-1", EXPIRED)
    assert money(expired) == (0, 299, 0, 0, 299)
    assert (await get_stock(stocked, "tea")).available_here == 10


async def test_paid_after_expiry_is_held_again_and_sold(stocked):
    await place(stocked, order("o-1", ("tea", 3), confirm_when=ON_CAPTURE, hold=seconds(10)))
    stocked.clock.advance(10)
    await reached(stocked, "o-1", EXPIRED)
    paid = (await pay(stocked, "o-1", 300)).order
    assert (paid.state, money(paid)) == (CONFIRMED, (0, 300, 0, 300, 0))
    stock = await get_stock(stocked, "tea")
    assert (stock.sold, stock.available_here) == (3, 7)


async def test_paid_after_expiry_without_stock_is_to_be_refunded(stocked):
    await place(stocked, order("o-1", ("tea", 3), confirm_when=ON_CAPTURE, hold=seconds(10)))
    stocked.clock.advance(10)
    await reached(stocked, "o-1", EXPIRED)
    await place(stocked, order("o-2", ("tea", 8)))
    paid = (await pay(stocked, "o-1", 300)).order
    assert (paid.state, money(paid)) == (EXPIRED, (0, 300, 0, 0, 300))


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"amount": 0}, "payment.amount", "INVALID_FIELD"),
        ({"amount": -1}, "payment.amount", "INVALID_FIELD"),
        ({"kind": 0}, "payment.kind", "INVALID_FIELD"),
        ({"kind": 77}, "payment.kind", "INVALID_FIELD"),
        ({"payment_id": ""}, "payment.payment_id", "INVALID_FIELD"),
        ({"payment_id": "a/b"}, "payment.payment_id", "INVALID_FIELD"),
        ({"reference": "a\nb"}, "payment.reference", "INVALID_FIELD"),
        ({"currency": "USD"}, "payment.currency", "CURRENCY_MISMATCH"),
    ],
)
async def test_a_payment_that_cannot_be(stocked, fields, field, reason):
    await place(stocked, order("o-1", ("tea", 3)))
    refused = await refusal(pay(stocked, "o-1", **{"amount": 100, **fields}))
    assert (refused.code, refused.reason, refused.definite) == ("INVALID_ARGUMENT", reason, True)
    assert refused.fields == [field]


async def test_a_payment_of_an_order_that_nobody_placed(stocked):
    assert (await refusal(pay(stocked, "o-9", 100))).reason == "ORDER_NOT_FOUND"
