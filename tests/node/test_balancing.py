"""What a node tells of its demand is what all its rates say, though it looks at few of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.members import Member, MemberState
from tallystick.core.replication.messages import Demand
from tallystick.core.stock.demand import DemandMeter
from tallystick.core.stock.rights import EMPTY_STOCK, Row, Stock
from tallystick.node import balancing
from tallystick.node.balancing import Balancer

KEYS = [f"item-{number}\0".encode() for number in range(8)]
MISSES = st.tuples(st.sampled_from(KEYS), st.integers(1, 5))
ROUNDS = st.lists(st.tuples(st.lists(MISSES, max_size=8), st.integers(1, 900_000)), max_size=8)


@given(rounds=ROUNDS, limit=st.integers(2, 8))
def test_the_busiest_are_told_round_after_round(rounds, limit):
    """Against a sort of all rates."""
    told, waiting = balancing.TOLD_ITEMS, balancing.WAITING_ITEMS
    balancing.TOLD_ITEMS, balancing.WAITING_ITEMS = 2, limit
    try:
        balancer, meter, now_ms = Balancer(1, lambda _: EMPTY_STOCK), DemandMeter(), 0
        for misses, pause_ms in rounds:
            for key, units in misses:
                balancer.missed(key, units, now_ms)
                meter.note(key, units, now_ms)
            now_ms += pause_ms
            assert balancer.tell(now_ms) == tuple(Demand(*pair) for pair in meter.busiest(2, now_ms))
    finally:
        balancing.TOLD_ITEMS, balancing.WAITING_ITEMS = told, waiting


@pytest.mark.parametrize("rate", [math.nan, math.inf, -1.0])
def test_what_is_no_rate_is_passed_over(rate):
    """One peer that tells nonsense must not end the process of every other."""
    members = {replica: Member("eu", int(MemberState.ACTIVE)) for replica in (1, 2)}
    balancer = Balancer(1, lambda _: Stock(((1, Row(received=100)),)), "demand")
    balancer.hear(2, [Demand(KEYS[0], rate)], 0)
    balancer.missed(KEYS[0], 1, 0)
    assert balancer.plan(members, [2], 1_000) is None
    assert set(balancer.rates(KEYS[0], 0)) == {1}


def test_who_tells_fewer_items_than_it_may_knows_of_no_others():
    """A node that started anew told nothing of an item any more; its peers went by its old rate, it by none,
    and each sent the other tokens again and again (the simulator, seed 53)."""
    balancer = Balancer(1, lambda _: EMPTY_STOCK)
    balancer.hear(2, (Demand(KEYS[0], 5.0), Demand(KEYS[1], 3.0)), 0)
    balancer.hear(2, (Demand(KEYS[1], 3.0),), 0)
    assert balancer.rates(KEYS[0], 0) == {1: 0.0}
    assert balancer.rates(KEYS[1], 0) == {1: 0.0, 2: 3.0}


def test_who_tells_as_much_as_it_may_knows_of_more():
    balancer = Balancer(1, lambda _: EMPTY_STOCK)
    many = tuple(Demand(f"other-{number}\0".encode(), 1.0) for number in range(balancing.TOLD_ITEMS))
    balancer.hear(2, (Demand(KEYS[0], 5.0),), 0)
    balancer.hear(2, many, 0)
    assert balancer.rates(KEYS[0], 0) == {1: 0.0, 2: 5.0}
    balancer.hear(2, many[1:], 0)
    assert balancer.rates(KEYS[0], 0) == {1: 0.0}
