"""The lattices of the core, each with triples of states from one honest world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from tallystick.core.clock import EMPTY_HEAD, Head, join_vectors
from tallystick.core.codec import encode
from tallystick.core.members import Member, join_members
from tallystick.core.order import facts
from tallystick.core.order.facts import EMPTY_ORDER, OrderRecord, join_orders
from tallystick.core.stock.receipts import EMPTY_BOOKINGS, Booking, BookingRecord, join_bookings
from tallystick.core.stock.rights import EMPTY_ROW, EMPTY_STOCK, Row, Stock, join_rows, join_stock
from tests.kit.laws import Lattice
from tests.kit.records import values_of

Triple = tuple[Any, Any, Any]

replicas = st.integers(1, 4)
small = st.integers(0, 6)
texts = st.sampled_from(["", "a", "b", "ä"])


def three(states: st.SearchStrategy[Any]) -> st.SearchStrategy[Triple]:
    return st.tuples(states, states, states)


# ---------------------------------------------------------------------------------------------------- stock

moved = st.dictionaries(replicas, st.integers(1, 6)).map(lambda cells: tuple(sorted(cells.items())))
rows = st.builds(Row, **dict.fromkeys(Row.__struct_fields__[:-1], small), moved=moved)
stocks = st.dictionaries(replicas, rows).map(lambda found: Stock(tuple(sorted(found.items()))))


# ------------------------------------------------------------------------------------ facts, one world each


def unique(facts_of: st.SearchStrategy[Any], key: Any, most: int) -> st.SearchStrategy[list[Any]]:
    """A world: facts, no two under one name."""
    return st.lists(facts_of, unique_by=key, max_size=most)


def sets_of(pool: Sequence[Any], key: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    """What somebody may know of a world: any part of it, sorted."""
    if not pool:
        return st.just(())
    return st.lists(st.sampled_from(pool), max_size=len(pool), unique_by=key).map(
        lambda known: tuple(sorted(known, key=key))
    )


bodies = st.builds(
    facts.Body,
    currency=st.just("EUR"),
    lines=st.lists(
        st.builds(
            facts.Line,
            line_id=st.sampled_from("123"),
            sku=st.sampled_from("xy"),
            quantity=small,
            amount=small,
            untracked=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    customer=texts,
    confirm_when=st.integers(0, 5),
)
units = st.dictionaries(st.sampled_from("123"), small, max_size=2).map(lambda d: tuple(sorted(d.items())))
claims = st.builds(
    facts.Claim,
    replicas,
    st.integers(1, 3),
    small,
    st.builds(
        facts.Placed,
        body=bodies.map(lambda body: msgspec.Raw(encode(body))),
        hold_until_ms=st.sampled_from([0, 1_000]),
        short=units,
    ),
)
dots_as_text = st.builds("{:012x}:{}".format, replicas, st.integers(1, 3))
intents = st.builds(
    facts.Intent,
    kind=st.integers(0, 6),
    request_id=st.sampled_from("pqr"),
    replica=replicas,
    seq=st.integers(4, 6),
    hlc=small,
    body_hash=st.one_of(st.just(b""), bodies.map(lambda body: facts.body_hash(encode(body)))),
    lines=units,
    payment_kind=st.integers(0, 8),
    amount=st.integers(-3, 9),
)
decisions = st.builds(
    facts.Decision,
    claim_replica=replicas,
    claim_seq=st.integers(1, 3),
    number=st.integers(-1, 5),
    kind=st.integers(-1, 12),
    replica=replicas,
    seq=st.integers(7, 9),
    hlc=small,
    cites=st.one_of(st.just(""), dots_as_text, st.text(max_size=3)),
    lines=units,
    hold_until_ms=st.sampled_from([0, 2_000]),
    keep=st.one_of(st.just(""), dots_as_text, st.text(max_size=3)),
    next_owner=st.integers(0, 4),
)


def claim_name(claim: facts.Claim) -> Any:
    return claim.dot


def intent_name(intent: facts.Intent) -> Any:
    return intent.dot, intent.kind, intent.request_id


def decision_name(decision: facts.Decision) -> Any:
    return decision.key


@st.composite
def order_worlds(draw: st.DrawFn) -> st.SearchStrategy[OrderRecord]:
    """All that ever happened to one order id, as a strategy for what somebody may know of it."""
    pools = (
        (draw(unique(claims, claim_name, 3)), claim_name),
        (draw(unique(intents, intent_name, 6)), intent_name),
        (draw(unique(decisions, decision_name, 8)), decision_name),
    )
    return st.builds(OrderRecord, *(sets_of(pool, key) for pool, key in pools))


@st.composite
def orders(draw: st.DrawFn) -> Triple:
    return draw(three(draw(order_worlds())))


@st.composite
def bookings(draw: st.DrawFn) -> Triple:
    pool = draw(unique(values_of(Booking), lambda b: b.dot, 6))
    return draw(three(st.builds(BookingRecord, sets_of(pool, lambda b: b.dot))))


members = st.builds(Member, region=texts, state=st.integers(1, 4), founded_ms=small)
heads = st.one_of(st.just(EMPTY_HEAD), st.builds(Head, st.integers(1, 3), st.binary(min_size=2, max_size=2)))
vectors = st.dictionaries(replicas, heads, max_size=4)

LATTICES = (
    Lattice("Row", join_rows, three(rows), EMPTY_ROW),
    Lattice("Stock", join_stock, three(stocks), EMPTY_STOCK),
    Lattice("OrderRecord", join_orders, orders(), EMPTY_ORDER),
    Lattice("BookingRecord", join_bookings, bookings(), EMPTY_BOOKINGS),
    Lattice("Member", join_members, three(members)),
    Lattice("Vector", lambda left, right: dict(join_vectors(left, right)), three(vectors), {}),
)
