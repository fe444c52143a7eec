"""Nodes prove to each other that they hold the same: their sums are those of their stores, and of each other;
what somebody changed behind the back of one of them is found, and named at both."""

from __future__ import annotations

import pytest

from tallystick.core.frame import decode_frame
from tallystick.core.members import node_name
from tallystick.core.replica.commands import ReceiveStock
from tallystick.node.surveying import Verdict
from tallystick.store.port import Table
from tallystick.store.record import pack, unpack
from tallystick_sim.cluster import QUIET_MS, Cluster
from tallystick_sim.network import Weather
from tallystick_sim.node import Node
from tests.kit.sums import filled, held_in, touched_by
from tests.node.checking import tables_of
from tests.node.workload import hold, sale
from tests.replication_sim.shopping import Shoppers
from tests.replication_sim.test_stories import live

SLOW = Weather(delay_ms=(1.0, 40.0))


def until_counted(cluster: Cluster) -> None:
    """Wait until every node has all in its sums."""
    assert cluster.world.run_until(
        lambda: all(node.driver.peering.proof.counted for node in cluster.nodes), QUIET_MS
    ), "somebody counts for ever"


def check_sums(cluster: Cluster) -> None:
    """Each node's sums are those of its store, and what touched them is the whole history, whoever joined."""
    until_counted(cluster)
    founder = tables_of(cluster.nodes[0].driver.store)
    history = touched_by(decode_frame(data) for data in founder[Table.FRAMES].values())
    held = held_in(founder)
    for node in cluster.nodes:
        proof = node.driver.peering.proof
        kept = proof.kept()
        assert kept is not None
        assert filled(kept.exact()) == held == held_in(tables_of(node.driver.store)), node.name
        assert filled(proof.digests.touched) == history, node.name
        assert proof.findings == {}


def begin(node: Node) -> list[Verdict]:
    """Somebody wants all verified; what comes of it will be in the list."""
    verdicts: list[Verdict] = []
    node.driver.peering.verifier.ask(verdicts.append)
    return verdicts


def verify(cluster: Cluster, node: Node) -> Verdict:
    verdicts = begin(node)
    assert cluster.world.run_until(lambda: bool(verdicts), QUIET_MS), "the verification never ends"
    return verdicts[0]


def shop(seed: int, count: int = 2) -> Cluster:
    """A cluster at rest, with some trade behind it."""
    cluster = Cluster(seed, swapped=bool(seed % 2))
    cluster.grow(count)
    for node in cluster.nodes:
        items = (("tea", "", 50), ("milk", "shelf", 50))
        cluster.do(node.name, ReceiveStock(f"r-{node.name}", node_name(node.replica), items))
        for number in range(10):
            cluster.do(node.name, sale(f"o-{node.name}-{number}", 1))
    cluster.run_until_quiet()
    until_counted(cluster)
    return cluster


def change(cluster: Cluster, node: Node, table: Table, key: bytes, payload: bytes | None) -> None:
    """Write to a node's disk behind its back, with a right checksum, while it is down."""
    node.crash()
    node.backend.commit({table: {key: None if payload is None else pack(table, key, payload)}})
    node.start()
    cluster.settle()
    until_counted(cluster)


def stored(node: Node, table: Table, key: bytes) -> bytes:
    value = node.backend.get(table, key)
    assert value is not None
    return unpack(table, key, value)


def stored_stock(node: Node) -> bytes:
    """An item as it is once the checkpoints are written, with another number in it."""
    node.driver.stop()
    payload = stored(node, Table.STOCK, b"milk\0shelf")
    return payload[:-1] + bytes([payload[-1] ^ 1])


@pytest.mark.parametrize("seed", range(4))
def test_after_any_story_the_sums_are_those_of_the_stores(seed):
    """Crashes around commits, cuts, loss, snapshots, documents: nothing is counted twice, or not at all."""
    cluster, _ = live(seed)
    check_sums(cluster)
    verdict = verify(cluster, cluster.nodes[-1])
    assert verdict.differences == ()
    assert (len(verdict.compared), verdict.unreachable, verdict.in_motion) == (len(cluster.nodes) - 1, (), 0)


