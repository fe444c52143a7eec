"""Nodes stop and start: on other ports, in any order, alone."""

from __future__ import annotations

from functools import partial

import pytest

from tallystick.core.clock import Head
from tests.replication.cluster import agreed, becomes, linked, status_of, vector_of
from tests.rpc.asking import get, order, place, receive
from tests.rpc.serving import Served

ORDERS = [("eu", "us", "asia"), ("asia", "us", "eu")]


async def test_a_node_that_joined_starts_again_by_itself(cluster):
    """It once took itself for new for ever, and waited for the others before it served."""
    eu = await cluster.found("eu")
    await receive(eu, tea=10)
    us = await cluster.join("us")
    await receive(us, "r-2", tea=5)
    await agreed(eu, us)
    await cluster.end("us")
    await cluster.end("eu")
    us = await cluster.again("us")
    await place(us, order("o-1", ("tea", 1)))
    eu = await cluster.again("eu", seed="us")
    await linked(eu, us)
    await agreed(eu, us)
    assert (await get(eu, "o-1")).id == "o-1"


async def head_of(node: Served, origin: str) -> Head:
    """What a node has on disk of another's chain, some question later."""
    await status_of(node)
    return vector_of(node)[origin]


async def test_what_was_sold_last_leaves_before_a_node_does(cluster):
    """It remembers a node that was told to stop: its last orders were at nobody else until it came back."""
    eu, us, asia = await cluster.three()
    await receive(eu, tea=10)
    await agreed(eu, us, asia)
    for number in range(7):
        await place(eu, order(f"o-{number}", ("tea", 1)))
    await cluster.end("eu")
    for node in (us, asia):
        await becomes(partial(head_of, node, eu.node), lambda head: head == eu.engine.head)


@pytest.mark.parametrize("names", ORDERS)
async def test_one_after_another_starts_again_on_another_port(cluster, names):
    """Each has to be found where it is now, whoever dials whom."""
    await cluster.three()
    await receive(cluster["eu"], tea=10)
    for name in names:
        before = cluster[name].address
        await cluster.end(name)
        await cluster.again(name)
        assert cluster[name].address != before
        await linked(*cluster.nodes.values())
    await place(cluster["eu"], order("o-1", ("tea", 1)))
    await agreed(*cluster.nodes.values())


@pytest.mark.parametrize("names", ORDERS)
async def test_all_at_once_start_again_on_other_ports(cluster, names):
    """Nobody is where he was: who is told of one finds all."""
    await cluster.three()
    await receive(cluster["eu"], tea=10)
    await agreed(*cluster.nodes.values())
    for name in names:
        await cluster.end(name)
    first, *others = names
    await cluster.again(first)
    for name in others:
        await cluster.again(name, seed=first)
    await linked(*cluster.nodes.values())
    await place(cluster["eu"], order("o-1", ("tea", 1)))
    await agreed(*cluster.nodes.values())


@pytest.mark.parametrize("name", ["eu", "us"])
async def test_one_of_two_starts_again_on_another_port(cluster, name):
    eu = await cluster.found("eu")
    await receive(eu, tea=10)
    await agreed(eu, await cluster.join("us"))
    await cluster.end(name)
    await cluster.again(name)
    await linked(*cluster.nodes.values())
    await place(cluster["eu"], order("o-1", ("tea", 1)))
    await agreed(*cluster.nodes.values())
