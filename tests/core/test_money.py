"""Money: exact integers, each cancelled share rounded half to even, by decimal arithmetic's own judgement."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.core.limits import CELL_MAX
from tallystick.core.order.facts import (
    Adjustment,
    AdjustmentKind,
    Body,
    Intent,
    IntentKind,
    Line,
    PaymentKind,
)
from tallystick.core.order.money import Payments, amount_due, share, sum_payments

amounts = st.integers(0, CELL_MAX)
quantities = st.integers(1, 1_000_000)


def part(amount: int, units: int, of: int) -> int:
    with localcontext() as context:
        context.prec = 80
        return int((Decimal(amount) * units / of).quantize(Decimal(1), ROUND_HALF_EVEN))


@given(st.integers(-CELL_MAX, CELL_MAX), quantities, quantities)
@example(1, 1, 2)
@example(3, 1, 2)
@example(-1, 1, 2)
@example(-3, 1, 2)
@example(CELL_MAX, 999_999, 1_000_000)
def test_a_share_is_rounded_half_to_even(amount, units, of):
    assert share(amount, units, of) == part(amount, units, of)


@given(amounts, quantities)
def test_all_units_are_the_whole_amount_and_none_is_nothing(amount, of):
    assert share(amount, of, of) == amount
    assert share(amount, 0, of) == 0


@given(amounts, st.integers(2, 1_000), st.data())
def test_a_share_never_falls_when_more_is_cancelled(amount, of, data):
    fewer = data.draw(st.integers(0, of - 1))
    assert share(amount, fewer, of) <= share(amount, fewer + 1, of) <= amount


def order(*lines: tuple[int, int], adjusted: int = 0) -> Body:
    """Lines as (quantity, amount), named "1", "2", …"""
    made = tuple(Line(str(n), "x", units, amount=amount) for n, (units, amount) in enumerate(lines, 1))
    return Body("EUR", made, adjustments=(Adjustment("a", int(AdjustmentKind.FEE), adjusted),))


@given(
    st.lists(st.tuples(quantities, amounts), min_size=1, max_size=5),
    st.integers(-CELL_MAX, CELL_MAX),
    st.data(),
)
def test_what_is_due_is_the_total_less_each_cancelled_share(lines, adjusted, data):
    body = order(*lines, adjusted=adjusted)
    gone = {str(n): data.draw(st.integers(0, units)) for n, (units, _) in enumerate(lines, 1)}
    rest = sum(amount - part(amount, gone[str(n)], units) for n, (units, amount) in enumerate(lines, 1))
    assert amount_due(body, gone) == max(0, rest + adjusted)
    assert body.total == sum(amount for _, amount in lines) + adjusted


def test_cancelling_nothing_leaves_the_total():
    body = order((3, 100), (1, 50), adjusted=-20)
    assert amount_due(body, {}) == amount_due(body, {"1": 0}) == body.total == 130


def test_a_third_of_a_hundred():
    assert [amount_due(order((3, 100)), {"1": gone}) for gone in range(4)] == [100, 67, 33, 0]


def test_a_discount_that_outlives_its_lines_is_no_debt_of_the_shop_s():
    """It was: of 100 + 100 − 150, paid and half cancelled, 100 were to be refunded where 50 had come."""
    body = order((1, 100), (1, 100), adjusted=-150)
    assert amount_due(body, {"2": 1}) == 0


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_line_without_units_costs_what_it_says(quantity):
    """Nobody can place one; a fold of a peer's facts must not fail on it."""
    assert amount_due(order((quantity, 30)), {"1": 1}) == 30


# ------------------------------------------------------------------------------------------------- payments

kinds = st.sampled_from([*map(int, PaymentKind), 0, 7, 99])


def told(number: int, kind: int, amount: int) -> Intent:
    payment = int(IntentKind.PAYMENT)
    return Intent(payment, f"p{number}", 1, number, number, payment_kind=kind, amount=amount)


@given(st.lists(st.tuples(kinds, amounts), max_size=12))
def test_payments_are_summed_by_kind(payments):
    sums = sum_payments(told(n, kind, amount) for n, (kind, amount) in enumerate(payments))

    def of(kind: PaymentKind) -> int:
        return sum(amount for known, amount in payments if known == kind)

    assert sums == Payments(
        of(PaymentKind.AUTHORIZED),
        of(PaymentKind.CAPTURED),
        of(PaymentKind.VOIDED),
        of(PaymentKind.REFUNDED),
        of(PaymentKind.CHARGED_BACK),
    )


@pytest.mark.parametrize(
    ("payments", "kept", "open_authorization"),
    [
        (Payments(), 0, 0),
        (Payments(authorized=100), 0, 100),
        (Payments(authorized=100, captured=60), 60, 40),
        (Payments(authorized=100, captured=60, voided=40), 60, 0),
        (Payments(captured=60), 60, 0),
        (Payments(authorized=100, captured=100, refunded=30, charged_back=20), 50, 0),
        (Payments(authorized=50, voided=70), 0, 0),
        (Payments(captured=10, refunded=30), -20, 0),
    ],
)
def test_where_the_money_stands(payments, kept, open_authorization):
    assert (payments.kept, payments.open_authorization) == (kept, open_authorization)
    assert payments.secured == kept + open_authorization
