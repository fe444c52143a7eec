"""What is received beforehand, and from when an item may be short."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.cli.importing.command import parse_factor
from tallystick.cli.importing.stocking import demand, receipts, scarce_items, stock_for
from tests.importing.files import SHOPS, plan_of, row


def test_demand_is_what_orders_ask_of_tracked_items():
    plan = plan_of(
        row("1", "TEA", 2),
        row("1", "TEA", 3, "2.00"),
        row("2", "tea", 1),
        row("2", "POST", 1),
        row("C3", "TEA", -2),
    )
    assert demand(plan.orders) == {"TEA": 5, "tea": 1}


def test_stock_is_the_floor_of_the_share():
    """Exact: as binary fractions 0.29 × 100 would be 28."""
    assert stock_for({"A": 100, "B": 1, "C": 10}, Decimal("0.29")) == {"A": 29, "C": 2}
    assert stock_for({"A": 7}, Decimal(1)) == {"A": 7}
    assert stock_for({"A": 7}, Decimal(0)) == {}


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "x", "", "1001"])
def test_a_share_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"number|must be"):
        parse_factor(text)


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 9), max_size=30))
def test_receipts_hold_the_stock_and_are_named_for_it(stock):
    booked = [item for receipt in receipts(stock) for item in receipt.items]
    assert sorted(booked) == sorted(stock.items())
    assert receipts(dict(reversed(stock.items()))) == receipts(stock)
    more = {**stock, "one more": 1}
    assert not {receipt.id for receipt in receipts(stock)} & {receipt.id for receipt in receipts(more)}


def test_many_items_make_several_receipts():
    booked = receipts({f"ITEM{number}": 1 for number in range(2_500)})
    assert [len(receipt.items) for receipt in booked] == [1_000, 1_000, 500]
    assert len({receipt.id for receipt in booked}) == 3


@given(SHOPS, st.sampled_from([Decimal(0), Decimal("0.5"), Decimal("0.9"), Decimal(1)]))
def test_an_order_without_scarce_items_can_never_be_refused(rows, factor):
    """Not even if everything before it is accepted and nothing was ever cancelled."""
    plan = plan_of(*rows)
    stock = stock_for(demand(plan.orders), factor)
    left = dict(stock)
    for order, scarce in zip(plan.orders, scarce_items(plan.orders, stock), strict=True):
        for line in order.lines:
            if not line.untracked:
                left[line.sku] = left.get(line.sku, 0) - line.quantity
        assert {line.sku for line in order.lines if left.get(line.sku, 0) < 0} == scarce
    if factor == 1:
        assert not any(scarce_items(plan.orders, stock))
