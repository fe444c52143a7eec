"""Rebalancing: what the policies want, what a node sends, and that many nodes together come to rest."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tallystick.core.stock import moves
from tallystick.core.stock.demand import HALF_LIFE_MS, DemandMeter, Told
from tallystick.core.stock.owing import settled
from tallystick.core.stock.rebalance import (
    AHEAD,
    DEAD_ZONE_PERCENT,
    FEW_EACH,
    FEW_LEFT,
    POLICIES,
    Situation,
    demand,
    even,
    grant,
    holdings,
    rates_now,
    share,
    transfers,
    weighted,
)
from tallystick.core.stock.rights import EMPTY_STOCK, Row, Stock, join_stock, rights, totals
from tests.kit.effort import effort

members = st.integers(1, 5)
units_by = st.dictionaries(members, st.integers(-20, 400), min_size=2)
weights_by = st.dictionaries(members, st.integers(0, 9))
rates_by = st.dictionaries(members, st.sampled_from([0.0, 0.001, 0.1, 1.0, 30.0]))
policies = st.sampled_from(sorted(POLICIES))
X = b"x\0"


# ------------------------------------------------------------------------------------------------- the parts


@given(units=st.integers(0, 10_000), weights=st.dictionaries(members, st.integers(0, 1_000)))
def test_shares_add_up_and_are_within_one_of_exact(units, weights):
    shares, total = share(units, weights), sum(weights.values())
    assert sum(shares.values()) == (units if total else 0)
    assert all(abs(count * total - units * weights[member]) < total for member, count in shares.items())


def test_equal_remainders_go_to_the_lower_id():
    assert share(5, {3: 1, 2: 1, 1: 1}) == {1: 2, 2: 2, 3: 1}
    assert share(1, {9: 1, 4: 1}) == {4: 1, 9: 0}
    assert share(3, {}) == share(3, {1: 0}) == {}


@pytest.mark.parametrize(
    ("asked", "spare", "given_units"),
    [
        (1, 100, 16),  # ahead, but not half of the warehouse
        (5, 20, 5 + 15 // 2),  # half of what is left
        (5, 5 + FEW_LEFT, 5),  # the last few: exactly
        (5, 3, 3),
        (5, 0, 0),
        (0, 50, 0),
        (-4, 50, 0),
        (4, -2, 0),
    ],
)
def test_a_grant(asked, spare, given_units):
    assert grant(asked, spare) == given_units


@given(asked=st.integers(-5, 1_000), spare=st.integers(-5, 1_000))
def test_a_grant_never_gives_what_is_not_there(asked, spare):
    units = grant(asked, spare)
    assert max(0, min(asked, spare)) <= units <= max(0, spare)
    assert units <= max(0, asked) * AHEAD


def test_holdings_are_rights_less_debts():
    stock = Stock(((1, Row(received=9, taken=9, owed=4, settled=1)), (2, Row(received=5, moved=((1, 2),)))))
    assert holdings(stock, (1, 2, 3)) == {1: -1, 2: 3, 3: 0}


def test_the_policies_weigh():
    seen = Situation(1, {1: 50, 2: 50, 3: 0}, {1: 3.0, 2: 1.0, 9: 70.0}, {1: 2, 3: 4, 9: 7})
    assert even(seen) == {1: 1, 2: 1, 3: 1}
    assert weighted(seen) == {1: 2, 2: 0, 3: 4}
    asked = demand(seen)
    assert share(1_000, asked) == {1: 730, 2: 254, 3: 16}, "each keeps a little for its first customer"
    assert demand(Situation(1, seen.units)) == {}, "nobody asks, nothing to go by"


def test_demand_makes_all_run_dry_together():
    rates = {1: 0.4, 2: 1.6, 3: 2.0}
    shares = share(10_000, demand(Situation(1, dict.fromkeys(rates, 0), rates)))
    runways = [shares[member] / rate for member, rate in rates.items()]
    assert max(runways) / min(runways) < 1.2


def test_rates_are_brought_to_one_time():
    old = 1 << 40
    told = {2: Told(4.0, 0, old), 3: Told(4.0, HALF_LIFE_MS, old), 4: Told(0.0, 0, old)}
    assert rates_now(1, 1.5, told, 2 * HALF_LIFE_MS) == {1: 1.5, 2: 1.0, 3: 2.0, 4: 0.0}


def sent(policy: str, units: dict[int, int], **more: dict[int, float]) -> dict[int, object]:
    """What each member sends, all of them seeing the same."""
    return {me: plan for me in units if (plan := transfers(POLICIES[policy], Situation(me, units, **more)))}  # type: ignore[arg-type]


def test_half_of_what_is_too_much_goes_where_most_is_missing():
    assert sent("even", {1: 90, 2: 0, 3: 0}) == {1: ((2, 15), (3, 15))}
    assert sent("even", {1: 100, 2: 100, 3: 10}) == {1: ((3, 15),), 2: ((3, 15),)}
    assert sent("weighted", {1: 90, 2: 10}, weights={1: 1, 2: 9}) == {1: ((2, 40),)}
    assert sent("demand", {1: 90, 2: 10}, rates={2: 1.0}) == {1: ((2, 44),)}


def test_what_is_hardly_off_stays():
    zone = 1_000 * DEAD_ZONE_PERCENT // 100
    assert sent("even", {1: 500 + zone - 1, 2: 501 - zone}) == {}
    assert sent("even", {1: 500 + zone, 2: 500 - zone}) == {1: ((2, zone),)}
    assert sent("even", {1: 10, 2: 9}) == {}
    assert sent("weighted", {1: 90, 2: 10}) == {}, "no weights, no wish"


def test_the_last_few_gather_where_demand_is():
    few = {1: 2, 2: 1, 3: FEW_EACH * 3 - 3}
    assert sent("even", few, rates={2: 1.0}) == {1: ((2, 1),), 3: ((2, 2),)}
    assert sent("demand", few, rates={2: 1.0, 3: 0.5}) == {1: ((2, 1),)}, "3 needs its own"
    assert sent("even", few) == {}, "nobody asks: they stay"


def test_who_owes_is_paid_first():
    assert sent("even", {1: -3, 2: 2, 3: 40}) == {3: ((1, 3),)}
    assert sent("demand", {1: -3, 2: 2, 3: 1}) == {2: ((1, 2),), 3: ((1, 1),)}


@given(units=units_by, weights=weights_by, rates=rates_by, policy=policies)
def test_nobody_sends_what_it_has_not(units, weights, rates, policy):
    for me in units:
        plan = transfers(POLICIES[policy], Situation(me, units, rates, weights))
        assert all(to != me and to in units and count > 0 for to, count in plan)
        assert sum(count for _, count in plan) <= max(0, units[me])


@given(units=units_by, weights=weights_by, rates=rates_by, policy=policies)
def test_nobody_sends_below_its_share(units, weights, rates, policy):
    """The proof that it comes to rest begins here."""
    assume(min(units.values()) >= 0 and sum(units.values()) > FEW_EACH * len(units))
    for me in units:
        seen = Situation(me, units, rates, weights)
        shares = share(sum(units.values()), POLICIES[policy](seen))
        for to, _ in transfers(POLICIES[policy], seen):
            assert units[to] < shares[to]
        gone = sum(count for _, count in transfers(POLICIES[policy], seen))
        assert gone <= max(0, units[me] - shares.get(me, units[me]))


# ---------------------------------------------------------------------------------------------- many together


@dataclass
class Region:
    """One replica: its rows, what it measured, and what it heard of the others' rates."""

    me: int
    stock: Stock = EMPTY_STOCK
    meter: DemandMeter = field(default_factory=DemandMeter)
    told: dict[int, Told] = field(default_factory=dict)
    past: list[Stock] = field(default_factory=list)

    def sell(self, units: int, now: int) -> None:
        self.meter.note(X, units, now)
        units = min(units, rights(self.stock, self.me))
        row = moves.hold_and_sell(self.stock.row(self.me), units)
        self.stock = self.stock.with_row(self.me, row)

    def lose(self, units: int) -> None:
        row = moves.shrink(self.stock.row(self.me), units, rights(self.stock, self.me))
        self.stock = self.stock.with_row(self.me, row)

    def act(self, policy: str, weights: dict[int, int], count: int, now: int) -> int:
        """One round of the rebalancer; answers how many transfers it made."""
        rates = rates_now(self.me, self.meter.rate(X, now), self.told, now)
        held = holdings(self.stock, range(1, count + 1))
        plan = transfers(POLICIES[policy], Situation(self.me, held, rates, weights))
        for to, units in plan:
            assert units <= rights(self.stock, self.me)
            row = moves.move(self.stock.row(self.me), to, units)
            self.stock = self.stock.with_row(self.me, row)
        return len(plan)


