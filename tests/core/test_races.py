"""What happens at once in two places ends as the design's table says (§6), each row by its name.

Two nodes that hear of each other late. The owner decides in the order in which it sees things; everybody else
records a fact. What the loser wanted becomes its compensation, never nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tallystick.core.codec import encode
from tallystick.core.errors import IdReused, InvalidField, NotFound, StaleEtag, WrongNode, WrongState
from tallystick.core.members import Member, MemberState, node_name
from tallystick.core.order.document import etag, show
from tallystick.core.order.facts import (
    Body,
    Claim,
    ConfirmWhen,
    Decision,
    DecisionKind,
    Line,
    OrderRecord,
    PaymentKind,
    Placed,
)
from tallystick.core.order.status import OrderStatus, State, fold
from tallystick.core.replica import commands
from tallystick.core.replica.outcome import Outcome
from tallystick.core.stock.rights import rights, totals
from tests.kit.node import Node

NOW = 1_700_000_000_000
LATER = NOW + 3_600_000
CAPTURED = int(PaymentKind.CAPTURED)


def body(units: int = 2, when: ConfirmWhen = ConfirmWhen.BY_HAND, **said: Any) -> Body:
    return Body("EUR", (Line("1", "x", units, amount=100),), confirm_when=int(when), **said)


@pytest.fixture
def owner() -> Node:
    """A node with five units."""
    node = Node(1)
    node.step(commands.ReceiveStock("b", node_name(1), (("x", "", 5),)), NOW)
    return node


@pytest.fixture
def other() -> Node:
    """A second node, with five units of its own."""
    node = Node(2)
    node.step(commands.ReceiveStock("c", node_name(2), (("x", "", 5),)), NOW)
    return node


def meet(*nodes: Node) -> None:
    for node in nodes:
        node.commit()
    for _ in nodes:
        for node in nodes:
            for peer in nodes:
                for frame in peer.frames:
                    node.hear(frame.data)


def status(node: Node, order_id: str = "o") -> OrderStatus:
    return fold(node.view.order(order_id.encode()))


def conflicts(node: Node) -> list[str]:
    return [conflict.kind for conflict in status(node).conflicts]


def place(node: Node, what: Body, order_id: str = "o", now: int = NOW) -> Outcome:
    return node.step(commands.PlaceOrder(order_id, what), now)


def pay(
    node: Node, amount: int = 100, request_id: str = "p", kind: int = CAPTURED, now: int = NOW
) -> Outcome:
    return node.step(commands.RecordPayment("o", request_id, kind, amount), now)


# ------------------------------------------------------------------------------------------ confirm ∥ cancel


def test_confirm_before_cancel_becomes_a_refund(owner):
    place(owner, body())
    pay(owner)
    owner.step(commands.ConfirmOrder("o", "r1"), NOW)
    owner.step(commands.CancelOrder("o", "r2"), NOW)
    assert (status(owner).state, status(owner).refund_due) == (State.CANCELLED, 100)
    assert rights(owner.view.stock_of(b"x\0"), 1) == 5


def test_cancel_before_confirm_refuses_the_confirmation(owner):
    place(owner, body())
    owner.step(commands.CancelOrder("o", "r1"), NOW)
    with pytest.raises(WrongState) as refused:
        owner.step(commands.ConfirmOrder("o", "r2"), NOW)
    assert refused.value.reason == "ORDER_CANCELLED"


def test_who_does_not_own_the_order_records_the_wish_and_the_owner_decides_it(owner, other):
    place(owner, body())
    meet(owner, other)
    recorded = other.step(commands.CancelOrder("o", "r1"), NOW)
    assert recorded.recorded
    assert status(other).state is State.HELD
    meet(owner, other)
    assert not pay(owner).recorded
    meet(owner, other)
    for node in (owner, other):
        assert (status(node).state, status(node).refund_due, conflicts(node)) == (State.CANCELLED, 100, [])
        assert totals(node.view.stock_of(b"x\0")).available == 10


def test_two_wishes_at_once_are_answered_both_the_older_as_asked(owner, other):
    place(owner, body())
    meet(owner, other)
    other.step(commands.CancelOrder("o", "r1"), NOW + 1)
    other.step(commands.ConfirmOrder("o", "r2"), NOW + 2)
    meet(owner, other)
    pay(owner)
    kinds = [decision.kind for decision in status(owner).record.decisions]
    assert kinds == [DecisionKind.CANCEL, DecisionKind.DECLINE]


# ----------------------------------------------------------------------------------------------- pay ∥ expire


@pytest.mark.parametrize(
    ("when", "state"),
    [
        (ConfirmWhen.BY_HAND, State.HELD),
        (ConfirmWhen.ON_CAPTURE, State.CONFIRMED),
        (ConfirmWhen.ON_AUTHORIZATION, State.CONFIRMED),
    ],
)
def test_paid_after_expiry_is_held_again_if_there_is_stock(owner, when, state):
    place(owner, body(when=when))
    owner.commit()
    owner.step(commands.ExpireHold("o"), LATER)
    assert status(owner).state is State.EXPIRED
    pay(owner, now=LATER)
    assert (status(owner).state, status(owner).refund_due) == (state, 0)
    if state is State.HELD:
        assert status(owner).claims[0].hold_until_ms == LATER + 900_000


def test_paid_after_expiry_is_a_refund_if_the_stock_is_gone(owner):
    place(owner, body(3))
    owner.commit()
    owner.step(commands.ExpireHold("o"), LATER)
    place(owner, body(3), "next", LATER)
    pay(owner, now=LATER)
    assert (status(owner).state, status(owner).refund_due) == (State.EXPIRED, 100)


def test_half_paid_after_expiry_is_not_held_again(owner):
    place(owner, body())
    owner.commit()
    owner.step(commands.ExpireHold("o"), LATER)
    pay(owner, 99, now=LATER)
    assert (status(owner).state, status(owner).refund_due) == (State.EXPIRED, 99)


@pytest.mark.parametrize(
    "kind", [PaymentKind.VOIDED, PaymentKind.FAILED, PaymentKind.REFUNDED, PaymentKind.CHARGED_BACK]
)
def test_money_that_goes_back_after_expiry_asks_for_no_hold(owner, kind):
    """It did: refunding what had been paid too much held the expired order again."""
    place(owner, body())
    pay(owner, 150)
    owner.commit()
    owner.step(commands.ExpireHold("o"), LATER)
    pay(owner, 50, "back", int(kind), LATER)
    assert status(owner).state is State.EXPIRED
    assert totals(owner.view.stock_of(b"x\0")).reserved == 0


def test_paid_before_expiry_is_a_sale(owner):
    place(owner, body(when=ConfirmWhen.ON_CAPTURE))
    pay(owner)
    owner.commit()
    assert owner.step(commands.ExpireHold("o"), LATER).replayed
    assert status(owner).state is State.CONFIRMED


def test_an_owner_expires_only_the_claims_that_are_due(owner, other):
    """After a hand-over one node may own two claims of one id. An expiry is about one of them."""
    place(owner, body(hold_ms=10_000))
    place(other, body(hold_ms=10_000_000))
    meet(owner, other)
    mine, theirs = sorted(status(owner).claims, key=lambda claim: claim.dot)
    gives = Decision(*theirs.dot, 1, int(DecisionKind.HAND_OVER), 2, 3, theirs.claim.hlc, next_owner=1)
    record = replace(owner.view.order(b"o"), decisions=(gives,))
    owner.tables.rows["orders"][b"o"] = encode(record)
    owner.step(commands.ExpireHold("o"), NOW + 10_000)
    assert [claim.state for claim in status(owner).claims] == [State.EXPIRED, State.HELD]
    assert conflicts(owner) == ["BODY_MISMATCH"]
    assert mine.owner == 1


# ---------------------------------------------------------------------------------------------- place ∥ place


def test_one_order_placed_at_two_nodes_is_two_claims_and_visible(owner, other):
    place(owner, body())
    place(other, body(), now=NOW + 5)
    meet(owner, other)
    for node in (owner, other):
        assert conflicts(node) == ["RIVAL_CLAIMS"]
        assert status(node).counts == status(node).claims[0]
        assert place(node, body()).replayed


def test_two_orders_under_one_id_are_visible_and_each_caller_s_retry_is_known(owner, other):
    place(owner, body(1))
    place(other, body(2), now=NOW + 5)
    meet(owner, other)
    assert conflicts(owner) == conflicts(other) == ["BODY_MISMATCH", "RIVAL_CLAIMS"]
    for node in (owner, other):
        assert place(node, body(1)).replayed
        assert place(node, body(2)).replayed
        with pytest.raises(IdReused) as refused:
            place(node, body(3))
        assert refused.value.reason == "ORDER_ID_REUSED"


def test_when_the_first_of_rivals_ends_the_indexes_follow_the_other(owner, other):
    place(owner, body(customer="ada"))
    place(other, body(customer="bob"), now=NOW + 5)
    meet(owner, other)
    owner.step(commands.CancelOrder("o", "r"), NOW)
    meet(owner, other)
    for node in (owner, other):
        counts = status(node).counts
        assert counts is not None
        assert (counts.state, counts.body.customer) == (State.HELD, "bob")
        assert [key.partition(b"\0")[0] for key in node.dump()["by_customer"]] == [b"bob"]


# -------------------------------------------------------------------------------------------- cancel ∥ place


def test_a_cancel_that_came_first_counts_for_the_placing_to_come(owner):
    assert owner.step(commands.CancelOrder("o", "r"), NOW).entries
    assert status(owner).state is State.UNPLACED
    place(owner, body())
    assert status(owner).state is State.CANCELLED
    assert totals(owner.view.stock_of(b"x\0")).reserved == 0


def test_a_cancel_and_a_placing_that_cross_end_cancelled(owner, other):
    place(owner, body())
    other.step(commands.CancelOrder("o", "r"), NOW)
    meet(owner, other)
    pay(owner)
    assert (status(owner).state, status(owner).refund_due) == (State.CANCELLED, 100)


# ---------------------------------------------------------------------------------------- hand-over ∥ intent


def test_the_next_owner_decides_the_wish_that_crossed_the_hand_over(owner, other):
    place(owner, body())
    meet(owner, other)
    other.step(commands.CancelOrder("o", "r"), NOW)
    claim = status(owner).claims[0]
    gives = Decision(*claim.dot, 1, int(DecisionKind.HAND_OVER), 1, 9, claim.claim.hlc, next_owner=2)
    record = replace(other.view.order(b"o"), decisions=(gives,))
    other.commit()
    other.tables.rows["orders"][b"o"] = encode(record)
    assert not pay(other).recorded
    assert status(other).state is State.CANCELLED
    assert status(other).record.decisions[-1].replica == 2


# ------------------------------------------------------------------------------------------------ edit ∥ edit


def test_edits_at_two_nodes_merge(owner, other):
    place(owner, body(details={"note": "call first", "email": "a@b"}))
    meet(owner, other)
    owner.step(commands.EditOrder("o", "e1", {"note": "call first!", "email": "c@d"}), NOW)
    other.step(commands.EditOrder("o", "e2", {"note": "please call first", "phone": "5"}), NOW)
    meet(owner, other)
    expected = {"email": "c@d", "note": "please call first!", "phone": "5"}
    for node in (owner, other):
        assert show(node.view.document(b"o"), body().details) == expected


def test_an_edit_with_the_etag_of_what_was_read_is_refused_when_somebody_came_between(owner):
    place(owner, body(details={"note": "n"}))
    read = etag({"note": "n"})
    owner.step(commands.EditOrder("o", "e1", {"email": "a@b"}, etag=read), NOW)
    with pytest.raises(StaleEtag) as refused:
        owner.step(commands.EditOrder("o", "e2", {"email": "c@d"}, etag=read), NOW)
    assert refused.value.metadata == {"etag": etag({"email": "a@b", "note": "n"})}
    assert owner.step(commands.EditOrder("o", "e1", {"email": "a@b"}, etag=read), NOW).replayed


def test_a_retried_edit_that_replaced_a_group_is_a_replay(owner):
    """It was refused as another one: what it cleared the first time was not there to be cleared again."""
    place(owner, body(details={"tags.a": "1", "tags.b": "1"}))
    command = commands.EditOrder("o", "e", {"tags.c": "1"}, ("tags.",))
    owner.step(command, NOW)
    assert show(owner.view.document(b"o"), {"tags.a": "1", "tags.b": "1"}) == {"tags.c": "1"}
    assert owner.step(command, NOW).replayed
    with pytest.raises(IdReused):
        owner.step(command._replace(changes={"tags.c": "2"}), NOW)


def test_clearing_a_group_that_is_empty_is_no_mistake(owner):
    place(owner, body())
    assert owner.step(commands.EditOrder("o", "e1", {}, ("tags.",)), NOW).entries
    with pytest.raises(InvalidField, match="changes nothing"):
        owner.step(commands.EditOrder("o", "e2", {}), NOW)
    with pytest.raises(InvalidField, match="no group"):
        owner.step(commands.EditOrder("o", "e3", {}, ("",)), NOW)


# ------------------------------------------------------------------------------------------------- and others


def test_stock_is_booked_at_the_node_that_is_named(owner):
    with pytest.raises(WrongNode) as refused:
        owner.step(commands.ReceiveStock("d", node_name(2), (("x", "", 1),)), NOW)
    assert refused.value.metadata == {"node": node_name(1), "asked": node_name(2)}
    with pytest.raises(WrongNode, match="the request names none"):
        owner.step(commands.ReceiveStock("d", "", (("x", "", 1),)), NOW)


def test_an_order_that_nobody_placed_is_not_found(owner):
    with pytest.raises(NotFound):
        owner.step(commands.ConfirmOrder("o", "r"), NOW)


def test_a_founder_is_an_active_member():
    node = Node(1)
    node.step(commands.Found("eu-west"), NOW)
    node.commit()
    member = node.view.member((1).to_bytes(8))
    assert member == Member("eu-west", int(MemberState.ACTIVE), NOW)


def test_tokens_that_were_given_here_are_sold_here(owner, other):
    """Only tests write `moved` cells yet."""
    meet(owner, other)
    stock = owner.view.stock_of(b"x\0")
    gives = replace(stock.row(1), moved=((2, 4),))
    for node in (owner, other):
        node.tables.rows["stock"][b"x\0"] = node.view.stock_of(b"x\0").with_row(1, gives)
    place(other, body(9))
    with pytest.raises(Exception, match="asked 2, available 1"):
        place(owner, body(2))


def test_a_claim_is_found_by_its_dot():
    claim = Claim(3, 4, 5, Placed(msgspec.Raw(encode(body()))))
    assert OrderRecord((claim,)).claim(claim.dot) == claim
    assert OrderRecord().claim(claim.dot) is None
