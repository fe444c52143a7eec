"""The clauses of the rule for rival claims, one by one, each by the story that needs it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.core.codec import encode
from tallystick.core.members import node_name
from tallystick.core.order.facts import (
    Body,
    ConfirmWhen,
    Decision,
    DecisionKind,
    Line,
    OrderRecord,
    PaymentKind,
)
from tallystick.core.order.status import OrderStatus, State, fold
from tallystick.core.replica import commands
from tallystick.core.stock.rights import totals
from tests.kit.node import Node, exchange, settle_all

NOW = 1_700_000_000_000
LATER = NOW + 3_600_000
BY_HAND = int(ConfirmWhen.BY_HAND)
BODY = Body("EUR", (Line("1", "x", 2, amount=100),), confirm_when=BY_HAND)


@pytest.fixture
def nodes() -> list[Node]:
    """Three nodes with five units each."""
    nodes = [Node(1), Node(2), Node(3)]
    for node in nodes:
        node.step(commands.ReceiveStock(f"b{node.id}", node_name(node.id), (("x", "", 5),)), NOW)
        node.commit()
    return nodes


def place(node: Node, now: int = NOW, body: Body = BODY) -> None:
    node.step(commands.PlaceOrder("o", body), now)
    node.commit()


def pay(node: Node, now: int = NOW, name: str = "p") -> Any:
    outcome = node.step(commands.RecordPayment("o", name, int(PaymentKind.CAPTURED), 100), now)
    node.commit()
    return outcome


def hear(to: Node, *origins: Node) -> None:
    """Without deciding anything."""
    for origin in origins:
        for frame in origin.frames:
            to.hear(frame.data)


def status(node: Node) -> OrderStatus:
    return fold(node.view.order(b"o"))


def states(node: Node) -> list[State]:
    return [claim.state for claim in sorted(status(node).claims, key=lambda claim: claim.claim.rank)]


def kinds(node: Node) -> list[DecisionKind]:
    decisions = node.view.order(b"o").decisions
    return [DecisionKind(d.kind) for d in decisions if d.replica == node.id]


def free(node: Node) -> int:
    return totals(node.view.stock_of(b"x\0")).available


def test_who_is_asked_yields_and_its_units_are_free_again(nodes):
    a, b, _ = nodes
    place(a)
    place(b, NOW + 1)
    exchange(a, b)
    b.settle(NOW + 2)
    assert kinds(b) == [], "only the lower one asks"
    settle_all(a, b, now=NOW + 2)
    assert states(a) == [State.HELD, State.DUPLICATE]
    assert status(b).claims[1].kept == str(status(b).claims[0].dot)
    assert (free(a), status(a).conflicts) == (8, ())


def test_who_came_further_answers_that_he_is_kept_and_the_lower_one_frees_its_own(nodes):
    a, b, _ = nodes
    body = replace(BODY, confirm_when=int(ConfirmWhen.ON_CAPTURE))
    place(a, NOW, body)
    place(b, NOW + 1, body)
    hear(a, b)
    a.settle(NOW + 2)
    pay(b, NOW + 2)
    assert status(b).state is State.CONFIRMED
    hear(b, a)
    b.settle(NOW + 3)
    assert kinds(b) == [DecisionKind.CONFIRM, DecisionKind.KEPT]
    settle_all(a, b, now=NOW + 3)
    assert states(a) == states(b) == [State.DUPLICATE, State.CONFIRMED]
    assert free(a) == 8


def test_the_lower_one_yields_at_once_to_a_sale_and_to_a_living_one_if_it_ended(nodes):
    a, b, _ = nodes
    place(a)
    place(b, NOW + 1)
    b.step(commands.ConfirmOrder("o", "r"), NOW + 2)
    b.commit()
    hear(a, b)
    a.settle(NOW + 3)
    assert states(a) == [State.DUPLICATE, State.CONFIRMED]
    assert kinds(a) == [DecisionKind.DUPLICATE]


@pytest.mark.parametrize("ended", [False, True])
def test_beside_a_rival_no_hold_ends_an_ended_rival_included(nodes, ended):
    a, b, _ = nodes
    place(a)
    place(b, NOW + 1)
    if ended:
        b.step(commands.ExpireHold("o"), LATER)
        b.commit()
    hear(a, b)
    a.settle(LATER)
    assert a.step(commands.ExpireHold("o"), LATER).replayed
    settle_all(a, b, now=LATER)
    a.step(commands.ExpireHold("o"), LATER)
    assert states(a) == [State.EXPIRED, State.DUPLICATE]


def test_beside_a_living_rival_nothing_is_sold_and_nothing_declined(nodes):
    a, b, _ = nodes
    body = replace(BODY, confirm_when=int(ConfirmWhen.ON_CAPTURE))
    place(a, NOW, body)
    place(b, NOW + 1, body)
    exchange(a, b)
    for node in (a, b):
        assert node.step(commands.ConfirmOrder("o", f"r{node.id}"), NOW + 2).recorded
        node.commit()
        pay(node, NOW + 2)
        assert states(node) == [State.HELD, State.HELD]
    settle_all(a, b, now=NOW + 3)
    assert states(a) == [State.CONFIRMED, State.DUPLICATE]
    assert status(a).declined == ()
    assert status(a).payments.kept == 100


def test_beside_an_ended_rival_an_order_is_confirmed(nodes):
    a, b, _ = nodes
    place(a)
    place(b, NOW + 1)
    b.step(commands.ExpireHold("o"), LATER)
    b.commit()
    hear(a, b)
    assert not a.step(commands.ConfirmOrder("o", "r"), LATER).recorded
    assert states(a) == [State.CONFIRMED, State.EXPIRED]


def test_beside_a_living_rival_no_ended_claim_is_held_again(nodes):
    a, b, _ = nodes
    place(a)
    place(b, NOW + 1)
    b.step(commands.ExpireHold("o"), LATER)
    b.commit()
    hear(b, a)
    assert pay(b, LATER).recorded
    assert states(b) == [State.HELD, State.EXPIRED]
    settle_all(a, b, now=NOW + 2)
    assert states(a) == [State.HELD, State.DUPLICATE]
    assert (free(a), status(a).refund_due) == (8, 0)


def test_of_three_the_lowest_asks_each_by_name(nodes):
    """A question that was meant for the second is no question to the third."""
    a, b, c = nodes
    for at, node in enumerate(nodes):
        place(node, NOW + at)
    hear(b, a, c)
    b.settle(NOW + 4)
    assert kinds(b) == []
    hear(a, b)
    a.settle(NOW + 5)
    hear(c, a, b)
    c.settle(NOW + 5)
    assert kinds(c) == []
    settle_all(*nodes, now=NOW + 6)
    assert kinds(a) == [DecisionKind.DUPLICATE, DecisionKind.DUPLICATE]
    assert states(c) == [State.HELD, State.DUPLICATE, State.DUPLICATE]
    assert free(c) == 13


def test_of_three_that_yielded_in_a_ring_the_lowest_comes_back(nodes):
    """The model's story: all ended, each yields to another, and a payment finds somebody to hold again."""
    a, b, c = nodes
    for at, node in enumerate(nodes):
        place(node, NOW + at)
        node.step(commands.ExpireHold("o"), LATER)
        node.commit()
    exchange(*nodes)
    dots = [claim.dot for claim in sorted(status(a).claims, key=lambda claim: claim.claim.rank)]
    ring = [
        Decision(*dot, 2, int(DecisionKind.DUPLICATE), dot.replica, 9, 9, str(to), keep=str(to))
        for dot, to in zip(dots, [dots[2], dots[0], dots[1]], strict=True)
    ]
    for node in nodes:
        known = node.view.order(b"o")
        decisions = sorted((*known.decisions, *ring), key=lambda d: d.key)
        node.tables.rows["orders"][b"o"] = encode(OrderRecord(known.claims, (), tuple(decisions)))
        node.unsettled["o"] = None
    assert states(b) == [State.DUPLICATE] * 3
    settle_all(*nodes, now=LATER)
    assert states(c) == [State.EXPIRED, State.DUPLICATE, State.DUPLICATE]
    assert kinds(b) == [DecisionKind.EXPIRE, DecisionKind.DUPLICATE]
    assert not pay(a, LATER).recorded
    assert states(a)[0] is State.HELD