class World:
    """Regions that hear of each other late; a round is `seconds` long."""

    def __init__(self, units: list[int], policy: str, weights: dict[int, int], seconds: int) -> None:
        self.regions = {me: Region(me) for me in range(1, len(units) + 1)}
        self.policy, self.weights, self.seconds, self.now = policy, weights, seconds, 0
        for region, count in zip(self.regions.values(), units, strict=True):
            region.stock = EMPTY_STOCK.with_row(region.me, Row(received=count))

    def round(self, lags: dict[tuple[int, int], int], untold: Container[tuple[int, int]] = ()) -> int:
        """Everybody hears everybody, as it was some rounds ago, but for the rates that are `untold` (to whom,
        whose), and acts; answers the transfers made."""
        self.now += self.seconds * 1000
        regions = self.regions.values()
        for region in regions:
            region.past.append(region.stock)
        for region in regions:
            for peer in regions:
                lag = lags.get((region.me, peer.me), 0)
                if peer is not region and lag < len(peer.past):
                    region.stock = settled(join_stock(region.stock, peer.past[-1 - lag]), region.me)
                    at = self.now - lag * self.seconds * 1000
                    if (region.me, peer.me) not in untold:
                        region.told[peer.me] = Told(peer.meter.rate(X, at), at, peer.meter.age_ms(at))
        made = sum(region.act(self.policy, self.weights, len(regions), self.now) for region in regions)
        self.check()
        return made

    def everything(self) -> Stock:
        stock = EMPTY_STOCK
        for region in self.regions.values():
            stock = join_stock(stock, region.stock)
        return stock

    def check(self) -> None:
        stock = self.everything()
        held = [rights(stock, me) for me in self.regions]
        assert min(held) >= 0
        assert all(rights(r.stock, me) >= 0 for r in self.regions.values() for me in self.regions)
        told = totals(stock)
        assert sum(held) == told.received - told.burned - told.sold


