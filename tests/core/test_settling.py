"""What was recorded elsewhere: the owner hears of it, decides it once, and everybody sees the answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tallystick.core.clock import Dot
from tallystick.core.codec import encode
from tallystick.core.errors import IdReused, InvalidField, NotFound
from tallystick.core.limits import CELL_MAX
from tallystick.core.members import node_name
from tallystick.core.order.facts import Body, ConfirmWhen, DecisionKind, Line, PaymentKind
from tallystick.core.order.others import OrderName, fold_named, other_orders
from tallystick.core.order.status import ClaimStatus, OrderStatus, State, fold
from tallystick.core.replica import commands
from tallystick.core.replica.apply import apply_entries
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.stock.rights import Row, totals
from tests.kit.indexes import check_indexes
from tests.kit.node import Node, exchange, settle_all

NOW = 1_700_000_000_000
LATER = NOW + 3_600_000
BODY = Body("EUR", (Line("1", "x", 3, amount=90),), confirm_when=int(ConfirmWhen.BY_HAND))


@pytest.fixture
def owner() -> Node:
    node = Node(1)
    node.step(commands.ReceiveStock("b", node_name(1), (("x", "", 9),)), NOW)
    node.commit()
    return node


@pytest.fixture
def other() -> Node:
    return Node(2)


@pytest.fixture
def third() -> Node:
    return Node(3)


def place(node: Node, *others: Node, body: Body = BODY) -> None:
    node.step(commands.PlaceOrder("o", body), NOW)
    exchange(node, *others)


def pay(node: Node, amount: int = 90, name: str = "p", now: int = NOW) -> Any:
    return node.step(commands.RecordPayment("o", name, int(PaymentKind.CAPTURED), amount), now)


def status(node: Node) -> OrderStatus:
    return fold(node.view.order(b"o"))


def kinds(node: Node) -> list[DecisionKind]:
    return [DecisionKind(decision.kind) for decision in node.view.order(b"o").decisions]


# ---------------------------------------------------------------------------------------- what an owner hears


def test_a_fresh_order_of_somebody_s_calls_for_nothing(owner, other):
    place(owner, other)
    assert other.unsettled == {}


@pytest.mark.parametrize(
    ("command", "state", "decided"),
    [
        (commands.ConfirmOrder("o", "r"), State.CONFIRMED, DecisionKind.CONFIRM),
        (commands.ExtendHold("o", "r", 60_000), State.HELD, DecisionKind.EXTEND),
        (commands.CancelOrder("o", "r"), State.CANCELLED, DecisionKind.CANCEL),
        (commands.CancelOrder("o", "r", (("1", 1),)), State.HELD, DecisionKind.REDUCE),
    ],
)
def test_a_wish_is_recorded_where_the_order_is_not_owned_and_waits_in_the_index(
    owner, other, third, command, state, decided
):
    place(owner, other, third)
    assert other.step(command, NOW).recorded
    again = other.step(command, NOW)
    assert (again.replayed, again.recorded) == (True, True), "asking again decides nothing"
    assert other.view.intents == {b"o": b""}
    exchange(owner, other, third)
    assert (owner.unsettled, third.unsettled) == ({"o": None}, {})
    for node in (owner, other, third):
        assert status(node).state is State.HELD
        assert list(node.dump()["intents"]) == [b"o"]
    settle_all(owner, other, third, now=NOW)
    for node in (owner, other, third):
        assert (status(node).state, kinds(node)) == (state, [decided])
        assert node.dump()["intents"] == {}
        check_indexes(node.dump())
    assert owner.step(commands.Settle("o"), NOW).replayed
    assert not other.step(command, NOW).recorded


def test_an_edit_and_a_payment_at_another_node_are_done_there(owner, other):
    place(owner, other)
    assert not other.step(commands.EditOrder("o", "e", {"note": "hi"}), NOW).recorded
    assert pay(other).recorded, "what follows from money is the owner's"
    exchange(owner, other)
    assert status(owner).payments.kept == 90


def test_a_cancellation_of_what_nobody_knows_waits_for_the_placing(owner, other):
    assert not other.step(commands.CancelOrder("o", "r"), NOW).recorded
    assert list(other.dump()["intents"]) == [b"o"]
    place(owner)
    exchange(owner, other)
    settle_all(owner, other, now=NOW)
    assert status(other).state is State.CANCELLED
    assert other.dump()["intents"] == {}


def test_money_that_was_told_elsewhere_makes_the_sale(owner, other):
    place(owner, other, body=replace(BODY, confirm_when=int(ConfirmWhen.ON_CAPTURE)))
    pay(other)
    settle_all(owner, other, now=NOW)
    assert status(other).state is State.CONFIRMED


def test_one_request_sent_to_two_nodes_is_one_wish(owner, other, third):
    """A cut of one unit was made twice."""
    place(owner, other, third)
    for node in (other, third):
        node.step(commands.CancelOrder("o", "r", (("1", 1),)), NOW)
    settle_all(owner, other, now=NOW)
    settle_all(owner, other, third, now=NOW)
    assert (kinds(owner), status(owner).declined) == ([DecisionKind.REDUCE], ())
    assert totals(owner.view.stock_of(b"x\0")).reserved == 2
    assert third.dump()["intents"] == {}


def test_one_request_id_for_two_things_is_told(owner, other, third):
    place(owner, other, third)
    other.step(commands.CancelOrder("o", "r", (("1", 1),)), NOW)
    third.step(commands.CancelOrder("o", "r", (("1", 2),)), NOW)
    settle_all(owner, other, third, now=NOW)
    assert [conflict.kind for conflict in status(owner).conflicts] == ["REQUEST_MISMATCH"]
    assert kinds(owner) == [DecisionKind.REDUCE]


def test_a_wish_that_cannot_be_is_declined_for_all_to_see_and_once(owner, other):
    place(owner, other)
    other.step(commands.CancelOrder("o", "cut", (("1", 4),)), NOW)
    settle_all(owner, other, now=NOW)
    ((wish, why),) = status(other).declined
    assert (wish.request_id, why, kinds(other)) == ("cut", "QUANTITY_TOO_LARGE", [DecisionKind.DECLINE])
    assert owner.step(commands.Settle("o"), NOW).replayed
    other.step(commands.ConfirmOrder("o", "r"), NOW)
    owner.step(commands.ConfirmOrder("o", "s"), NOW)
    settle_all(owner, other, now=NOW)
    assert status(owner).declined == ((wish, why),), "what had come true already was not refused"


def test_a_full_counter_leaves_the_decision_open_and_is_reported(owner, other):
    place(owner, other)
    other.step(commands.CancelOrder("o", "r"), NOW)
    other.step(commands.ExtendHold("o", "s", 60_000), NOW)
    exchange(owner, other)
    stock = owner.view.stock_of(b"x\0")
    full = replace(stock.row(1), taken=CELL_MAX, freed=CELL_MAX - 2)
    owner.tables.rows["stock"][b"x\0"] = stock.with_row(1, full)
    outcome = owner.step(commands.Settle("o"), NOW)
    assert outcome.left_open.startswith("freed of this item would pass")
    assert outcome.entries == ()
    assert status(owner).state is State.HELD
    assert list(owner.dump()["intents"]) == [b"o"]


def test_settling_an_order_that_nobody_knows_writes_nothing(owner):
    assert owner.step(commands.Settle("none"), NOW).replayed


# ---------------------------------------------------------------------------------------------- pay ∥ expire


def test_money_that_crossed_the_expiry_is_held_again(owner, other):
    place(owner, other)
    pay(other)
    other.commit()
    owner.step(commands.ExpireHold("o"), LATER)
    settle_all(owner, other, now=LATER)
    assert (status(other).state, status(other).refund_due) == (State.HELD, 0)
    owner.step(commands.ExpireHold("o"), LATER + 3_600_000)
    owner.commit()
    assert owner.step(commands.Settle("o"), LATER).replayed, "that money was seen"
    assert status(owner).refund_due == 90


def test_money_that_came_before_the_expiry_asks_for_nothing(owner, other):
    place(owner, other)
    pay(owner)
    exchange(owner, other)
    owner.step(commands.ExpireHold("o"), LATER)
    exchange(owner, other)
    other.step(commands.EditOrder("o", "e", {"note": "hi"}), LATER)
    settle_all(owner, other, now=LATER)
    assert owner.step(commands.Settle("o"), LATER).replayed
    assert (status(owner).state, status(owner).refund_due) == (State.EXPIRED, 90)


def test_money_waits_for_stock_when_settled_too_early(owner, other):
    place(owner, other)
    pay(other)
    other.commit()
    owner.step(commands.ExpireHold("o"), LATER)
    owner.step(commands.PlaceOrder("next", replace(BODY, lines=(Line("1", "x", 9),))), LATER)
    settle_all(owner, other, now=LATER)
    assert (status(owner).state, status(owner).refund_due) == (State.EXPIRED, 90)
    owner.step(commands.CancelOrder("next", "r"), LATER)
    owner.step(commands.Settle("o"), LATER)
    assert status(owner).state is State.HELD


def test_a_hold_that_a_rival_kept_from_ending_ends_when_that_one_yields(owner, other):
    """The sweeper had come by in vain, and comes by no more."""
    other.step(commands.ReceiveStock("c", node_name(2), (("x", "", 9),)), NOW)
    for node in (owner, other):
        node.step(commands.PlaceOrder("o", BODY), NOW)
    exchange(owner, other)
    assert owner.step(commands.ExpireHold("o"), LATER).entries == ()
    settle_all(owner, other, now=LATER)
    assert status(owner).state is status(other).state is State.EXPIRED
    assert totals(owner.view.stock_of(b"x\0")).reserved == 0


# ------------------------------------------------------------------------------------------- tokens that came


def test_tokens_that_a_peer_moved_here_are_noted(owner):
    gives = Row(received=9, moved=((1, 2), (2, 4)))
    for row, expected in ((Row(received=9), []), (gives, [b"x\0"]), (replace(gives, taken=1), [])):
        owner.view.arrived.clear()
        entry = msgspec.Raw(encode((int(EntryKind.STOCK), "x\0", row)))
        assert apply_entries(Dot(3, 1), [entry], owner.view, 1) == []
        assert list(owner.view.arrived) == expected
    assert owner.view.stock_of(b"x\0").row(3).taken == 1


# ------------------------------------------------------------------------------------- two customers, one id


def two_customers(owner: Node, other: Node) -> str:
    """Ada's order at one node, Bob's at the other, paid; answers the name of Bob's."""
    place(owner, body=replace(BODY, customer="ada"))
    other.step(commands.ReceiveStock("c", node_name(2), (("x", "", 9),)), NOW)
    other.commit()
    other.step(commands.PlaceOrder("o", replace(BODY, customer="bob")), NOW + 5)
    pay(other, 90, now=NOW + 5)
    exchange(owner, other)
    ((name, _),) = other_orders("o", owner.view.order(b"o"))
    return str(name)


