"""Tokens that are asked for: nobody is refused what is there, nobody waits for ever, and it comes to rest."""

from __future__ import annotations

import pytest

from tallystick.core.errors import InsufficientStock
from tallystick.core.members import node_name
from tallystick.core.order.facts import Body, Line
from tallystick.core.replica.commands import PlaceOrder, ReceiveStock
from tallystick.core.replica.outcome import Outcome
from tallystick_sim.calls import Call, Wishes
from tallystick_sim.cluster import Cluster
from tallystick_sim.network import CALM, Weather
from tests.node.workload import sale
from tests.replication_sim.watching import SKUS, Watching

LOSSY = Weather(delay_ms=(1.0, 40.0), lost=0.15, doubled=0.3, overtaken=0.2)


def stocked(seed: int, nodes: int, *stock: dict[str, int]) -> tuple[Cluster, Watching]:
    """A cluster with so much of each item at each node."""
    watching = Watching()
    cluster = Cluster(seed, observer=watching, swapped=bool(seed % 2))
    watching.nodes = cluster.nodes
    cluster.grow(nodes)
    for node, items in zip(cluster.nodes, stock, strict=False):
        goods = tuple((sku, "", units) for sku, units in items.items())
        cluster.do(node.name, ReceiveStock(f"r-{node.name}", node_name(node.replica), goods))
    cluster.run_until_quiet()
    return cluster, watching


def order(name: str, **units: int) -> PlaceOrder:
    lines = tuple(Line(sku, sku, count, amount=1) for sku, count in units.items())
    return PlaceOrder(name, Body("EUR", lines))


def served(calls: list[Call]) -> int:
    return sum(isinstance(result, Outcome) for call in calls for result in call.results.values())


def refused_in_vain(calls: list[Call], watching: Watching) -> int:
    """Orders that were refused though in the end there is as much as they asked for: nothing was freed, so it
    was there all along."""
    commands = [call.asked[0] for call in calls if isinstance(call.results.get(0), InsufficientStock)]
    return sum(
        all(watching.available(line.sku) >= line.quantity for line in command.body.lines)
        for command in commands
        if isinstance(command, PlaceOrder)
    )


@pytest.mark.parametrize("seed", range(6))
def test_one_by_one_all_that_is_there_is_sold(seed):
    cluster, watching = stocked(seed, 2 + seed % 4, {"tea": 40}, {"tea": 7, "milk": 3})
    random = cluster.world.random
    for number in range(40):
        units = random.randint(1, 9)
        before = watching.available("tea")
        call = cluster.do(random.randrange(len(cluster.nodes)), sale(f"o-{number}", units))
        assert isinstance(call.results[0], Outcome) == (before >= units)
        cluster.world.run(random.choice((0, 5, 400)))
        cluster.run_until_quiet()
    assert watching.available("tea") < 9


@pytest.mark.parametrize("seed", range(8))
def test_all_at_once_nobody_is_refused_what_stays_there(seed):
    cluster, watching = stocked(seed, 2 + seed % 4, *[dict.fromkeys(SKUS, 12)] * 5)
    random, calls = cluster.world.random, []
    for number in range(60):
        node = random.choice(cluster.nodes)
        units = {sku: random.randint(1, 5) for sku in random.sample(SKUS, random.randint(1, 3))}
        calls.append(node.ask(order(f"o-{number}", **units)))
        cluster.world.run(random.choice((0, 0, 1, 3, 30)))
    cluster.run_until_quiet()
    assert all(call.done for call in calls)
    assert refused_in_vain(calls, watching) == 0


@pytest.mark.parametrize("seed", range(4))
def test_two_that_each_need_the_others(seed):
    """Each has half: one is served, and not none; nobody waits for the deadline."""
    cluster, _ = stocked(seed, 2, {"tea": 5}, {"tea": 5})
    calls = [node.ask(sale(f"o-{node.name}", 8), wishes=Wishes(60_000.0)) for node in cluster.nodes]
    assert cluster.world.run_until(lambda: all(call.done for call in calls), 5_000)
    assert served(calls) == 1


