"""Nodes in several regions, and what a cut between them does."""

from __future__ import annotations

import pytest

from tallystick import Disposition, Line
from tallystick.cli.cluster_process import own_cluster

pytestmark = pytest.mark.process

SIDES = (frozenset({"eu"}), frozenset({"us"}))


async def test_a_cut_stops_what_passes_between_regions_until_it_heals(tmp_path):
    async with own_cluster(("eu", "us"), tmp_path, 2.0, actor="ann") as cluster:
        await cluster.until_linked()
        assert list(cluster.regions) == ["eu", "us"]
        eu, us = (region.client for region in cluster.regions.values())
        placed = await eu.place_order(currency="EUR", lines=[Line("POST", 9, untracked=True)])
        await us.get_order(placed.id, consistency_token=placed.write.consistency_token)

        async def cancel(request_id: str, timeout_s: float) -> Disposition:
            change = await us.cancel_order(
                placed.id, {"1": 1}, request_id=request_id, wait_for_decision=True, timeout=timeout_s
            )
            return change.write.disposition

        assert await cancel("before", 10.0) is Disposition.DECIDED
        cluster.cut(SIDES)
        assert await cancel("meanwhile", 0.5) is Disposition.RECORDED
        cluster.heal(SIDES)
        assert await cancel("meanwhile", 10.0) is Disposition.DECIDED
        events = [event async for event in us.list_order_events(placed.id)]
        assert {event.actor for event in events if event.actor} == {"ann"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["eu", "eu.log", "us", "us.log"]