lag_tables = st.dictionaries(st.tuples(members, members), st.integers(0, 4))
stories = st.lists(
    st.lists(st.tuples(st.sampled_from("sssl"), members, st.integers(1, 40)), max_size=4), max_size=12
)
"""What happens in each round: (sell or lose, where, units)."""


@pytest.mark.parametrize("policy", sorted(POLICIES))
@effort(60)
@given(
    units=st.lists(st.one_of(st.integers(0, 6), st.integers(0, 300)), min_size=2, max_size=5),
    weights=weights_by,
    story=stories,
    lags=lag_tables,
)
def test_regions_come_to_rest_once_demand_stops(policy, units, weights, story, lags):
    """Views are late and differ, and each sends only its own: still nothing goes to and fro for ever."""
    world = World(units, policy, weights, seconds=30)
    for events in story:
        for kind, me, count in events:
            if me in world.regions:
                region = world.regions[me]
                region.sell(count, world.now) if kind == "s" else region.lose(count)
        world.round(lags)
    quiet, transfers_made, rounds = 0, 0, 0
    while quiet < 8:
        made = world.round(lags)
        quiet = 0 if made else quiet + 1
        transfers_made += made
        rounds += 1
        assert rounds < 60
    count = len(units)
    assert transfers_made <= 4 * count * (count - 1)
    left = {me: rights(world.everything(), me) for me in world.regions}
    total, owed = sum(left.values()), totals(world.everything()).owed
    assert not (total and owed), "what is free pays what is missing"
    if policy != "demand" and total > FEW_EACH * count:
        seen = Situation(1, left, {}, weights)
        shares = share(total, POLICIES[policy](seen))
        zone = max(2, total * DEAD_ZONE_PERCENT // 100)
        off = [left[me] - shares.get(me, left[me]) for me in left]
        assert max(off) < zone or min(off) > -zone


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@effort(60)
@given(
    units=st.lists(st.integers(20, 300), min_size=2, max_size=3),
    story=st.lists(
        st.tuples(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), max_size=3), st.sets(pairs)),
        min_size=1,
        max_size=12,
    ),
    lags=lag_tables,
)
def test_regions_that_hear_little_of_each_other_come_to_rest(units, story, lags):
    """Rates that were told once, early and late, and never again. Each side had told the other its rate when
    it was young, and measured high; it fell faster than the other thought: both sent, ten times a second, and
    a quiet shop of 4,000 items never rested."""
    world = World(units, "demand", {}, seconds=2)
    everything = {(a, b) for a in world.regions for b in world.regions}
    for sales, untold in story:
        for me, count in sales:
            if me in world.regions:
                world.regions[me].sell(count, world.now)
        world.round(lags, untold)
    quiet = rounds = 0
    while quiet < 8:
        quiet = 0 if world.round(lags, everything) else quiet + 1
        rounds += 1
        assert rounds < 100


@pytest.mark.parametrize("count", [2, 3, 5])
def test_stock_follows_demand(count):
    """All sales in one region, all stock in another: the seller never waits long, and stock ends there."""
    world = World([1_000, *[0] * (count - 1)], "demand", {}, seconds=5)
    lags = {(a, b): 2 for a in world.regions for b in world.regions}
    for _ in range(40):
        world.regions[count].sell(5, world.now)
        world.round(lags)
    left = holdings(world.everything(), world.regions)
    assert left[count] > 0.9 * sum(left.values()) > 700
