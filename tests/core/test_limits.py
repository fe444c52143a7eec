"""Every limit of the contract: what is at it is taken, one past it is refused by the name of the field.

The requests go through `step`, so a check that exists and is not called is found too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.errors import LimitReached, Refused
from tallystick.core.limits import CELL_MAX, Limits
from tallystick.core.members import node_name
from tallystick.core.order.facts import Adjustment, AdjustmentKind, Body, ConfirmWhen, Line, PaymentKind
from tallystick.core.order.validate import check_text, is_plain
from tallystick.core.replica import commands
from tallystick.core.replica.commands import Command
from tests.kit.node import Node, overlay_of

NODE = node_name(1)
NOW = 1_700_000_000_000
FEE, CAPTURED = int(AdjustmentKind.FEE), int(PaymentKind.CAPTURED)
BY_HAND = int(ConfirmWhen.BY_HAND)


def line(line_id: str = "1", sku: str = "post", quantity: int = 1, location: str = "", **said: Any) -> Line:
    return Line(line_id, sku, quantity, location, untracked=True, **said)


def place(*lines: Line, order_id: str = "new", actor: str = "", **said: Any) -> commands.PlaceOrder:
    return commands.PlaceOrder(order_id, Body("EUR", lines or (line(),), **said), actor)


def fee(amount: int = 1, name: str = "a", **said: Any) -> commands.PlaceOrder:
    return place(adjustments=(Adjustment(name, FEE, amount, **said),))


def edit(key: str, value: str | None = "1") -> commands.EditOrder:
    return commands.EditOrder("held", "r", {key: value})


def confirm(order_id: str = "held", request_id: str = "r", actor: str = "") -> commands.ConfirmOrder:
    return commands.ConfirmOrder(order_id, request_id, actor)


def cancel(*lines: tuple[str, int], reason: str = "") -> commands.CancelOrder:
    return commands.CancelOrder("held", "r", lines, reason)


def pay(
    amount: int = 1, kind: int = CAPTURED, reference: str = "", payment_id: str = "r"
) -> commands.RecordPayment:
    return commands.RecordPayment("held", payment_id, kind, amount, "", reference)


def receive(
    sku: str = "x", location: str = "", units: int = 1, *, of: str = "b", actor: str = "", times: int = 1
) -> commands.ReceiveStock:
    return commands.ReceiveStock(of, NODE, ((sku, location, units),) * times, actor)


def adjust(units: int = 1, *, of: str = "b", reason: str = "", times: int = 1) -> commands.AdjustStock:
    return commands.AdjustStock(of, NODE, (("x", "", units),) * times, reason)


def overbook(sku: str = "x", location: str = "", limit: int = 1, *, of: str = "b") -> commands.SetOverbooking:
    return commands.SetOverbooking(of, NODE, sku, location, limit)


def refusal(command: Command, limits: Limits | None = None) -> tuple[str, str] | None:
    """(reason, field) if a node with one held order refuses the command; then nothing may be written."""
    node = Node(1, limits)
    node.step(place(order_id="held", confirm_when=BY_HAND), NOW)
    before = overlay_of(node.view)
    try:
        node.step(command, NOW)
    except Refused as refused:
        assert overlay_of(node.view) == before
        return refused.reason, refused.metadata.get("field", "")
    return None


def taken(command: Command, limits: Limits | None = None) -> bool:
    """Whether it is let through to where stock and state are looked at."""
    found = refusal(command, limits)
    return found is None or found[0] != "INVALID_FIELD"


# -------------------------------------------------------------------------------------------- sizes of text

Make = Callable[[Any], Command]
STREET = "shipping_address.street"

# What is said, the limit of its size, a request that says it, the field that a refusal names.
TEXTS: dict[str, tuple[str, Make, str]] = {
    "sku": ("sku_bytes_max", lambda t: place(line(sku=t)), "order.lines[1].sku"),
    "location": ("location_bytes_max", lambda t: place(line(location=t)), "order.lines[1].location"),
    "line id": ("line_id_bytes_max", lambda t: place(line(t)), "order.lines.line_id"),
    "description": ("text_bytes_max", lambda t: place(line(description=t)), "order.lines[1].description"),
    "customer": ("customer_bytes_max", lambda t: place(customer=t), "order.customer"),
    "fee": ("line_id_bytes_max", lambda t: fee(name=t), "order.adjustments.adjustment_id"),
    "fee because": ("text_bytes_max", lambda t: fee(description=t), "order.adjustments.description"),
    "email": ("text_bytes_max", lambda t: place(details={"email": t}), "order.details.email"),
    "tag": ("line_id_bytes_max", lambda t: place(details={f"tags.{t}": ""}), "order.details.tags"),
    "attribute": ("line_id_bytes_max", lambda t: edit(f"attributes.{t}"), "details.attributes"),
    "attribute is": ("text_bytes_max", lambda t: edit("attributes.a", t), "details.attributes.a"),
    "street": ("text_bytes_max", lambda t: edit(STREET, t), f"details.{STREET}"),
    "note": ("text_bytes_max", lambda t: edit("note", t), "details.note"),
    "placed by": ("customer_bytes_max", lambda t: place(actor=t), "actor"),
    "confirmed by": ("customer_bytes_max", lambda t: confirm(actor=t), "actor"),
    "cancelled line": ("line_id_bytes_max", lambda t: cancel((t, 1)), "lines.line_id"),
    "cancelled because": ("text_bytes_max", lambda t: cancel(reason=t), "reason"),
    "reference": ("text_bytes_max", lambda t: pay(reference=t), "payment.reference"),
    "received": ("sku_bytes_max", lambda t: receive(t), "items.sku"),
    "received at": ("location_bytes_max", lambda t: receive("x", t), "items.location"),
    "received by": ("customer_bytes_max", lambda t: receive(actor=t), "actor"),
    "adjusted because": ("text_bytes_max", lambda t: adjust(reason=t), "reason"),
    "overbooked": ("sku_bytes_max", lambda t: overbook(t), "policy.sku"),
    "overbooked at": ("location_bytes_max", lambda t: overbook("x", t), "policy.location"),
}
all_texts = pytest.mark.parametrize(("limit", "make", "field"), TEXTS.values(), ids=TEXTS.keys())


@all_texts
@pytest.mark.parametrize("lowered", [False, True], ids=["default", "lowered"])
def test_a_text_may_be_as_long_as_its_limit_in_bytes(limit, make, field, lowered):
    """Signs of one to four bytes. A limit that is configured lower counts: a short cut once missed it."""
    size = 8 if lowered else getattr(Limits(), limit)
    limits = Limits(**{limit: size})
    for sign in "xä€𝄞":
        bytes_each = len(sign.encode())
        most = sign * (size // bytes_each) + "x" * (size % bytes_each)
        assert taken(make(most), limits)
        found = refusal(make(most + "x"), limits)
        assert found is not None
        assert (found[0], found[1].replace(f"[{most}x]", "[1]")) == ("INVALID_FIELD", field)


@all_texts
def test_no_text_has_control_characters(limit, make, field):
    """U+0085 is a line break to many programs; half a surrogate pair has no UTF-8."""
    for sign in ("\0", "\t", "\n", "\x1f", "\x7f", "\x80", "\x85", "\x9f", "\ud800", "\udfff"):
        if sign in "\t\n" and field == "details.note":
            assert taken(make(f"a{sign}b"))
        else:
            found = refusal(make(f"a{sign}b"))
            assert found is not None, ascii(sign)
            assert (found[0], found[1].replace(f"[a{sign}b]", "[1]")) == ("INVALID_FIELD", field)


@all_texts
def test_any_other_sign_is_taken(limit, make, field):
    for sign in ("\u2028", "\u200b", "\xa0", "\xad", "'", "🦆", "ש"):
        assert taken(make(f"a{sign}b")), ascii(sign)


# --------------------------------------------------------------------------------------------------- numbers


def charged(amount: int, adjustment: int, kind: int = FEE) -> commands.PlaceOrder:
    """A line and an adjustment of the total."""
    return place(line(amount=amount), adjustments=(Adjustment("a", kind, adjustment),))


DAYS_30 = 30 * 86_400_000

# What is counted, the least and the most of it, a request for so many, the field that a refusal names.
NUMBERS: dict[str, tuple[int, int, Make, str]] = {
    "quantity": (1, 1_000_000, lambda n: place(line(quantity=n)), "order.lines[1].quantity"),
    "amount": (0, CELL_MAX, lambda n: place(line(amount=n)), "order.lines[1].amount"),
    "unit price": (0, CELL_MAX, lambda n: place(line(unit_price=n)), "order.lines[1].amount"),
    "total": (0, CELL_MAX, lambda n: charged(5, n - 5), "order.total"),
    "adjustment kind": (1, 5, lambda n: charged(0, 1, n), "order.adjustments.kind"),
    "confirm when": (0, 4, lambda n: place(confirm_when=n), "order.confirm_when"),
    "shortage mode": (0, 2, lambda n: place(shortage_mode=n), "order.shortage_mode"),
    "hold": (10_000, DAYS_30, lambda n: place(hold_ms=n), "order.hold"),
    "extension": (10_000, DAYS_30, lambda n: commands.ExtendHold("held", "r", n), "hold"),
    "payment": (1, CELL_MAX, lambda n: pay(n), "payment.amount"),
    "payment kind": (1, 6, lambda n: pay(kind=n), "payment.kind"),
    "cancelled units": (0, 1_000_000, lambda n: cancel(("1", n)), "lines.quantity"),
    "received": (1, CELL_MAX, lambda n: receive(units=n), "items.quantity"),
    "adjusted": (-CELL_MAX, CELL_MAX, lambda n: adjust(n), "items.quantity"),
    "overbooked": (0, CELL_MAX, lambda n: overbook(limit=n), "overbooking_limit"),
}


@pytest.mark.parametrize(("least", "most", "make", "field"), NUMBERS.values(), ids=NUMBERS.keys())
def test_a_number_is_taken_at_its_limits_and_refused_past_them(least, most, make, field):
    for number in (least, most):
        assert taken(make(number)), number
    for number in (least - 1, most + 1):
        assert refusal(make(number)) == ("INVALID_FIELD", field), number


def test_an_adjustment_is_money_up_or_down():
    field = "order.adjustments.amount"
    assert taken(charged(0, CELL_MAX))
    assert refusal(charged(0, CELL_MAX + 1)) == ("INVALID_FIELD", field)
    assert taken(charged(CELL_MAX, -CELL_MAX))
    assert refusal(charged(CELL_MAX, -CELL_MAX - 1)) == ("INVALID_FIELD", field)


def test_no_hold_given_stands_for_the_default():
    assert taken(place(hold_ms=0, confirm_when=BY_HAND))
    assert taken(commands.ExtendHold("held", "r", 0))


def test_an_adjustment_of_nothing_is_refused():
    assert refusal(adjust(0)) == ("INVALID_FIELD", "items.quantity")


# ----------------------------------------------------------------------------------------------------- counts

COUNTS: dict[str, tuple[str, Make, str]] = {
    "lines": ("lines_max", lambda n: place(*(line(str(i)) for i in range(n))), "order.lines"),
    "adjustments": ("adjustments_max", lambda n: fees(n), "order.adjustments"),
    "tags": ("tags_max", lambda n: place(details={f"tags.{i}": "1" for i in range(n)}), "order.details"),
    "attributes": ("attributes_max", lambda n: attributes(n), "details"),
    "cancelled lines": ("lines_max", lambda n: cancel(*((str(i), 1) for i in range(n))), "lines"),
    "received items": ("lines_max", lambda n: receive(times=n), "items"),
    "adjusted items": ("lines_max", lambda n: adjust(times=n), "items"),
    "order id": ("order_id_bytes_max", lambda n: place(order_id="i" * n), "order.id"),
    "order": ("order_id_bytes_max", lambda n: confirm("i" * n), "order_id"),
    "request id": ("order_id_bytes_max", lambda n: confirm("held", "i" * n), "request_id"),
    "payment id": ("order_id_bytes_max", lambda n: pay(payment_id="i" * n), "payment.payment_id"),
    "receipt id": ("order_id_bytes_max", lambda n: receive(of="i" * n), "receipt_id"),
    "adjustment id": ("order_id_bytes_max", lambda n: adjust(of="i" * n), "adjustment_id"),
    "policy id": ("order_id_bytes_max", lambda n: overbook(of="i" * n), "request_id"),
}


def fees(count: int) -> Command:
    return place(adjustments=tuple(Adjustment(str(i), FEE, 1) for i in range(count)))


def attributes(count: int) -> Command:
    return commands.EditOrder("held", "r", {f"attributes.{i}": "1" for i in range(count)})


@pytest.mark.parametrize("lowered", [0, 4])
@pytest.mark.parametrize(("limit", "make", "field"), COUNTS.values(), ids=COUNTS.keys())
def test_there_may_be_as_many_as_the_limit_says(limit, make, field, lowered):
    most = lowered or getattr(Limits(), limit)
    limits = Limits(**{limit: most})
    assert taken(make(most), limits)
    assert refusal(make(most + 1), limits) == ("INVALID_FIELD", field)


def test_tags_count_with_those_that_are_there_already():
    node = Node(1, Limits(tags_max=2))
    node.step(place(order_id="o", details={"tags.a": "1", "tags.b": "1"}), NOW)
    with pytest.raises(Refused, match="more than 2 tags"):
        node.step(commands.EditOrder("o", "r1", {"tags.c": "1"}), NOW)
    node.step(commands.EditOrder("o", "r2", {"tags.c": "1", "tags.a": None}), NOW)


def test_an_order_s_history_has_an_end_and_a_retry_is_answered_beyond_it():
    """The retry of the last request that fitted used to be refused, as if it had not happened."""
    node = Node(1, Limits(history_max=2))
    node.step(place(order_id="o", confirm_when=BY_HAND), NOW)
    node.step(commands.ExtendHold("o", "r1"), NOW)
    node.step(commands.ConfirmOrder("o", "r2"), NOW)
    before = overlay_of(node.view)
    with pytest.raises(Refused) as refused:
        node.step(commands.RecordPayment("o", "r3", CAPTURED, 5), NOW)
    assert (refused.value.reason, overlay_of(node.view)) == ("HISTORY_FULL", before)
    for command in (commands.ExtendHold("o", "r1"), commands.ConfirmOrder("o", "r2")):
        assert node.step(command, NOW).replayed


def test_only_so_many_cancellations_wait_for_an_order():
    node = Node(1, Limits(early_wishes_max=2))
    for number in range(2):
        node.step(commands.CancelOrder("o", f"r{number}"), NOW)
    with pytest.raises(Refused) as refused:
        node.step(commands.CancelOrder("o", "r2"), NOW)
    assert refused.value.reason == "HISTORY_FULL"
    node.step(place(order_id="o"), NOW)
    pay_after = commands.RecordPayment("o", "p", CAPTURED, 5)
    assert node.step(pay_after, NOW).entries


def filled(node: Node, make: Callable[[str], Command]) -> int:
    """Step requests under ever new ids until one is refused; the bytes that the order has then."""
    for number in count():
        try:
            node.step(make(f"f{number}"), NOW)
        except LimitReached:
            break
    return len(node.view.order_bytes(b"held") or b"")


def test_an_order_s_facts_take_so_many_bytes_and_money_and_its_end_twice_as_many():
    node = Node(1, Limits(record_bytes_max=700))
    node.step(place(line("1"), line("2"), order_id="held", confirm_when=BY_HAND), NOW)
    assert 700 < filled(node, lambda request_id: commands.ExtendHold("held", request_id)) < 900
    with pytest.raises(LimitReached) as refused:
        node.step(cancel(("1", 1)), NOW)
    assert refused.value.reason == "HISTORY_FULL"
    assert 1400 < filled(node, lambda payment_id: pay(payment_id=payment_id)) < 1600
    node = Node(1, Limits(record_bytes_max=700))
    node.step(place(order_id="held", confirm_when=BY_HAND), NOW)
    filled(node, lambda request_id: commands.ExtendHold("held", request_id))
    assert node.step(cancel(), NOW).entries


def test_a_document_takes_so_many_bytes():
    node = Node(1, Limits(document_bytes_max=200))
    node.step(place(order_id="held", confirm_when=BY_HAND), NOW)
    node.step(edit("note", "x" * 50), NOW)
    before = overlay_of(node.view)
    with pytest.raises(LimitReached, match="edited too often") as refused:
        node.step(edit("email", "x" * 200)._replace(request_id="r2"), NOW)
    assert (refused.value.reason, overlay_of(node.view)) == ("DOCUMENT_FULL", before)


# ------------------------------------------------------------------------------------------ limits themselves


@pytest.mark.parametrize("field", [field.name for field in fields(Limits)])
def test_a_limit_can_be_lowered_and_never_raised(field):
    """What one node takes every node must be able to read."""
    default = getattr(Limits(), field)
    assert getattr(Limits(**{field: default - 1}), field) == default - 1
    if field == "hold_ms_min":
        return
    assert getattr(Limits(**{field: 1}), field) == 1
    for wrong in (0, default + 1):
        with pytest.raises(ValueError, match=field):
            Limits(**{field: wrong})


@given(st.text(max_size=40), st.integers(1, 64))
def test_the_cheap_look_passes_nothing_that_the_exact_one_refuses(text: str, size: int) -> None:
    if is_plain(text, size):
        check_text("field", text, size)
        assert len(text.encode()) <= size
