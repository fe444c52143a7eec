"""The story of a seed over several regions, and when what happens in it."""

from __future__ import annotations

import pytest

from tallystick.cli.demo.regions.story import REGIONS, tell_regions
from tallystick.cli.demo.regions.timeline import Timeline
from tallystick.cli.demo.story import units_of

COUNTS = range(2, len(REGIONS) + 1)


def test_a_seed_tells_one_story():
    assert tell_regions(7, 3, 10) == tell_regions(7, 3, 10)
    assert tell_regions(7, 3, 10) != tell_regions(8, 3, 10)


@pytest.mark.parametrize("count", COUNTS)
def test_what_is_delivered_is_what_is_on_sale(count):
    """To the unit, and no region gets much less than another."""
    story = tell_regions(3, count, 5)
    for article in story.articles:
        shares = [story.deliveries[region].get(article.sku, 0) for region in story.regions]
        assert sum(shares) == article.stock
        assert max(shares) - min(shares) <= 1
    assert sum("PIANO" in goods for goods in story.deliveries.values()) == 1


def test_what_does_not_divide_does_not_always_go_to_the_same():
    deliveries = tell_regions(3, 3, 5).deliveries
    more = {
        max(deliveries, key=lambda region: deliveries[region].get(sku, 0))
        for sku in deliveries["eu"]
        if len({goods.get(sku, 0) for goods in deliveries.values()}) > 1
    }
    assert len(more) > 1


@pytest.mark.parametrize("count", COUNTS)
def test_shoppers_come_in_order_and_in_time(count):
    story = tell_regions(1, count, 5)
    assert len({order.id for order in story.orders}) == len(story.orders)
    for arrivals in story.arrivals.values():
        moments = [arrival.at for arrival in arrivals]
        assert moments == sorted(moments)
        assert moments[0] >= 0
        assert moments[-1] <= 5


def test_regions_have_tastes_of_their_own():
    """Else no token would ever have to travel."""
    story = tell_regions(1, 3, 30)
    asked = [units_of(arrival.order for arrival in each) for each in story.arrivals.values()]
    spread = [max(units[sku] for units in asked) / min(units[sku] for units in asked) for sku in asked[0]]
    assert max(spread) > 1.5


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_has_two_sides_and_every_seed_its_own(seed):
    story = tell_regions(seed, 4, 5)
    alone, others = story.sides
    assert alone == {story.cut_off}
    assert alone | others == set(story.regions)
    assert not alone & others
    assert len({tell_regions(each, 4, 5).cut_off for each in range(20)}) > 1


def test_the_phases_fit_the_time_there_is():
    for seconds in (5.0, 30.0, 600.0):
        timeline = Timeline.lasting(seconds)
        assert 0 < timeline.cut_at < timeline.heal_at < timeline.end_at == seconds
    assert Timeline.lasting(60).heal_at == 2 * Timeline.lasting(30).heal_at