def bobs(node: Node) -> tuple[OrderStatus, ClaimStatus]:
    status = fold_named(node.view.order(b"o"), Dot(2, 2))
    assert status is not None
    assert status.counts is not None
    return status, status.counts


def test_the_other_order_under_an_id_is_shown_as_one_of_its_own(owner, other):
    name = two_customers(owner, other)
    settle_all(owner, other, now=NOW)
    assert name == "o@000000000002:2"
    for node in (owner, other):
        record = node.view.order(b"o")
        assert fold_named(record, None) == status(node)
        ada = status(node).counts
        assert ada is not None
        assert (ada.body.customer, status(node).refund_due) == ("ada", 0)
        bob, claim = bobs(node)
        assert (claim.body.customer, bob.payments.kept, bob.state) == ("bob", 90, State.HELD)
        assert [conflict.kind for conflict in bob.conflicts] == ["BODY_MISMATCH"]
        assert fold_named(record, Dot(2, 3)) is None
    assert other_orders("o", replace(record, claims=record.claims[:1])) == []


def test_each_order_under_an_id_is_asked_by_its_name(owner, other):
    name = two_customers(owner, other)
    assert owner.step(commands.CancelOrder(name, "r"), NOW).recorded
    assert owner.step(commands.CancelOrder(name, "r"), NOW).replayed
    with pytest.raises(IdReused):
        owner.step(commands.CancelOrder(name, "r", (("1", 1),)), NOW)
    settle_all(owner, other, now=NOW)
    bob, _ = bobs(owner)
    assert (bob.state, bob.refund_due, status(owner).state) == (State.CANCELLED, 90, State.HELD)
    outcome = other.step(commands.PlaceOrder("o", replace(BODY, customer="bob")), NOW)
    assert (outcome.order_id, outcome.replayed, fold(outcome.record).state) == (name, True, State.CANCELLED)
    assert not owner.step(commands.ConfirmOrder("o", "s"), NOW).recorded