def test_rivals_are_counted_alike():
    cluster = shop(1)
    cluster.network.part({0}, {1})
    for name in (0, 1):
        cluster.do(name, hold("twin", 2))
    cluster.network.heal()
    cluster.settle()
    cluster.run_until_quiet()
    check_sums(cluster)


def test_a_node_that_joined_by_a_snapshot_is_proven_too():
    """What touched the buckets before it came it can't count: it is told."""
    cluster = shop(2)
    (late,) = cluster.join()
    cluster.settle()
    cluster.run_until_quiet()
    check_sums(cluster)
    cluster.crash(late, 100.0)
    cluster.world.run(200.0)
    cluster.settle()
    cluster.do(late.name, ReceiveStock("r-late", node_name(late.replica), (("tea", "", 1),)))
    cluster.run_until_quiet()
    check_sums(cluster)


@pytest.mark.parametrize("seed", range(3))
def test_all_peers_come_to_agree(seed):
    """With two links each peer was told of half of the buckets alone."""
    cluster = shop(seed, count=3)
    for node in cluster.nodes:
        node.driver.peering.proof.agreed_ms.clear()
    cluster.world.run(3_000)
    for node in cluster.nodes:
        others = {other.replica for other in cluster.nodes if other is not node}
        assert node.driver.peering.proof.agreed_ms.keys() == others


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    ("table", "key", "record"),
    [
        (Table.ORDERS, b"o-0-3", "o-0-3"),
        (Table.STOCK, b"milk\0shelf", "milk@shelf"),
        (Table.RECEIPTS, b"r-1", "r-1"),
    ],
)
def test_what_was_changed_behind_one_s_back_is_found_and_named_at_both(count, table, key, record):
    cluster = shop(3, count)
    node, other = cluster.nodes[1], cluster.nodes[0]
    node.driver.stop()
    payload = stored(node, table, key)
    flipped = payload[:-1] + bytes([payload[-1] ^ 1])
    change(cluster, node, table, key, flipped)
    found = cluster.world.run_until(lambda: bool(other.driver.peering.proof.findings), QUIET_MS)
    assert found, "no round of gossip found it"
    for here, there in ((node, other), (other, node)):
        verdict = verify(cluster, here)
        named = [each for each in verdict.differences if each.peer == there.replica]
        assert [(each.table, each.record) for each in named] == [(table.value, record)]
        assert "other contents" in named[0].problem
    alarms = [alarm for alarm in other.alarms if alarm.replica == node.replica]
    assert {alarm.reason for alarm in alarms} == {"DIVERGENCE"}
    assert cluster.world.run_until(
        lambda: any(record in alarm.message for alarm in other.alarms), QUIET_MS
    ), "gossip did not name it by itself"


def test_what_is_missing_is_named_at_both():
    cluster = shop(4)
    node, other = cluster.nodes
    change(cluster, node, Table.ORDERS, b"o-0-3", None)
    (here,), (there,) = verify(cluster, node).differences, verify(cluster, other).differences
    assert (here.record, there.record) == ("o-0-3", "o-0-3")
    assert "missing here" in here.problem
    assert "has it not" in there.problem


def test_a_rotten_record_is_named_at_both():
    cluster = shop(5)
    node, other = cluster.nodes
    node.crash()
    node.backend.rot(Table.ORDERS, b"o-0-3", bit=100)
    node.start()
    cluster.settle()
    until_counted(cluster)
    problems = {each.record: each.problem for each in verify(cluster, node).differences}
    assert "checksum" in problems["o-0-3"]
    (found,) = verify(cluster, other).differences
    assert (found.record, found.problem) == (
        "o-0-3",
        f"it does not fit its checksum at node {node_name(node.replica)}",
    )


