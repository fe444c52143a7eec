"""Wishes for an order of another node: whoever waits hears of the decision as soon as it is here."""

from __future__ import annotations

import pytest

from tallystick.core.order.facts import Body, Line
from tallystick.core.replica.commands import CancelOrder, PlaceOrder
from tallystick.core.replica.outcome import Outcome
from tallystick_sim.calls import Wishes
from tallystick_sim.cluster import Cluster
from tallystick_sim.network import Weather

LINES, ORDERS = 12, 60


@pytest.mark.parametrize("seed", range(2))
def test_nobody_waits_for_a_decision_that_is_here(seed):
    """It remembers wishes that were looked at again in the very commit that brought their decision: nothing
    more came, and they waited until their time was over. So many decisions come at once that they are
    applied in several commits; each wakes all that wait for its orders."""
    cluster = Cluster(seed, Weather(delay_ms=(1.0, 9.0)), swapped=bool(seed % 2))
    cluster.grow(2)
    lines = tuple(Line(str(number), "post", 1, amount=1, untracked=True) for number in range(LINES))
    for number in range(ORDERS):
        cluster.do(0, PlaceOrder(f"o-{number}", Body("EUR", lines)))
    cluster.run_until_quiet()
    calls = []
    for line in lines:
        for number in range(ORDERS):
            wish = CancelOrder(f"o-{number}", f"r-{line.line_id}", ((line.line_id, 1),))
            calls.append(cluster.nodes[1].ask(wish, wishes=Wishes(30_000.0, decision=True)))
    cluster.world.run(12)
    cluster.nodes[1].freeze(500)
    assert cluster.world.run_until(lambda: all(call.done for call in calls), 2_000)
    results = [call.results[0] for call in calls]
    assert not any(isinstance(result, Outcome) and result.recorded for result in results)
