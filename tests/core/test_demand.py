"""The demand meter: what a rate is, how it fades, and that it never grows beyond its bound."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.stock.demand import HALF_LIFE_MS, ITEMS_MAX, DemandMeter, Told, runway

LONG_AGO = -(1 << 40)
asks = st.lists(st.tuples(st.sampled_from([b"x", b"y", b"z"]), st.integers(1, 50), st.integers(0, 400_000)))


def test_a_steady_rate_is_measured():
    meter = DemandMeter(since_ms=LONG_AGO)
    for second in range(3_600):
        meter.note(b"x", 2, second * 1_000)
    assert meter.rate(b"x", 3_600_000) == pytest.approx(2, rel=0.01)
    assert meter.rate(b"y", 3_600_000) == 0


def test_a_young_meter_measures_the_same_rate_as_an_old_one():
    """A node that was just started once looked forty times less busy than it was."""
    young, old = DemandMeter(), DemandMeter()
    for second in range(3_600):
        old.note(b"x", 2, second * 1_000)
        if second >= 3_570:
            young.note(b"x", 2, second * 1_000)
    assert young.rate(b"x", 3_600_000) == pytest.approx(old.rate(b"x", 3_600_000), rel=0.1)


def test_a_rate_halves_in_a_half_life_and_comes_to_nothing():
    """Rates that only came close to 0 would keep the rebalancer awake for ever."""
    meter = DemandMeter(since_ms=LONG_AGO)
    meter.note(b"x", 8, 0)
    first = meter.rate(b"x", 0)
    assert meter.rate(b"x", HALF_LIFE_MS) == pytest.approx(first / 2)
    assert meter.rate(b"x", 9 * HALF_LIFE_MS) > 0
    assert meter.rate(b"x", 9 * HALF_LIFE_MS + 1_000) == 0


@given(asks=asks, later=st.integers(0, 4_000_000))
def test_the_meter_is_the_weighted_sum_of_all_that_was_asked(asks, later):
    """An independent model: every ask by itself, weighed by its age."""
    meter, now, life_s = DemandMeter(since_ms=LONG_AGO), 0, HALF_LIFE_MS / 1000 / math.log(2)
    noted = []
    for key, units, wait in asks:
        now += wait
        meter.note(key, units, now)
        noted.append((key, units, now))
    for key in (b"x", b"y", b"z"):
        total = sum(units * 2 ** ((at - now - later) / HALF_LIFE_MS) for k, units, at in noted if k == key)
        assert meter.rate(key, now + later) * life_s == pytest.approx(total, abs=0.05)


@given(asks=asks, silence=st.integers(0, 4_000_000), since=st.sampled_from([LONG_AGO, -20_000, 0]))
def test_a_rate_that_was_told_fades_as_the_one_that_was_measured(asks, silence, since):
    """Two replicas that compare rates must see the same order, whose-ever is older, and however young the
    meter was: what a young one measures falls faster than what an old one does."""
    meter, now = DemandMeter(since_ms=since), 0
    for key, units, wait in asks:
        now += wait
        meter.note(key, units, now)
    told = Told(meter.rate(b"x", now), now, meter.age_ms(now))
    assert told.at(now + silence) == pytest.approx(meter.rate(b"x", now + silence), abs=1e-9)


def test_a_clock_that_goes_back_stands_still():
    meter = DemandMeter()
    meter.note(b"x", 1, 1_000_000)
    before = meter.rate(b"x", 1_000_000)
    meter.note(b"x", 1, 0)
    assert meter.rate(b"x", 0) == meter.rate(b"x", 1_000_000) == pytest.approx(2 * before)


def test_the_meter_keeps_the_busiest_and_no_more_than_it_may():
    meter = DemandMeter(items_max=8)
    for number in range(100):
        meter.note(b"busy", 10, number * 1_000)
        meter.note(b"%d" % number, 1, number * 1_000)
        assert len(meter) <= 8
    assert {b"busy", b"99", b"98"} <= set(meter)
    assert meter.rate(b"0", 100_000) == 0
    assert ITEMS_MAX > len(DemandMeter()) == 0


def test_what_is_forgotten_is_told():
    """Peers that remembered it would go by a rate that nobody has any more."""
    meter = DemandMeter(items_max=8)
    known: set[bytes] = set()
    for number in range(100):
        forgotten = meter.note(b"%d" % number, 1, number * 1_000)
        assert known >= {*forgotten} - {b"%d" % number}
        known = (known | {b"%d" % number}) - {*forgotten}
        assert set(meter) == known


def test_runway():
    assert runway(30, 0.5) == 60
    assert runway(30, 0) == math.inf
    assert runway(0, 0) == runway(-1, 2) == 0
