"""The status of an order is a fold: total, and blind to how the facts came together."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.core.clock import Dot
from tallystick.core.codec import encode
from tallystick.core.order.facts import (
    EMPTY_ORDER,
    Body,
    Claim,
    Decision,
    DecisionKind,
    Intent,
    IntentKind,
    Line,
    OrderRecord,
    PaymentKind,
    Placed,
    body_hash,
    join_orders,
)
from tallystick.core.order.status import STATELESS, TRANSITIONS, State, fold, open_wishes
from tests.kit.effort import effort
from tests.kit.lattices import order_worlds

# The same table as the engine's, drawn. "=" leaves the state; an empty cell is out of place.
TABLE = """
             CONFIRM    EXTEND  CANCEL     REDUCE  EXPIRE   HOLD_AGAIN  DECLINE  DUPLICATE  KEPT     HAND_OVER
HELD         CONFIRMED  =       CANCELLED  =       EXPIRED  .           =        DUPLICATE  =        =
CONFIRMED    .          .       CANCELLED  =       .        .           =        DUPLICATE  =        =
CANCELLED    .          .       .          .       .        .           =        DUPLICATE  =        =
EXPIRED      .          .       CANCELLED  .       .        HELD        =        DUPLICATE  =        =
DUPLICATE    .          .       .          .       .        .           =        .          EXPIRED  =
"""
_HEADER, *_ROWS = TABLE.split("\n")[1:-1]
CELLS = [
    (State[row.split()[0]], DecisionKind[kind], cell)
    for row in _ROWS
    for kind, cell in zip(_HEADER.split(), row.split()[1:], strict=True)
]

# The shortest chain to each state, from HELD.
WAYS = {
    State.HELD: (),
    State.CONFIRMED: (DecisionKind.CONFIRM,),
    State.CANCELLED: (DecisionKind.CANCEL,),
    State.EXPIRED: (DecisionKind.EXPIRE,),
    State.DUPLICATE: (DecisionKind.DUPLICATE,),
}
LATER = {State.UNPLACED, State.RELEASED, State.SHIPPED, State.DELIVERED, State.RETURNED}
"""States that no decision leads to yet."""

BODY = Body("EUR", (Line("1", "x", 4, amount=100), Line("2", "y", 1, amount=11)))


def claim(replica: int = 1, hlc: int = 10, body: Body = BODY, hold_until_ms: int = 1_000) -> Claim:
    return Claim(replica, 1, hlc, Placed(msgspec.Raw(encode(body)), hold_until_ms=hold_until_ms))


def decision(number: int, kind: int, *, of: Claim, by: int = 1, **said: Any) -> Decision:
    plain = Decision(of.replica, of.seq, number, int(kind), by, 10 * by + number, 100 + number)
    return replace(plain, **said)


def chain(of: Claim, *kinds: int, **said: Any) -> tuple[Decision, ...]:
    return tuple(decision(number, kind, of=of, **said) for number, kind in enumerate(kinds, 1))


# ----------------------------------------------------------------------------------------------- the table


def test_the_drawing_is_the_whole_table():
    """A new state or decision must be drawn here."""
    assert {state for state, _, _ in CELLS} == set(WAYS)
    assert set(WAYS) | LATER == set(State)
    assert {kind for _, kind, _ in CELLS} == set(DecisionKind)
    assert not {*TRANSITIONS.values(), *(state for state, _ in TRANSITIONS)} & LATER
    drawn = {(s, k): s if cell == "=" else State[cell] for s, k, cell in CELLS if cell != "."}
    assert drawn == {**{(state, kind): state for state in WAYS for kind in STATELESS}, **TRANSITIONS}


def test_the_docs_draw_the_same_table():
    text = Path(__file__).parents[2].joinpath("docs/architecture.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    at = next(number for number, row in enumerate(rows) if row[0].strip() == "State")
    kinds = [DecisionKind[cell.strip().upper().replace(" ", "_")] for cell in rows[at][1:]]
    table = {row[0].strip(): row[1:] for row in rows[at + 2 : at + 2 + len(WAYS)]}
    drawn = {
        (State[name.upper()], kind): State[cell.strip().upper()]
        for name, cells in table.items()
        for kind, cell in zip(kinds, cells, strict=True)
        if cell.strip()
    }
    kept = {(state, DecisionKind.KEPT): state for state in WAYS}
    assert drawn == {**kept, **TRANSITIONS}


@pytest.mark.parametrize(("state", "kind", "cell"), CELLS, ids=lambda part: getattr(part, "name", part))
def test_a_decision_moves_the_claim_or_is_out_of_place(state, kind, cell):
    placed = claim()
    before = fold(OrderRecord((placed,), (), chain(placed, *WAYS[state])))
    assert (before.state, before.conflicts) == (state, ())
    last = decision(9, kind, of=placed, hold_until_ms=77_000, next_owner=5, lines=(("1", 1),), cites="c")
    last = replace(last, number=len(WAYS[state]) + 1)
    after = fold(OrderRecord((placed,), (), (*before.record.decisions, last)))
    (was,), (is_now,) = before.claims, after.claims
    assert is_now.decided == last.number
    assert is_now.cited == {"c"}
    if cell == ".":
        assert [conflict.kind for conflict in after.conflicts] == ["OUT_OF_PLACE"]
        assert after.conflicts[0].description == f"{kind.name} of a claim that is {state.name}"
        assert (is_now.state, is_now.owner, is_now.hold_until_ms) == (state, was.owner, was.hold_until_ms)
        assert is_now.cancelled == was.cancelled
    else:
        assert after.conflicts == ()
        assert is_now.state is (state if cell == "=" else State[cell])
        assert (is_now.owner, is_now.hold_until_ms) == (5, 77_000)
        assert is_now.cancelled == ({"1": 1} if kind is DecisionKind.REDUCE else {})


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("kind", [0, 11, -1])
def test_an_unknown_decision_changes_nothing_and_is_told(state, kind):
    placed = claim()
    ways = chain(placed, *WAYS[state])
    later = decision(len(ways) + 1, kind, of=placed, next_owner=5, keep="x")
    status = fold(OrderRecord((placed,), (), (*ways, later)))
    assert [conflict.kind for conflict in status.conflicts] == ["UNKNOWN_DECISION"]
    assert (status.state, status.claims[0].owner, status.claims[0].decided) == (state, 1, len(ways) + 1)


@pytest.mark.parametrize("state", WAYS)
def test_to_keep_oneself_changes_nothing(state):
    placed = claim()
    ways = chain(placed, *WAYS[state])
    keeps = decision(len(ways) + 1, DecisionKind.DUPLICATE, of=placed, keep=str(placed.dot))
    status = fold(OrderRecord((placed,), (), (*ways, keeps)))
    assert (status.state, status.conflicts, status.claims[0].kept) == (state, (), str(placed.dot))


# ------------------------------------------------------------------------------------------------ the chain


def test_of_two_decisions_with_one_number_the_lower_dot_counts():
    placed = claim()
    lower = decision(1, DecisionKind.CONFIRM, of=placed, by=1)
    higher = decision(1, DecisionKind.CANCEL, of=placed, by=2)
    status = fold(OrderRecord((placed,), (), (higher, lower)))
    assert status.state is State.CONFIRMED
    assert [conflict.kind for conflict in status.conflicts] == ["DECIDED_TWICE"]


def test_a_decision_after_a_gap_waits_for_what_is_missing():
    placed = claim()
    first, second = chain(placed, DecisionKind.CONFIRM, DecisionKind.CANCEL)
    status = fold(OrderRecord((placed,), (), (second,)))
    assert status.state is State.HELD
    assert [conflict.kind for conflict in status.conflicts] == ["DECISION_MISSING"]
    assert fold(OrderRecord((placed,), (), (first, second))).state is State.CANCELLED


def test_a_decision_is_about_its_own_claim():
    placed, other = claim(1), claim(2)
    status = fold(OrderRecord((placed, other), (), chain(other, DecisionKind.CANCEL)))
    assert [c.state for c in status.claims] == [State.HELD, State.CANCELLED]


# ---------------------------------------------------------------------------------------------- which counts

FIRST, SECOND, THIRD = (claim(replica, hlc) for replica, hlc in ((3, 10), (1, 11), (2, 11)))


@pytest.mark.parametrize(
    ("ended", "counts", "conflicts"),
    [
        ((), FIRST, {"RIVAL_CLAIMS"}),
        ((FIRST,), SECOND, {"RIVAL_CLAIMS"}),
        ((FIRST, SECOND), THIRD, set()),
        ((FIRST, SECOND, THIRD), FIRST, set()),
    ],
)
def test_of_rivals_the_lowest_that_lives_counts(ended, counts, conflicts):
    """By time, then replica: the same everywhere."""
    decisions = tuple(d for placed in ended for d in chain(placed, DecisionKind.CANCEL))
    status = fold(OrderRecord((SECOND, THIRD, FIRST), (), decisions))
    assert status.counts is not None
    assert status.counts.claim == counts
    assert {conflict.kind for conflict in status.conflicts} == conflicts
    assert all(set(conflict.claims) == {FIRST.dot, SECOND.dot, THIRD.dot} for conflict in status.conflicts)


@pytest.mark.parametrize("kind", [DecisionKind.CONFIRM, DecisionKind.EXTEND])
def test_of_rivals_the_one_that_came_furthest_counts_of_equals_the_lowest(kind):
    status = fold(OrderRecord((FIRST, SECOND, THIRD), (), chain(THIRD, kind)))
    assert status.counts is not None
    assert status.counts.claim == (THIRD if kind is DecisionKind.CONFIRM else FIRST)


def test_a_claim_that_yielded_counts_no_more():
    yields = chain(FIRST, DecisionKind.DUPLICATE, keep=str(THIRD.dot))
    yields += chain(SECOND, DecisionKind.EXPIRE, DecisionKind.DUPLICATE, keep=str(THIRD.dot))
    status = fold(OrderRecord((FIRST, SECOND, THIRD), (), yields))
    assert status.counts is not None
    assert (status.counts.claim, status.conflicts) == (THIRD, ())


def test_a_claim_that_asks_its_rival_to_yield_stays_what_it_is():
    asks = chain(FIRST, DecisionKind.DUPLICATE, keep=str(FIRST.dot), cites=str(SECOND.dot))
    status = fold(OrderRecord((FIRST, SECOND), (), asks))
    assert [(c.state, c.in_play) for c in status.claims] == [(State.HELD, True), (State.HELD, True)]
    assert [conflict.kind for conflict in status.conflicts] == ["RIVAL_CLAIMS"]


def test_different_bodies_under_one_id_are_told():
    other = claim(2, 12, Body("EUR", (Line("1", "z", 1),)))
    kinds = [conflict.kind for conflict in fold(OrderRecord((FIRST, other))).conflicts]
    assert kinds == ["BODY_MISMATCH", "RIVAL_CLAIMS"]


# ------------------------------------------------------------------------------------------ intents and money


def paid(
    request_id: str, amount: int, *, kind: int = PaymentKind.CAPTURED, seq: int = 5, **said: object
) -> Intent:
    name = body_hash(encode(BODY))
    plain = Intent(int(IntentKind.PAYMENT), request_id, 1, seq, 50 + seq, body_hash=name)
    return replace(plain, payment_kind=int(kind), amount=amount, **said)


def test_one_payment_told_by_two_counts_once_and_of_two_stories_the_older():
    twice = OrderRecord((claim(),), (paid("p", 60), paid("p", 60, seq=6)))
    assert (fold(twice).payments.kept, fold(twice).conflicts) == (60, ())
    otherwise = OrderRecord((claim(),), (paid("p", 70, seq=6), paid("p", 60)))
    assert fold(otherwise).payments.kept == 60
    assert [conflict.kind for conflict in fold(otherwise).conflicts] == ["PAYMENT_MISMATCH"]


def test_payments_for_another_body_are_not_this_order_s():
    record = OrderRecord((claim(),), (paid("p", 60, body_hash=b"other"),))
    assert fold(record).payments.kept == 0


def test_payments_and_wishes_of_unknown_kinds_are_kept_and_move_nothing():
    record = OrderRecord((claim(),), (paid("p", 60, kind=7), replace(paid("q", 5), kind=99)))
    status = fold(record)
    assert (status.payments.kept, status.state, status.updated_hlc) == (0, State.HELD, 55)
    assert open_wishes(record, status.claims[0]) == []


def test_wishes_are_open_until_a_decision_cites_them_oldest_first():
    placed = claim()
    wishes = [Intent(int(kind), "r", 2, seq, 90 - seq) for seq, kind in enumerate(IntentKind, 1)]
    record = OrderRecord((placed,), tuple(wishes))
    kinds = [wish.kind for wish in open_wishes(record, fold(record).claims[0])]
    assert kinds == [IntentKind.EXTEND, IntentKind.CONFIRM, IntentKind.CANCEL]
    cites = chain(placed, DecisionKind.EXTEND, cites=str(wishes[3].dot))
    record = replace(record, decisions=cites)
    kinds = [wish.kind for wish in open_wishes(record, fold(record).claims[0])]
    assert kinds == [IntentKind.CONFIRM, IntentKind.CANCEL]


def test_an_order_known_by_its_cancellation_alone_is_unplaced():
    status = fold(OrderRecord((), (Intent(int(IntentKind.CANCEL), "r", 1, 1, 5),)))
    assert (status.state, status.counts, status.refund_due, status.updated_hlc) == (
        State.UNPLACED,
        None,
        0,
        5,
    )
    assert fold(EMPTY_ORDER).updated_hlc == 0


def test_the_update_time_is_the_latest_of_all():
    placed = claim()
    record = OrderRecord((placed,), (), chain(placed, DecisionKind.CONFIRM))
    assert fold(record).updated_hlc == 101
    assert fold(replace(record, intents=(paid("p", 1, seq=900),))).updated_hlc == 950
    assert placed.dot == Dot(1, 1)


# --------------------------------------------------------------------------------------------------- totality


def everything_read(record: OrderRecord) -> tuple[object, ...]:
    """All that can be asked of a status: none of it may raise."""
    status = fold(record)
    money = status.payments, status.payments.secured, status.refund_due
    claims = [
        (c.state, c.owner, c.due, c.price, c.cancelled, c.kept, open_wishes(record, c)) for c in status.claims
    ]
    live = [c.live_units(line.line_id, line.quantity) for c in status.claims for line in c.body.lines]
    return status.state, money, claims, live, status.conflicts, status.updated_hlc


@effort(100)
@given(st.data())
def test_any_set_of_facts_has_one_status_however_it_came_together(data):
    """Shuffled, doubled, split and joined: absurd sets too."""
    record = data.draw(data.draw(order_worlds()))
    expected = everything_read(record)
    pieces = [OrderRecord((fact,)) for fact in record.claims]
    pieces += [OrderRecord((), (fact,)) for fact in record.intents]
    pieces += [OrderRecord((), (), (fact,)) for fact in record.decisions]
    arrivals = data.draw(st.permutations([*pieces, *pieces[::2]]))
    cut = data.draw(st.integers(0, len(arrivals)))
    halves = [reduce(join_orders, half, EMPTY_ORDER) for half in (arrivals[:cut], arrivals[cut:])]
    assert everything_read(join_orders(*halves)) == expected
    assert 0 <= fold(record).refund_due <= max(0, fold(record).payments.kept)
