"""Links are cut, slow or silent: the others relay, and nobody waits for whom he can't hear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tallystick.cli.relay import Relay
from tallystick.v1 import cluster_service_pb2 as pb
from tests.replication.cluster import Cluster, agreed, becomes, linked, status_of
from tests.rpc.asking import get, get_stock, hold, order, place, place_all, receive
from tests.rpc.refusals import refusal
from tests.rpc.serving import Served, until

NOWHERE = "127.0.0.1:9"


async def has_all(node: Served, other: Served) -> None:
    """Wait until a node has all that another one wrote."""
    await becomes(
        lambda: status_of(node), lambda told: told.vector.get(other.node, 0) == other.engine.head.seq
    )


async def test_a_third_node_relays_around_a_cut(cluster):
    """The two ends have never met, and can't."""
    eu = await cluster.found("eu", routes={"asia": NOWHERE})
    us = await cluster.join("us")
    asia = await cluster.join("asia", seed="us", routes={"eu": NOWHERE})
    await linked(eu, us)
    await linked(us, asia)
    await receive(eu, "r-1", tea=10)
    await receive(asia, "r-2", milk=10)
    for number in range(5):
        await place(eu, order(f"e-{number}", ("tea", 1)))
        await place(asia, order(f"a-{number}", ("milk", 1)))
    await has_all(asia, eu)
    await has_all(eu, asia)
    for node, other in ((eu, asia), (asia, eu)):
        (peer,) = [peer for peer in (await status_of(node)).peers if peer.node == other.node]
        assert peer.link == pb.LINK_STATE_DOWN
    # Tokens come around the cut as well, or the refusal says whom it could not ask.
    refused = await refusal(place(asia, order("a-9", ("tea", 1))))
    assert list(refused.shortages[0].unreachable_regions) == ["eu"]
    await agreed(eu, us, asia)


@pytest.fixture
async def relayed(cluster: Cluster) -> AsyncIterator[tuple[Served, Served, list[Relay]]]:
    """Two nodes that reach each other over relays alone, however they dial."""
    to_us, to_eu = Relay(), Relay()
    async with to_us, to_eu:
        eu = await cluster.found("eu", routes={"us": to_us.address})
        to_eu.target = eu.address
        us = await cluster.join("us", join=to_eu.address, routes={"eu": to_eu.address})
        to_us.target = us.address
        await linked(eu, us)
        yield eu, us, [to_us, to_eu]
        for relay in (to_us, to_eu):
            relay.heal()


async def test_both_sell_through_a_partition_and_agree_after_it(relayed):
    eu, us, relays = relayed
    await receive(eu, "r-1", tea=50)
    await receive(us, "r-2", tea=50)
    await agreed(eu, us)
    for relay in relays:
        relay.cut()
    for number in range(40):
        await place(eu, order(f"e-{number}", ("tea", 1)))
        await place(us, hold(f"u-{number}", ("tea", 1)))
    assert (await status_of(us)).vector[eu.node] < eu.engine.head.seq
    for relay in relays:
        relay.heal()
    await agreed(eu, us)
    assert (await get_stock(us, "tea")).sold == 40


async def test_who_is_cut_off_is_asked_for_no_longer_than_a_moment(relayed):
    """Nothing comes and nothing is reset, as in a real partition: the question times out."""
    eu, us, relays = relayed
    await receive(eu, "r-1", tea=50)
    await agreed(eu, us)
    for relay in relays:
        relay.cut()
    loop = asyncio.get_running_loop()
    began = loop.time()
    refused = await refusal(place(us, order("o-1", ("tea", 1))))
    assert loop.time() - began < 3
    assert refused.reason == "INSUFFICIENT_STOCK"
    assert refused.shortages[0].available_elsewhere == 50
    # In time the silence itself is noticed, and the refusal says who could not be asked.
    await becomes(
        lambda: status_of(us), lambda told: [peer.link for peer in told.peers] == [pb.LINK_STATE_DOWN]
    )
    refused = await refusal(place(us, order("o-1", ("tea", 1))))
    assert list(refused.shortages[0].unreachable_regions) == ["eu"]
    for relay in relays:
        relay.heal()
    await linked(eu, us)
    await place(us, order("o-1", ("tea", 1)))
    await agreed(eu, us)


def passed(relays: list[Relay]) -> int:
    return sum(sum(relay.forwarded.values()) for relay in relays)


def has_passed(relays: list[Relay], count: int) -> bool:
    return passed(relays) >= count


async def test_a_partition_in_the_middle_of_load_loses_nothing(relayed):
    """The line is cut and healed while frames are on it: what was lost is sent again, and applied once."""
    eu, us, relays = relayed
    await receive(eu, "r-1", tea=5_000)
    await receive(us, "r-2", tea=5_000)
    for turn in range(4):
        load = [
            place_all(node, *(order(f"{node.region}-{turn}-{part}-{n}", ("tea", 1)) for n in range(50)))
            for node in (eu, us)
            for part in range(3)
        ]
        running = asyncio.gather(*load)
        await until(partial(has_passed, relays, passed(relays) + 1_000))
        for relay in relays:
            relay.cut()
        await running
        for relay in relays:
            relay.heal()
        await linked(eu, us)
    await agreed(eu, us)
    assert (await get_stock(eu, "tea")).sold == 4 * 3 * 2 * 50
    assert (await get(us, "eu-3-2-49")).id == "eu-3-2-49"
