"""Disks that were rolled back or cloned: whoever meets such a node finds out, and it stops."""

from __future__ import annotations

import pytest

from tallystick.core.errors import Refused
from tallystick.core.members import node_name
from tallystick.core.replica.commands import ReceiveStock
from tallystick_sim.calls import Wishes
from tallystick_sim.cluster import Cluster
from tallystick_sim.node import Node
from tests.node.workload import sale

ALONE = Wishes(tokens=False)


def founded(seed: int) -> Cluster:
    cluster = Cluster(seed, swapped=bool(seed % 2))
    cluster.grow(3)
    for node in cluster.nodes:
        cluster.do(node.name, ReceiveStock(f"r-{node.name}", node_name(node.replica), (("tea", "", 100),)))
    cluster.run_until_quiet()
    return cluster


def reasons(node: Node) -> set[tuple[str, int]]:
    return {(alarm.reason, alarm.replica) for alarm in node.alarms}


def sell(cluster: Cluster, name: int, kind: str, count: int, *, together: bool = False) -> None:
    """Orders at one node: each in a frame of its own, or all in one."""
    orders = [sale(f"{kind}-{number}", 1) for number in range(count)]
    for asked in [orders] if together else [[order] for order in orders]:
        cluster.do(name, *asked, wishes=ALONE)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("again", [0, 1, 3, 5], ids=lambda count: f"{count} written again")
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one frame"])
def test_a_disk_that_was_rolled_back_stops_its_node(seed, again, together):
    """It lost three events. What it wrote again meanwhile may be fewer than those, as many, or more, cut into
    frames at other places: numbers alone would not tell."""
    cluster = founded(seed)
    node = cluster.nodes[1]
    copy = node.backend.clone()
    sell(cluster, 1, "lost", 3)
    cluster.run_until_quiet()
    cluster.network.part({1}, {0, 2})
    cluster.restore(node, copy)
    sell(cluster, 1, "again", again, together=together)
    cluster.network.heal()
    cluster.world.run(8_000)
    assert ("OWN_CHAIN_LOST", node.replica) in reasons(node)
    refused = cluster.do(1, sale("more", 1), wishes=ALONE).results[0]
    assert isinstance(refused, Refused)
    assert refused.reason == "OWN_CHAIN_LOST"
    for name in (0, 2):
        cluster.do(name, sale(f"after-{name}", 1))
        assert cluster.nodes[name].driver.vector[node.replica].seq == 5
    cluster.world.run(2_000)
    assert cluster.nodes[0].driver.vector == cluster.nodes[2].driver.vector


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("writes", [(1, 1), (3, 1), (1, 3)])
def test_of_two_clones_one_stops_at_least_and_others_say_so(seed, writes):
    """Both know the same chain, and each goes on with it at another peer."""
    cluster = founded(seed)
    node = cluster.nodes[1]
    twin = Node(cluster.world, cluster.network, 9, node.replica, node.region, node.find, node.backend.clone())
    cluster.network.part({1}, {2, 9})
    cluster.network.part({9}, {0})
    twin.start()
    cluster.nodes.append(twin)
    cluster.world.run(3_000)
    sell(cluster, 1, "first", writes[0])
    sell(cluster, 3, "second", writes[1])
    cluster.world.run(3_000)
    cluster.network.heal()
    cluster.world.run(12_000)
    lost = [each for each in (node, twin) if ("OWN_CHAIN_LOST", node.replica) in reasons(each)]
    assert lost
    cluster.world.run(2_000)
    others = [cluster.nodes[0], cluster.nodes[2]]
    heads = {other.driver.vector[node.replica] for other in others}
    assert len(heads) == 1 or any(("FORK", node.replica) in reasons(other) for other in others)


def test_what_is_on_another_branch_is_no_copy():
    """A peer has as many events of this node as it wrote, but others: that is not `replicated`."""
    cluster = founded(0)
    node = cluster.nodes[1]
    copy = node.backend.clone()
    sell(cluster, 1, "lost", 3)
    cluster.run_until_quiet()
    cluster.network.part({1}, {0, 2})
    cluster.restore(node, copy)
    sell(cluster, 1, "again", 1)
    waits = node.ask(sale("waits", 1), wishes=Wishes(20_000.0, 1))
    sell(cluster, 1, "more", 6)
    cluster.network.heal()
    cluster.world.run(25_000)
    assert waits.receipts[0].replicated_to == 0
