"""The books of a region, and what the nodes say of themselves: figures over time."""

from __future__ import annotations

import pytest

from tallystick.cli.demo.regions.books import Answer, Moment, RegionBooks, p99_ms
from tallystick.cli.demo.regions.looks import Look, RegionLook, lag, union
from tallystick.cli.demo.regions.reach import Reach
from tallystick.cli.demo.regions.story import tell_regions
from tallystick.cli.demo.regions.timeline import Phase
from tallystick.cli.demo.story import units_of

WHOLE = Reach(0, (frozenset({"eu", "us"}),))
CUT = WHOLE.change(frozenset({"eu"}), frozenset({"us"}))
ORDERS = tell_regions(1, 2, 5).orders


def test_an_order_counts_for_the_phase_it_was_sent_and_answered_in():
    books = RegionBooks(region="eu")
    for order, sent, answered in (
        (ORDERS[0], Moment(1.0, Phase.WHOLE, WHOLE), Moment(1.1, Phase.WHOLE, WHOLE)),
        (ORDERS[1], Moment(1.9, Phase.WHOLE, WHOLE), Moment(2.1, Phase.CUT, CUT)),
        (ORDERS[2], Moment(2.2, Phase.CUT, CUT), Moment(2.5, Phase.CUT, CUT)),
    ):
        books.acknowledge(order)
        books.note(order, sent, answered)
    assert {phase: books.accepted_in(phase) for phase in Phase} == {
        Phase.WHOLE: 1,
        Phase.CUT: 1,
        Phase.HEALED: 0,
    }
    assert books.p99_ms_in(Phase.WHOLE) == pytest.approx(100)
    assert books.p99_ms_in(Phase.CUT) == pytest.approx(300)
    assert books.p99_ms_in(Phase.HEALED) is None
    assert books.refusals == []


def test_a_refusal_remembers_what_was_in_reach():
    books = RegionBooks(region="eu")
    order = ORDERS[0]
    books.refuse(order, ())
    books.note(order, Moment(2.2, Phase.CUT, CUT), Moment(2.5, Phase.CUT, CUT))
    (refusal,) = books.refusals
    assert (refusal.at, refusal.epoch, refusal.side) == (2.5, 1, frozenset({"eu"}))
    assert refusal.wanted == units_of([order])


def test_a_refusal_that_was_under_way_when_the_cut_came_has_no_side():
    books = RegionBooks(region="eu")
    books.refuse(ORDERS[0], ())
    books.note(ORDERS[0], Moment(1.9, Phase.WHOLE, WHOLE), Moment(2.1, Phase.CUT, CUT))
    assert books.refusals[0].side == frozenset()


def test_the_99th_percentile_is_one_that_occurred():
    waits = [Answer(0.0, millis / 1000, Phase.WHOLE, True) for millis in range(1, 201)]
    assert p99_ms(waits) == pytest.approx(198)
    assert p99_ms(waits[:1]) == pytest.approx(1)
    assert p99_ms([*waits, *(Answer(0.0, 9.0, Phase.WHOLE, False) for _ in range(50))]) == pytest.approx(198)
    assert p99_ms([]) is None


def test_the_present_is_the_last_seconds():
    books = RegionBooks(region="eu")
    books.answers = [Answer(at / 10, 0.5 if at < 50 else 0.001, Phase.WHOLE, True) for at in range(200)]
    assert books.orders_per_s(19.95) == pytest.approx(10, abs=0.5)
    assert books.p99_ms_now(19.95) == pytest.approx(1)
    assert books.orders_per_s(99.0) == 0


def test_units_leave_with_accepted_orders():
    books = RegionBooks(region="eu")
    books.answers = [Answer(9.0, 0.1, Phase.WHOLE, accepted, 3) for accepted in (True, True, False)]
    assert (books.units_per_s(10.0), books.units_per_s(20.0)) == (3.0, 0.0)


def test_the_present_is_no_longer_than_the_doors_are_open():
    books = RegionBooks(region="eu")
    books.answers = [Answer(0.9, 0.1, Phase.WHOLE, True, 3)]
    assert (books.orders_per_s(1.0), books.units_per_s(1.0)) == (1.0, 3.0)


def test_lag_is_what_others_have():
    everything = union([{"a": 5, "b": 2}, {"a": 3, "b": 9, "c": 1}])
    assert everything == {"a": 5, "b": 9, "c": 1}
    assert lag({"a": 3, "b": 9, "c": 1}, everything) == 2
    assert lag({}, everything) == 15
    assert lag(everything, {"a": 1}) == 0


def test_agreeing_takes_the_same_events_and_the_same_digest():
    def say(**changes: object) -> RegionLook:
        said = {"links": {"us": True}, "vector": {"a": 1}, "digest": "d", "tokens": 1}
        return RegionLook(**{**said, **changes})  # type: ignore[arg-type]  # a table of fields

    same = Look({"eu": say(), "us": say(links={"eu": True})})
    assert (same.agreed, same.all_linked, same.have({"a": 1})) == (True, True, True)
    assert not Look({"eu": say(), "us": say(digest="e")}).agreed
    assert not Look({"eu": say(digest=""), "us": say(digest="")}).agreed
    behind = Look({"eu": say(), "us": say(vector={"a": 0})})
    assert (behind.agreed, behind.have({"a": 1}), behind.everything) == (False, False, {"a": 1})
    assert not Look({"eu": say(), "us": say(links={"eu": False})}).all_linked