def test_customers_that_share_an_id_may_share_request_ids_too(owner, other):
    name = two_customers(owner, other)
    assert pay(owner).entries, "Bob's payment has the same id"
    assert owner.step(commands.ConfirmOrder(name, "r"), NOW).recorded
    assert owner.step(commands.ConfirmOrder("o", "r"), NOW).entries
    settle_all(owner, other, now=NOW)
    bob, _ = bobs(owner)
    assert (bob.state, bob.payments.kept) == (State.CONFIRMED, 90)
    assert (status(owner).state, status(owner).payments.kept) == (State.CONFIRMED, 90)


def test_what_cannot_be_asked_of_an_order_beside(owner, other):
    name = two_customers(owner, other)
    with pytest.raises(InvalidField, match="keeps its details"):
        owner.step(commands.EditOrder(name, "e", {"note": "hi"}), NOW)
    for unknown in ("o@000000000002:3", "p@000000000002:2"):
        with pytest.raises(NotFound):
            owner.step(commands.ConfirmOrder(unknown, "r"), NOW)
    with pytest.raises(InvalidField, match="order_id"):
        owner.step(commands.ConfirmOrder("o@home", "r"), NOW)


@pytest.mark.parametrize(
    "text", ["o", "o@", "o@x", "@000000000001:1", "o@000000000001:1", "a@b@000000000001:1"]
)
def test_a_name_is_read_as_it_was_written(text):
    name = OrderName.parse(text)
    assert str(name) == text
    assert (name.dot is not None) == text.endswith(":1")
