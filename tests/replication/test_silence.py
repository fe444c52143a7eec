"""A cut between two nodes, which is silence: what is sold meanwhile, and how they notice."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest

from tallystick.cli.relay import Relay
from tallystick.v1 import cluster_service_pb2, order_service_pb2
from tests.replication.cluster import agreed, becomes, linked, status_of
from tests.rpc.asking import order, place, place_all, receive
from tests.rpc.serving import CALL_S

THIN_BYTES_A_S = 60_000
MESSAGES = 40
"""More than a node reads of one stream before it has answered some."""


@pytest.fixture
async def cuttable(cluster):
    """Two nodes, and the relays between them: either may dial."""
    async with AsyncExitStack() as stack:
        to_us, to_eu = [await stack.enter_async_context(Relay()) for _ in range(2)]
        eu = await cluster.found("eu", routes={"us": to_us.address}, rebalance="off")
        to_eu.target = eu.address
        routes = {"eu": to_eu.address}
        us = await cluster.join("us", join=to_eu.address, routes=routes, rebalance="off")
        to_us.target = us.address
        await linked(eu, us)
        yield eu, us, (to_us, to_eu)
        await cluster.stop()
        cluster.nodes.clear()


def is_alone(told: Any) -> bool:
    (peer,) = told.peers
    return bool(peer.link == cluster_service_pb2.LINK_STATE_DOWN)


async def test_silence_ends_a_link_and_healing_brings_it_back(cuttable):
    eu, us, relays = cuttable
    await receive(eu, tea=5)
    for relay in relays:
        relay.cut()
    for node in (eu, us):
        told = await becomes(partial(status_of, node), is_alone)
    (peer,) = told.peers
    assert peer.problem.startswith("SILENT")
    await place(eu, order("alone", ("tea", 1)))
    for relay in relays:
        relay.heal()
    await linked(eu, us)
    await agreed(eu, us)


async def test_a_backlog_comes_over_a_thin_line(cuttable):
    """It remembers messages that took longer than a peer waits for some word: the link was ended and made
    again without end, and nothing ever arrived."""
    eu, us, relays = cuttable
    await receive(eu, tea=100_000)
    for relay in relays:
        relay.cut()
    for node in (eu, us):
        await becomes(partial(status_of, node), is_alone)
    for turn in range(4):
        await place_all(eu, *(order(f"o-{turn}-{number}", *[("tea", 1)] * 100) for number in range(40)))
    for relay in relays:
        relay.slow(THIN_BYTES_A_S)
        relay.heal()
    await linked(eu, us)
    await agreed(eu, us)


async def test_orders_that_wait_for_tokens_hold_nobody_up(cuttable):
    """Each message waits for a peer that is silent; what is here was not sold until they had given up."""
    eu, us, relays = cuttable
    await receive(eu, tea=5)
    receipt = await receive(us, "r-2", cake=100)
    await eu.orders.ListOrders(
        order_service_pb2.ListOrdersRequest(consistency_token=receipt.write.consistency_token),
        timeout=CALL_S,
    )
    for relay in relays:
        relay.cut()
    stream = eu.orders.PlaceOrders(timeout=CALL_S)
    await stream.read()
    for number in range(MESSAGES):
        short = order_service_pb2.NumberedOrder(number=number, order=order(f"s-{number}", ("cake", 1)))
        await stream.write(order_service_pb2.PlaceOrdersRequest(orders=[short]))
    here = order_service_pb2.NumberedOrder(number=MESSAGES, order=order("here", ("tea", 1)))
    await stream.write(order_service_pb2.PlaceOrdersRequest(orders=[here]))
    first = await stream.read()
    assert [(each.number, each.HasField("order")) for each in first.answers] == [(MESSAGES, True)]
    await stream.done_writing()
    refused = []
    while answered := await stream.read():
        refused += [each.number for each in answered.answers if each.HasField("error")]
    assert sorted(refused) == [*range(MESSAGES)]
