"""Who buys what, where and when, and where the goods lie at first: all of it from one seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tallystick.cli.demo.story import OFFERS, Article, articles_for, order_of
from tallystick.client.values.order import Order

REGIONS = ("eu", "us", "ap", "sa", "af")
ORDERS_PER_S = 60  # in each region
_TASTES = (0.6, 1.0, 1.0, 1.8)  # how much more or less a region wants an article


class Arrival(NamedTuple):
    """A shopper who comes `at` seconds after the doors opened, whatever became of those before."""

    at: float
    order: Order


class RegionalStory(NamedTuple):
    """A sale over several regions that share one stock."""

    articles: tuple[Article, ...]
    arrivals: Mapping[str, tuple[Arrival, ...]]
    """By region, as they come."""
    deliveries: Mapping[str, Mapping[str, int]]
    """By region: units by sku, received before the doors open."""
    cut_off: str
    """The region that will lose all the others."""

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(self.arrivals)

    @property
    def orders(self) -> tuple[Order, ...]:
        return tuple(arrival.order for arrivals in self.arrivals.values() for arrival in arrivals)

    @property
    def sides(self) -> tuple[frozenset[str], frozenset[str]]:
        """Who still reaches whom while the cut lasts."""
        alone = frozenset({self.cut_off})
        return alone, frozenset(self.regions) - alone


def tell_regions(seed: int, count: int, seconds: float) -> RegionalStory:
    """The story of a seed for so many regions and seconds: the same every time."""
    chance = random.Random(seed)
    regions = REGIONS[:count]
    arrivals = {region: _arrivals(chance, seed, region, seconds) for region in regions}
    articles = articles_for(arrival.order for each in arrivals.values() for arrival in each)
    return RegionalStory(articles, arrivals, _deliveries(articles, regions), chance.choice(regions))


def _arrivals(chance: random.Random, seed: int, region: str, seconds: float) -> tuple[Arrival, ...]:
    """Shoppers come independently of each other: evenly at random over the time."""
    taste = {offer.sku: chance.choice(_TASTES) for offer in OFFERS}
    moments = sorted(chance.uniform(0, seconds) for _ in range(max(1, round(ORDERS_PER_S * seconds))))
    return tuple(
        Arrival(at, order_of(chance, f"demo-{seed}-{region}-{number:06}", taste))
        for number, at in enumerate(moments, 1)
    )


def _deliveries(articles: Sequence[Article], regions: Sequence[str]) -> dict[str, dict[str, int]]:
    """Each article split evenly; what does not divide goes to another region each time."""
    deliveries: dict[str, dict[str, int]] = {region: {} for region in regions}
    for number, article in enumerate(articles):
        share, rest = divmod(article.stock, len(regions))
        for place, region in enumerate(regions):
            units = share + ((place - number) % len(regions) < rest)
            if units:
                deliveries[region][article.sku] = units
    return deliveries
