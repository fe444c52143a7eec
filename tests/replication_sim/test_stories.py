"""Clusters that trade while everything goes wrong that may: in the end they agree, and nothing was lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tallystick_sim.cluster import Cluster
from tallystick_sim.network import Weather
from tests.replication_sim.agreeing import check_agreement
from tests.replication_sim.shopping import Shoppers
from tests.replication_sim.watching import Watching

STORM = Weather(delay_ms=(1.0, 60.0), lost=0.1, doubled=0.1, overtaken=0.1)
STEPS = 50
Fault = Callable[[Cluster], None]


def _node(cluster: Cluster):
    return cluster.world.random.choice(cluster.nodes)


def crash_before(cluster: Cluster) -> None:
    node = _node(cluster)
    if node.up:
        cluster.crash(node, cluster.world.random.uniform(50, 2_000), kept=False)


def crash_after(cluster: Cluster) -> None:
    node = _node(cluster)
    if node.up:
        cluster.crash(node, cluster.world.random.uniform(50, 2_000), kept=True)


def crash_now(cluster: Cluster) -> None:
    node = _node(cluster)
    if node.up:
        cluster.crash(node, cluster.world.random.uniform(50, 4_000))


def partition(cluster: Cluster) -> None:
    names = {node.name for node in cluster.nodes}
    left = set(cluster.world.random.sample(sorted(names), cluster.world.random.randint(1, len(names) - 1)))
    cluster.network.part(left, names - left, one_way=cluster.world.random.random() < 0.3)
    cluster.world.after(cluster.world.random.uniform(100, 6_000), cluster.network.heal)


def pause(cluster: Cluster) -> None:
    node = _node(cluster)
    if node.up:
        node.freeze(cluster.world.random.uniform(100, 4_000))


def newcomer(cluster: Cluster) -> None:
    if len(cluster.nodes) < 5:
        cluster.join(seed=cluster.world.random.randrange(len(cluster.nodes)))


FAULTS: tuple[Fault, ...] = (crash_before, crash_after, crash_now, partition, partition, pause, newcomer)


def live(seed: int) -> tuple[Cluster, Shoppers]:
    """One story; answers who lived it."""
    watching = Watching()
    cluster = Cluster(seed, observer=watching, swapped=bool(seed % 2))
    watching.nodes = cluster.nodes
    cluster.grow(2 + seed % 3)
    shoppers = Shoppers(cluster, replicas=1 + seed % 2)
    for node in cluster.nodes:
        shoppers.stock_up(node, 15)
    cluster.network.weather = STORM
    random = cluster.world.random
    for _ in range(STEPS):
        shoppers.act()
        if random.random() < 0.12:
            random.choice(FAULTS)(cluster)
        cluster.world.run(random.choice((0, 1, 10, 100, 500)))
    cluster.world.run(6_000)
    cluster.heal()
    cluster.run_until_quiet()
    shoppers.check_answered()
    return cluster, shoppers


@pytest.mark.parametrize("seed", range(16))
def test_all_agree_in_the_end(seed):
    cluster, shoppers = live(seed)
    shoppers.check(check_agreement(cluster))


def test_a_seed_gives_one_story():
    assert live(3)[0].world.trace == live(3)[0].world.trace != live(4)[0].world.trace
