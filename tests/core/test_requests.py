"""What is wrong with a request is told by the name of the field, whatever the limits are."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tallystick.core.errors import InsufficientStock, InvalidField, Refused, Shortage
from tallystick.core.members import node_name
from tallystick.core.order.facts import Adjustment, AdjustmentKind, Body, Line
from tallystick.core.replica import commands
from tests.kit.node import Node

NOW = 1_700_000_000_000
FEE = int(AdjustmentKind.FEE)
GOOD = Body("EUR", (Line("1", "x", 1, untracked=True, amount=10),), adjustments=(Adjustment("a", FEE, 5),))


def lines(*ids: str) -> tuple[Line, ...]:
    return tuple(Line(line_id, "x", 1, untracked=True) for line_id in ids)


WRONG_BODIES = {
    "no lines": (replace(GOOD, lines=()), "order.lines"),
    "a line twice": (replace(GOOD, lines=lines("1", "1")), "order.lines.line_id"),
    "a line without an id": (replace(GOOD, lines=lines("")), "order.lines.line_id"),
    "a line without a sku": (replace(GOOD, lines=(Line("1", "", 1),)), "order.lines[1].sku"),
    "no currency": (replace(GOOD, currency=""), "order.currency"),
    "a small currency": (replace(GOOD, currency="eur"), "order.currency"),
    "a currency of four": (replace(GOOD, currency="EURO"), "order.currency"),
    "a currency and a line break": (replace(GOOD, currency="EUR\n"), "order.currency"),
    "a foreign currency": (replace(GOOD, currency="ÄÖÜ"), "order.currency"),
    "an adjustment twice": (
        replace(GOOD, adjustments=(Adjustment("a", FEE, 1), Adjustment("a", FEE, 1))),
        "order.adjustments.adjustment_id",
    ),
    "an adjustment without an id": (
        replace(GOOD, adjustments=(Adjustment("", FEE, 1),)),
        "order.adjustments.adjustment_id",
    ),
    "a discount beyond the total": (replace(GOOD, adjustments=(Adjustment("a", FEE, -11),)), "order.total"),
    "a tag without a name": (replace(GOOD, details={"tags.": "1"}), "order.details.tags"),
    "tags without names": (replace(GOOD, details={"tags": "1"}), "order.details.tags"),
    "an unknown detail": (replace(GOOD, details={"price": "1"}), "order.details.price"),
    "an unknown address": (
        replace(GOOD, details={"home_address.city": "x"}),
        "order.details.home_address.city",
    ),
}


@pytest.mark.parametrize(("body", "field"), WRONG_BODIES.values(), ids=WRONG_BODIES.keys())
def test_a_body_that_is_wrong_is_refused_by_field(body, field):
    node = Node(1)
    assert node.step(commands.PlaceOrder("good", GOOD), NOW).entries
    with pytest.raises(InvalidField) as refused:
        node.step(commands.PlaceOrder("o", body), NOW)
    assert refused.value.metadata == {"field": field}


@pytest.mark.parametrize("order_id", ["", "a b", "a/b", "ä", "a\n", "١", "a" * 65])
def test_an_id_has_letters_digits_and_four_signs(order_id):
    node = Node(1)
    with pytest.raises(InvalidField) as refused:
        node.step(commands.PlaceOrder(order_id, GOOD), NOW)
    assert refused.value.metadata == {"field": "order.id"}
    assert node.step(commands.PlaceOrder("Az09._~-", GOOD), NOW).entries


def test_a_total_that_is_told_must_be_the_sum():
    node = Node(1)
    with pytest.raises(InvalidField, match="is 14, but lines and adjustments add up to 15"):
        node.step(commands.PlaceOrder("o", GOOD, total=14), NOW)
    assert node.step(commands.PlaceOrder("o", GOOD, total=15), NOW).entries


def test_a_payment_in_another_currency_is_refused():
    node = Node(1)
    node.step(commands.PlaceOrder("o", GOOD), NOW)
    with pytest.raises(InvalidField, match="is USD, the order's is EUR") as refused:
        node.step(commands.RecordPayment("o", "p", 2, 5, "USD"), NOW)
    assert refused.value.reason == "CURRENCY_MISMATCH"
    assert node.step(commands.RecordPayment("o", "p", 2, 5, "EUR"), NOW).entries


def test_a_cancellation_that_names_a_line_twice_is_refused():
    node = Node(1)
    node.step(commands.PlaceOrder("o", GOOD), NOW)
    with pytest.raises(InvalidField, match="name a line twice"):
        node.step(commands.CancelOrder("o", "r", (("1", 1), ("1", 0))), NOW)


def test_a_shortage_says_item_by_item_what_there_is():
    node = Node(1)
    node.step(commands.ReceiveStock("b", node_name(1), (("x", "", 1), ("y", "north", 2))), NOW)
    body = Body("EUR", (Line("1", "x", 2), Line("2", "y", 3, "north"), Line("3", "z", 1)))
    with pytest.raises(InsufficientStock) as refused:
        node.step(commands.PlaceOrder("o", body), NOW)
    expected = (("x", "", 2, 1), ("y", "north", 3, 2), ("z", "", 1, 0))
    assert refused.value.shortages == tuple(Shortage(*short) for short in expected)
    told = {"sku": "x", "location": "", "asked": "2", "available_here": "1", "available_elsewhere": "0"}
    assert refused.value.metadata == told
    assert refused.value.message == "x: asked 2, available 1 (and 2 more items); nothing was taken"


def test_a_shortage_says_who_was_silent_and_where_to_try():
    """What the driver adds to it once it has asked the others."""
    short = Shortage("x", "", 5, 2, 7, ("ap", "us"), "sa", 1_000)
    refused = InsufficientStock((short,))
    assert refused.message == (
        "x: asked 5, available 2 here, 7 elsewhere; nothing was taken; could not ask ap, us; try sa"
    )
    told = {key: refused.metadata[key] for key in ("unreachable_regions", "suggested_region")}
    assert told == {"unreachable_regions": "ap, us", "suggested_region": "sa"}
    assert refused.shortages == (short,)


def test_a_shortage_at_a_place_names_the_place():
    with pytest.raises(InsufficientStock, match=r"^x at north: asked 1, available 0; nothing was taken$"):
        Node(1).step(commands.PlaceOrder("o", Body("EUR", (Line("1", "x", 1, "north"),))), NOW)


@pytest.mark.parametrize("mode", [0, 1])
def test_only_partial_acceptance_takes_what_there_is(mode):
    node = Node(1)
    node.step(commands.ReceiveStock("b", node_name(1), (("x", "", 1),)), NOW)
    body = Body("EUR", (Line("1", "x", 2),), shortage_mode=mode)
    with pytest.raises(Refused):
        node.step(commands.PlaceOrder("o", body), NOW)
    assert node.step(commands.PlaceOrder("o", replace(body, shortage_mode=2)), NOW).entries
    with pytest.raises(Refused):
        node.step(commands.PlaceOrder("p", replace(body, shortage_mode=2)), NOW)
