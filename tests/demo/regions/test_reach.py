"""Which refusals were wrong: never one too many, whatever the looks saw."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tallystick.cli.demo.regions.reach import Reach, Refusal, Shelves, false_refusals

DELAY_S = 0.04
BOTH = frozenset({"a", "b"})


def look(at: float, *, epoch: int = 0, took: float = 0.01, a: int = 0, b: int = 0) -> Shelves:
    return Shelves(at, at + took, epoch, {"a": {"TEA": a}, "b": {"TEA": b}})


def refused(at: float, units: int, *, epoch: int = 0, side: frozenset[str] = BOTH, **more: int) -> Refusal:
    return Refusal(at, epoch, side, {"TEA": units, **more})


def test_what_is_still_there_was_there():
    refusal = refused(1.0, 5)
    assert false_refusals([refusal], [look(0.9, a=9), look(1.1, a=2, b=3)], DELAY_S) == (refusal,)


def test_what_is_gone_may_have_been_gone():
    assert false_refusals([refused(1.0, 5)], [look(0.9, a=9), look(1.1, a=2, b=2)], DELAY_S) == ()


def test_an_order_needs_all_of_its_articles():
    assert false_refusals([refused(1.0, 1, CAKE=1)], [look(1.1, a=9)], DELAY_S) == ()


def test_the_other_side_of_a_cut_does_not_count():
    alone = frozenset({"a"})
    looks = [look(1.1, epoch=1, a=1, b=9)]
    assert false_refusals([refused(1.0, 2, epoch=1, side=alone)], looks, DELAY_S) == ()
    right = refused(1.0, 1, epoch=1, side=alone)
    assert false_refusals([right], looks, DELAY_S) == (right,)


def test_nothing_is_known_from_after_the_healing():
    """What lies there now may have come across."""
    assert false_refusals([refused(1.0, 2, epoch=1)], [look(1.1, epoch=2, a=9)], DELAY_S) == ()
    assert false_refusals([refused(1.0, 2, side=frozenset())], [look(1.1, a=9)], DELAY_S) == ()


def test_a_slow_look_may_have_seen_a_unit_twice():
    looks = [look(1.1, took=0.05, a=3, b=3), look(1.4, a=0, b=3)]
    assert false_refusals([refused(1.0, 5)], looks, DELAY_S) == ()


def test_reach_knows_the_sides():
    reach = Reach(0, (BOTH,)).change(frozenset({"a"}), frozenset({"b", "c"}))
    assert (reach.epoch, reach.side_of("c")) == (1, frozenset({"b", "c"}))
    assert reach.change().side_of("a") == frozenset()


@given(seed=st.integers(0, 10_000), takes=st.floats(0, DELAY_S))
def test_units_on_their_way_are_never_counted_twice(seed, takes):
    """Units that travel all the time, each as long as the delay: no look finds more than there are."""
    chance = random.Random(seed)
    total = 10
    at = {unit: (0.0, chance.choice("ab")) for unit in range(total)}  # unit → (arrived, where)
    began = 1.0
    seen = {"a": 0, "b": 0}
    asked = {"a": began + chance.random() * takes, "b": began + chance.random() * takes}
    for unit in range(total):
        moment, where = at[unit]
        while moment < began + DELAY_S:
            leaves = moment + chance.random() * 0.3
            if moment <= asked[where] < leaves:
                seen[where] += 1
            moment, where = leaves + DELAY_S, "b" if where == "a" else "a"
    shelves = Shelves(began, max(asked.values()), 0, {name: {"TEA": units} for name, units in seen.items()})
    assert false_refusals([refused(0.9, total + 1)], [shelves], DELAY_S) == ()
