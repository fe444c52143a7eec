"""Rows to orders, cancellations and reports."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.cli.importing.mapping import UNTRACKED, Kind, OrderLine, PlannedOrder
from tallystick.cli.importing.money import cancelled_value, pence
from tallystick.cli.importing.values import order_value
from tests.importing.files import FILES, Fields, plan_of, row


def kinds(*rows: Fields) -> list[Kind]:
    return [reported.kind for reported in plan_of(*rows).reported]


@given(FILES)
def test_every_row_ends_as_one_thing(rows):
    """An order line, a part of a merged line, a cancellation, or a report: nothing lost, nothing doubled."""
    plan = plan_of(*rows)
    lines = [line for order in plan.orders for line in order.lines]
    assert plan.rows == len(rows)
    assert plan.rows == len(lines) + plan.merged + len(plan.cancellations) + len(plan.reported)
    reported = {reported.number for reported in plan.reported}
    cancelling = {cancellation.row.number for cancellation in plan.cancellations}
    assert len(reported) + len(cancelling) == len(plan.reported) + len(plan.cancellations)
    assert not reported & cancelling
    ordered = [rows[number - 1] for number in range(1, len(rows) + 1) if number not in reported | cancelling]
    assert sum(line.quantity for line in lines) == sum(int(fields[3]) for fields in ordered)
    units = {(order.id, line.sku) for order in plan.orders for line in order.lines}
    assert units == {(fields[0], fields[1]) for fields in ordered}


@given(FILES)
def test_an_order_is_one_that_the_engine_takes(rows):
    for order in plan_of(*rows).orders:
        assert 0 < len(order.lines) <= 2_000
        assert len({line.line_id for line in order.lines}) == len(order.lines)
        assert all(0 < line.quantity <= 1_000_000 for line in order.lines)
        assert all(0 < len(line.sku.encode()) <= 128 for line in order.lines)


def test_rows_of_one_item_and_price_are_one_line():
    """2.5 and 2.50 are one price; another price is another line of the same stock item."""
    rows = [
        row("1", "TEA", 2, "2.50"),
        row("1", "TEA", 1, "3.00"),
        row("1", "TEA", 4, "2.5"),
        row("1", "tea", 1),
    ]
    plan = plan_of(*rows)
    (order,) = plan.orders
    assert [(line.line_id, line.sku, line.quantity, line.amount) for line in order.lines] == [
        ("1", "TEA", 6, 1500),
        ("2", "TEA", 1, 300),
        ("3", "tea", 1, 100),
    ]
    assert plan.merged == 1


def test_a_full_line_is_followed_by_another():
    (order,) = plan_of(row("1", "TEA", 999_999), row("1", "TEA", 1), row("1", "TEA", 1)).orders
    assert [line.quantity for line in order.lines] == [1_000_000, 1]


def test_an_amount_is_rounded_once_for_the_whole_line():
    """Merged first, rounded then: three times 0.005 pounds is 1.5 pence, half to even 2."""
    (order,) = plan_of(row("1", "TEA", 1, "0.005"), row("1", "TEA", 2, "0.005")).orders
    assert order.lines[0].amount == 2
    assert order.lines[0].unit_price == 0


@given(st.integers(-(10**15), 10**15), st.decimals("-1e9", "1e9", places=4))
def test_pence_are_exact_and_half_to_even(quantity, price):
    exact = Fraction(price) * quantity * 100
    assert abs(Fraction(pence(quantity, price)) - exact) <= Fraction(1, 2)
    assert pence(quantity, price) == round(exact)


def test_half_to_even_is_what_decimal_says():
    for tenths in range(-50, 50):
        price = Decimal(tenths) / 1000
        assert pence(1, price) == int((price * 100).quantize(Decimal(1), ROUND_HALF_EVEN))


def test_what_takes_no_stock_is_untracked():
    rows = [row("1", sku, 1) for sku in ("TEA", "POST", "DOT", "M", "m", "BANK CHARGES", "C2", "PADS")]
    (order,) = plan_of(*rows).orders
    assert [line.sku for line in order.lines if not line.untracked] == ["TEA", "PADS"]
    assert {"POST", "DOT", "D", "M", "BANK CHARGES"} <= UNTRACKED


def test_an_order_says_who_where_and_when():
    rows = [
        row("1", "TEA", 1, description="", country="EIRE"),
        row("1", "CUP", 1, time="2010-12-01 08:27:00", description=" A\tCUP\x00 ", country="EIRE"),
    ]
    sent = order_value(plan_of(*rows).orders[0])
    assert (sent.id, sent.customer, sent.currency, sent.total) == ("1", "17850", "GBP", 200)
    assert sent.details.shipping_address is not None
    assert sent.details.shipping_address.country == "IE"
    assert sent.details.attributes == {
        "invoice_time": "2010-12-01 08:26:00",
        "invoice_time_last": "2010-12-01 08:27:00",
    }
    assert [line.description for line in sent.lines] == ["", "A CUP"]


@pytest.mark.parametrize(("country", "code"), [("Channel Islands", "Channel Islands"), ("Unspecified", "")])
def test_a_country_without_a_code(country, code):
    address = order_value(plan_of(row("1", "TEA", 1, country=country)).orders[0]).details.shipping_address
    assert (address.country if address else "") == code


def test_a_long_description_is_cut_between_characters():
    (order,) = plan_of(row("1", "TEA", 1, description="x" + "£" * 600)).orders
    assert order.lines[0].description == "x" + "£" * 511


def test_what_is_neither_is_reported():
    assert kinds(row("1", "TEA", -1)) == [Kind.NEGATIVE]
    assert kinds(row("1", "TEA", 0, "0")) == [Kind.NEGATIVE]
    assert kinds(row("1", "TEA", 1, "0.0")) == [Kind.NO_PRICE]
    assert kinds(row("1", "TEA", 1, "-2")) == [Kind.NO_PRICE]
    assert kinds(row("A1", "B", 1, "11062.06")) == [Kind.ADJUSTMENT]
    assert kinds(row("C1", "TEA", 1)) == [Kind.NOTHING_CANCELLED]
    assert kinds(row("1", "TEA", 1), row("1", "CUP", 1, customer="2")) == [Kind.OTHER_CUSTOMER]
    assert kinds(row("1", "", 1)) == [Kind.BEYOND_LIMITS]
    assert kinds(row("1", "TEA", 1_000_001)) == [Kind.BEYOND_LIMITS]
    assert kinds(row("1", "x" * 129, 1)) == [Kind.BEYOND_LIMITS]
    assert kinds(row("1", "a\x07b", 1)) == [Kind.BEYOND_LIMITS]
    assert kinds(row("1" * 65, "TEA", 1)) == [Kind.BEYOND_LIMITS]
    assert kinds(row("1", "TEA", 1, customer="x" * 129)) == [Kind.BEYOND_LIMITS]
    assert kinds(row("1", "TEA", 1_000_000, "99999999999")) == [Kind.BEYOND_LIMITS]
    assert kinds(row("C" + "1" * 60, "TEA", -1)) == [Kind.BEYOND_LIMITS]
    assert kinds(("1",)) == [Kind.MALFORMED]


def test_an_order_of_too_many_lines_is_reported_whole():
    rows = [row("1", f"ITEM{number}", 1) for number in range(2_001)]
    assert kinds(*rows) == [Kind.BEYOND_LIMITS] * 2_001
    assert kinds(*rows[:2_000]) == []


def test_events_are_in_the_order_of_time():
    """A row that was moved to the end of the file does not move its invoice."""
    plan = plan_of(
        row("3", "TEA", 1, time="2010-12-01 08:30:00"),
        row("2", "TEA", 1, time="2010-12-01 08:28:00"),
        row("C4", "TEA", -1, time="2010-12-01 08:29:00"),
        row("5", "TEA", 1, time="2010-12-01 08:28:00"),
        row("2", "CUP", 1, time="2010-12-01 08:31:00"),
    )
    names = [
        event.id if isinstance(event, PlannedOrder) else event.lines[0].request_id for event in plan.events
    ]
    assert names == ["2", "5", "C4-1", "3"]
    assert [event.seq for event in plan.events] == sorted(event.seq for event in plan.events)


def test_the_cancelled_share_of_a_line_is_half_to_even():
    lines = [OrderLine(str(place), "TEA", 2, 0, amount, False, "") for place, amount in enumerate((5, 7, 9))]
    assert [cancelled_value([line], {line.line_id: 1}) for line in lines] == [2, 4, 4]
    assert cancelled_value(lines, {"0": 2, "1": 2, "2": 2}) == 21