def test_an_ended_order_is_answered_where_a_rival_is_known(nodes):
    a, b, _ = nodes
    place(a)
    a.step(commands.CancelOrder("o", "r"), NOW)
    exchange(a, b)
    assert b.step(commands.PlaceOrder("o", BODY), NOW).replayed
    assert (status(b).state, free(b)) == (State.CANCELLED, 10)


def test_a_cancellation_needs_no_rival_s_leave_and_counts_for_all(nodes):
    a, b, _ = nodes
    place(a)
    place(b, NOW + 1)
    exchange(a, b)
    outcome = b.step(commands.CancelOrder("o", "r"), NOW + 2)
    assert outcome.recorded, "the claim that counts is another's"
    assert states(b) == [State.HELD, State.CANCELLED]
    settle_all(a, b, now=NOW + 3)
    assert status(a).state is State.CANCELLED
    assert free(a) == 10


def test_a_cut_that_the_loser_made_is_made_at_the_winner(nodes):
    a, b, _ = nodes
    place(a)
    place(b, NOW + 1)
    b.step(commands.CancelOrder("o", "r", (("1", 1),)), NOW + 2)
    settle_all(a, b, now=NOW + 3)
    assert states(a) == [State.HELD, State.DUPLICATE]
    counts = status(a).counts
    assert counts is not None
    assert (counts.cancelled, free(a)) == ({"1": 1}, 9)