def test_what_gossip_finds_is_named_once_and_not_for_ever():
    cluster = shop(6)
    node, other = cluster.nodes
    change(cluster, node, Table.ORDERS, b"o-0-3", None)
    cluster.world.run(300_000)
    named = [alarm for alarm in other.alarms if "o-0-3" in alarm.message]
    assert len(named) == 1
    assert len(other.alarms) == 2
    assert len(other.driver.peering.proof.findings) == 1


def test_a_peer_that_is_away_is_listed_as_such():
    cluster = shop(7, count=3)
    gone = cluster.nodes[2]
    gone.crash()
    cluster.world.run(10_000)
    verdict = verify(cluster, cluster.nodes[0])
    assert verdict.unreachable == (gone.replica,)
    assert verdict.compared == (cluster.nodes[1].replica,)
    assert verdict.differences == ()


def test_a_peer_that_dies_meanwhile_is_given_up():
    cluster = shop(8)
    gone = cluster.nodes[1]
    verdicts = begin(cluster.nodes[0])
    cluster.world.run(6.0)
    gone.freeze(200_000)
    cluster.world.run(150_000)
    assert [verdict.unreachable for verdict in verdicts] == [(gone.replica,)]


@pytest.mark.parametrize("seed", range(2))
def test_under_load_equal_nodes_are_never_told_apart(seed):
    """Buckets are in motion all the time, and messages are lost."""
    cluster = shop(seed, count=3)
    cluster.network.weather = Weather(delay_ms=(1.0, 40.0), lost=0.05, doubled=0.1, overtaken=0.1)
    shoppers = Shoppers(cluster)
    verdicts = [begin(node) for node in cluster.nodes]
    for _ in range(400):
        shoppers.act()
        cluster.world.run(25)
    cluster.heal()
    cluster.run_until_quiet()
    assert cluster.world.run_until(lambda: all(verdicts), QUIET_MS * 2)
    for (verdict,) in verdicts:
        assert verdict.differences == ()
    check_sums(cluster)


def test_under_load_what_differs_is_named_all_the_same():
    cluster = shop(9)
    node = cluster.nodes[1]
    change(cluster, node, Table.ORDERS, b"o-0-3", stored(node, Table.ORDERS, b"o-0-4"))
    cluster.network.weather = SLOW
    shoppers = Shoppers(cluster)
    verdicts = begin(cluster.nodes[0])
    for _ in range(400):
        if verdicts:
            break
        shoppers.act()
        cluster.world.run(10)
    assert cluster.world.run_until(lambda: bool(verdicts), QUIET_MS)
    assert [each.record for each in verdicts[0].differences] == ["o-0-3"]


@pytest.mark.parametrize(("looked", "named"), [(64, 20), (5, 5)])
def test_of_many_differences_some_are_named(monkeypatch, looked, named):
    """More than one look takes in are looked at one after another; a disk full of them is a number."""
    monkeypatch.setattr("tallystick.node.comparing.LOOKED_MAX", looked)
    cluster = shop(10)
    node = cluster.nodes[1]
    gone = [f"o-{name}-{number}" for name in (0, 1) for number in range(10)]
    node.crash()
    node.backend.commit({Table.ORDERS: {order_id.encode(): None for order_id in gone}})
    node.start()
    cluster.settle()
    until_counted(cluster)
    found = {each.record for each in verify(cluster, cluster.nodes[0]).differences}
    assert len(found & {*gone}) == named
    assert found - {*gone} == ({f"{20 - named} more buckets"} if named < 20 else set())


def test_what_an_answer_has_no_room_for_is_not_taken_for_missing(monkeypatch):
    monkeypatch.setattr("tallystick.node.surveying.RECORDS_MAX", 1)
    cluster = shop(11)
    node = cluster.nodes[1]
    change(cluster, node, Table.STOCK, b"milk\0shelf", stored_stock(node))
    for each in verify(cluster, cluster.nodes[0]).differences:
        assert each.record == "milk@shelf" or each.record.startswith("bucket ")
        assert "missing" not in each.problem
