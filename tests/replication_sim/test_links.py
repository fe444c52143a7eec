"""Stories of links and of nodes that come: each once went wrong, or could."""

from __future__ import annotations

import pytest

from tallystick.core.members import node_name
from tallystick.core.replica.commands import ReceiveStock
from tallystick.core.replication.link import WINDOW_BYTES
from tallystick_sim.calls import Wishes
from tallystick_sim.cluster import Cluster
from tallystick_sim.network import Weather
from tests.node.workload import sale
from tests.replication_sim.agreeing import check_agreement
from tests.replication_sim.watching import Watching

seeds = pytest.mark.parametrize("seed", range(4))


def stocked(seed: int, nodes: int) -> Cluster:
    watching = Watching()
    cluster = Cluster(seed, observer=watching, swapped=bool(seed % 2))
    watching.nodes = cluster.nodes
    cluster.grow(nodes)
    for node in cluster.nodes:
        cluster.do(node.name, ReceiveStock(f"r-{node.name}", node_name(node.replica), (("tea", "", 500),)))
    cluster.run_until_quiet()
    return cluster


@seeds
@pytest.mark.parametrize("one_way", [False, True])
def test_a_third_bridges_a_cut(seed, one_way):
    cluster = stocked(seed, 3)
    cluster.network.part({0}, {1}, one_way=one_way)
    cluster.do(0, sale("o-0", 1))
    cluster.do(1, sale("o-1", 1))
    assert cluster.world.run_until(
        lambda: len({tuple(sorted(node.driver.vector.items())) for node in cluster.nodes}) == 1, 4_000
    )
    assert cluster.network.bitten["cut"]


@seeds
def test_replicas_are_on_other_disks_when_the_answer_leaves(seed):
    """The watcher looks at the disks; here, that it is neither too early nor too late."""
    cluster = stocked(seed, 3)
    call = cluster.do(0, sale("all", 1), wishes=Wishes(5_000.0, 2))
    assert call.receipts[0].replicated_to == 2
    cluster.network.part({0}, {2})
    began = cluster.world.now_ms
    call = cluster.do(0, sale("both", 1), wishes=Wishes(5_000.0, 1))
    assert call.receipts[0].replicated_to == 1
    assert cluster.world.now_ms - began < 200
    cluster.network.part({0, 2}, {1})
    call = cluster.do(0, sale("alone", 1), wishes=Wishes(1_000.0, 2))
    assert call.outcome.record.claims
    assert call.receipts[0].replicated_to < 2


@seeds
def test_a_frozen_peer_costs_its_own_lag(seed):
    cluster = stocked(seed, 3)
    cluster.nodes[2].freeze(4_000)
    big = "x" * 900
    for number in range(30):
        orders = [sale(f"o-{number}-{place}", 1)._replace(actor=big[:100]) for place in range(20)]
        cluster.do(0, *orders)
    links = cluster.nodes[0].driver.peering.replicator.links.values()
    assert max(link.flight_bytes for link in links) <= WINDOW_BYTES
    cluster.world.run(100)
    assert cluster.nodes[1].driver.vector == cluster.nodes[0].driver.vector
    cluster.run_until_quiet()
    check_agreement(cluster)


@seeds
def test_newcomers_join_each_other_while_everything_shakes(seed):
    """Three come at once: one asks the founder, one a newcomer, one is crashed again and again."""
    cluster = stocked(seed, 1)
    cluster.network.weather = Weather(delay_ms=(1.0, 30.0), lost=0.05, doubled=0.1)
    (first,) = cluster.join(seed=0)
    (second,) = cluster.join(seed=1)
    (third,) = cluster.join(seed=0)
    for number in range(10):
        cluster.do(0, sale(f"o-{number}", 1))
        cluster.world.run(60)
        if number % 3 == 0 and third.up:
            cluster.crash(third, 40, kept=None if number else True)
    cluster.heal()
    cluster.run_until_quiet()
    check_agreement(cluster)
    for node in (first, second, third):
        node.crash()
        node.start()
        assert node.settled, "a node that has joined starts as any other"
    cluster.run_until_quiet()
    for node in cluster.nodes:
        assert cluster.do(node.name, sale(f"last-{node.name}", 1)).outcome.record.claims


def test_a_seed_that_dies_half_way_is_followed_by_another():
    cluster = stocked(2, 2)
    for number in range(40):
        cluster.do(1, sale(f"o-{number}", 1))
    cluster.run_until_quiet()
    (node,) = cluster.join(seed=0)
    installer = node.driver.peering.installer
    assert installer is not None
    assert cluster.world.run_until(lambda: bool(installer.rows), 5_000, 1)
    cluster.nodes[0].crash()
    assert cluster.world.run_until(lambda: node.settled, 20_000)
    cluster.nodes[0].start()
    cluster.run_until_quiet()
    check_agreement(cluster)