@pytest.mark.parametrize("seed", range(4))
def test_two_that_hold_what_the_other_lacks(seed):
    """One has the tea, the other the milk, and both want both: there is enough for one."""
    cluster, _ = stocked(seed, 2, {"tea": 5}, {"milk": 5})
    wishes = Wishes(60_000.0)
    calls = [node.ask(order(f"o-{node.name}", tea=5, milk=5), wishes=wishes) for node in cluster.nodes]
    assert cluster.world.run_until(lambda: all(call.done for call in calls), 5_000)
    assert served(calls) <= 1
    retried = [node.ask(order(f"again-{node.name}", tea=5, milk=5), wishes=wishes) for node in cluster.nodes]
    cluster.run_until_quiet()
    assert served(calls) + served(retried) == 1


def test_an_order_that_waits_for_a_third_keeps_nothing_from_others():
    """It remembers tea that stood still: orders that waited in vain for milk kept it from others."""
    cluster, _ = stocked(0, 3, {"tea": 5}, {}, {"milk": 5})
    first, second, third = sorted(cluster.nodes, key=lambda node: node.replica)
    assert (first, second, third) == (*cluster.nodes,)
    third.freeze(10_000)
    waiting = first.ask(order("waits", tea=5, milk=5), wishes=Wishes(60_000.0))
    cluster.world.run(20)
    call = second.ask(order("o", tea=5), wishes=Wishes(60_000.0))
    assert cluster.world.run_until(lambda: call.done, 500)
    assert served([call]) == 1
    assert cluster.world.run_until(lambda: waiting.done, 5_000)
    assert served([waiting]) == 0


def test_an_item_that_comes_first_leaves_the_wish_for_the_other():
    """Two items of two nodes, one of them far away: the order was refused when the near one came."""
    cluster, _ = stocked(0, 3, {}, {"tea": 5}, {"milk": 5})
    cluster.nodes[2].freeze(300)
    call = cluster.do(0, order("o", tea=5, milk=5))
    assert call.outcome.record.claims


@pytest.mark.parametrize("seed", range(6))
def test_what_is_lost_or_doubled_costs_time_and_no_units(seed):
    """Refusals in vain are allowed now, within reason; when the weather is calm again, they end."""
    cluster, watching = stocked(seed, 3, {"tea": 60}, {"tea": 20})
    cluster.network.weather = LOSSY
    calls = []
    for number in range(25):
        calls.append(cluster.world.random.choice(cluster.nodes).ask(sale(f"o-{number}", 3)))
        cluster.world.run(cluster.world.random.choice((0, 20, 300)))
    cluster.world.run(8_000)
    assert all(call.done for call in calls)
    assert refused_in_vain(calls, watching) <= 8
    cluster.network.weather = CALM
    cluster.run_until_quiet()
    cluster.world.run(500)
    for call in calls:
        if isinstance(call.results[0], InsufficientStock):
            assert cluster.do(call.node, *call.asked).outcome
    assert watching.available("tea") == 5


@pytest.mark.parametrize("seed", range(3))
def test_at_rest_nothing_is_said_but_that_one_is_there(seed):
    cluster, _ = stocked(seed, 4, *[{"tea": 3}] * 4)
    calls = [node.ask(sale(f"o-{node.name}", 5)) for node in cluster.nodes]
    cluster.run_until_quiet()
    assert served(calls) == 2
    cluster.world.run(3_000)
    cluster.network.sent.clear()
    vectors = [node.driver.vector for node in cluster.nodes]
    cluster.world.run(20_000)
    assert set(cluster.network.sent) <= {"Ack", "Digest"}
    assert cluster.network.sent["Ack"] <= 4 * 3 * 21
    assert [node.driver.vector for node in cluster.nodes] == vectors
