"""Whom a cancellation hits: that customer's newest open units of the item."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from hypothesis import given

from tallystick.cli.importing.ledger import Ledger, Part
from tallystick.cli.importing.mapping import CancelInvoice, Plan, PlannedOrder
from tests.importing.files import SHOPS, plan_of, row

BOUGHT = [
    row("1", "TEA", 5, "1.00", time="2010-12-01 08:01:00"),
    row("2", "TEA", 3, "1.00", time="2010-12-01 08:02:00"),
    row("2", "CUP", 3, "1.00", time="2010-12-01 08:02:00"),
    row("2", "TEA", 4, "2.00", time="2010-12-01 08:02:00"),
    row("3", "TEA", 9, customer="2", time="2010-12-01 08:03:00"),
]
LATER = "2010-12-01 09:00:00"


def matches(plan: Plan, refused: AbstractSet[str] = frozenset()) -> Iterator[tuple[list[Part], int]]:
    """What each cancellation takes when all but `refused` is accepted."""
    ledger = Ledger(plan.cancellations)
    for event in plan.events:
        if isinstance(event, CancelInvoice):
            yield from (ledger.match(line) for line in event.lines)
        elif event.id not in refused:
            ledger.accept(event)


def test_the_newest_units_go_first():
    (match,) = matches(plan_of(*BOUGHT, row("C9", "TEA", -8, time=LATER)))
    assert match == (
        [Part("2", {"3": 4, "1": 3}), Part("1", {"1": 1})],
        0,
    )


def test_what_was_cancelled_is_not_open():
    rows = [row("C8", "TEA", -6, time=LATER), row("C9", "TEA", -8, time=LATER)]
    assert list(matches(plan_of(*BOUGHT, *rows))) == [
        ([Part("2", {"3": 4, "1": 2})], 0),
        ([Part("2", {"1": 1}), Part("1", {"1": 5})], 2),
    ]


def test_what_was_refused_is_not_open():
    (match,) = matches(plan_of(*BOUGHT, row("C9", "TEA", -6, time=LATER)), refused={"2"})
    assert match == ([Part("1", {"1": 5})], 1)


def test_orders_that_come_later_are_not_hit():
    (match,) = matches(plan_of(row("C9", "TEA", -1, time="2010-12-01 08:00:00"), *BOUGHT))
    assert match == ([], 1)


def test_without_a_customer_nothing_matches():
    rows = [row("4", "TEA", 5, customer=""), row("C9", "TEA", -1, customer="", time=LATER)]
    assert list(matches(plan_of(*rows))) == [([], 1)]


def test_postage_is_cancelled_like_goods_and_a_discount_matches_nothing():
    rows = [row("1", "POST", 1), row("C9", "POST", -1, time=LATER), row("C9", "D", -1, time=LATER)]
    assert list(matches(plan_of(*rows))) == [([Part("1", {"1": 1})], 0), ([], 1)]


def test_the_sequence_of_answers_does_not_matter():
    plan = plan_of(*BOUGHT, row("C9", "TEA", -8, time=LATER))
    ledger = Ledger(plan.cancellations)
    for order in reversed(plan.orders):
        ledger.accept(order)
    assert ledger.match(plan.cancellations[0]) == next(matches(plan))


def test_a_part_that_was_refused_is_open_again():
    plan = plan_of(*BOUGHT, row("C8", "TEA", -8, time=LATER), row("C9", "TEA", -8, time=LATER))
    ledger = Ledger(plan.cancellations)
    for order in plan.orders:
        ledger.accept(order)
    first, second = plan.cancellations
    parts, _ = ledger.match(first)
    for part in parts:
        ledger.undo(first, part)
    assert ledger.match(second) == (parts, 0)


def test_a_second_run_repeats_what_the_first_has_cancelled():
    """It remembers a doubled cancellation: order 2, refused at first, was accepted by the second run, so the
    newest units were others, and the same line was cancelled there as well."""
    plan = plan_of(*BOUGHT, row("C9", "TEA", -6, time=LATER))
    ledger = Ledger(plan.cancellations)
    ledger.accept(plan.orders[0], {"C9-1": {"1": 5}})
    ledger.accept(plan.orders[1])
    assert ledger.match(plan.cancellations[0]) == ([Part("1", {"1": 5}), Part("2", {"3": 1})], 0)


@given(SHOPS)
def test_no_more_is_cancelled_than_was_bought(rows):
    plan = plan_of(*rows)
    bought = {(order.id, line.line_id): line.quantity for order in plan.orders for line in order.lines}
    orders = {order.id: order for order in plan.orders}
    matched = list(matches(plan))
    for cancellation, (parts, left) in zip(plan.cancellations, matched, strict=True):
        assert sum(part.total for part in parts) + left == cancellation.units
        for part in parts:
            assert customer_and_item(orders[part.order_id], part) == {
                (cancellation.customer, cancellation.sku)
            }
            for line_id, units in part.units.items():
                bought[part.order_id, line_id] -= units
    assert min(bought.values(), default=0) >= 0


def customer_and_item(order: PlannedOrder, part: Part) -> set[tuple[str, str]]:
    return {(order.customer, line.sku) for line in order.lines if line.line_id in part.units}
