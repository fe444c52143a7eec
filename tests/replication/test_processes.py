"""Real processes: killed, frozen, restarted, in the middle of what they do."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tallystick.node.opening import open_store
from tallystick.v1 import cluster_service_pb2 as pb
from tallystick.v1.cluster_service_pb2_grpc import ClusterServiceStub
from tallystick.v1.order_service_pb2_grpc import OrderServiceStub
from tallystick.v1.stock_service_pb2_grpc import StockServiceStub
from tests.node.checking import tables_of
from tests.node.nursery import Life, Nursery, nursery
from tests.replication.cluster import becomes, check_equal, invitation_of, linked, status_of
from tests.rpc.asking import get, get_stock, order, place, place_all, receive
from tests.rpc.refusals import refusal
from tests.rpc.serving import open_channel

pytestmark = pytest.mark.process
MAP = 1 << 28


class Away:
    """A node in a process of its own, called as one in ours."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.node = life.node
        self.address = life.address
        self.channel = open_channel(life.address)
        self.orders: Any = OrderServiceStub(self.channel)
        self.stock: Any = StockServiceStub(self.channel)
        self.cluster: Any = ClusterServiceStub(self.channel)


class Lives:
    """Processes on directories below `base`."""

    def __init__(self, base: Path, nursery: Nursery) -> None:
        self.base = base
        self._nursery = nursery

    async def start(self, name: str, **settings: Any) -> Away:
        given = {
            "data": str(self.base / name),
            "region": name,
            "listen": "127.0.0.1:0",
            "map_size": MAP,
            "reserve": 0,
            "log_level": "warning",
            "rebalance": "off",  # nothing is written after the last order
            **settings,
        }
        log = self.base / f"{name}.log"
        return Away(await asyncio.to_thread(self._nursery.start, log, **given))

    async def join(self, name: str, seed: Away, **settings: Any) -> Away:
        given = {"join": seed.address, "invitation": await invitation_of(seed), **settings}
        return await self.start(name, **given)

    def check(self, *names: str) -> None:
        """Nobody runs any more: all directories hold the same, to the unit."""
        tables, vectors = [], []
        for name in names:
            path = self.base / name
            opened = open_store(path, name, new_cluster=False, map_size=MAP, reserve=0, backlog=100_000)
            tables.append(tables_of(opened.store))
            vectors.append(opened.vector)
            opened.store.close()
        assert all(vector == vectors[0] for vector in vectors)
        check_equal(tables)


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    with nursery() as born:
        yield Lives(tmp_path, born)


async def level(*nodes: Away) -> None:
    """Wait until all have the same vector."""

    async def vectors() -> list[dict[str, int]]:
        return [dict((await status_of(node)).vector) for node in nodes]

    await becomes(vectors, lambda found: all(vector == found[0] for vector in found))


async def end(*nodes: Away) -> None:
    for node in nodes:
        await node.channel.close()
        assert await asyncio.to_thread(node.life.end, signal.SIGTERM) == 0


async def test_a_frozen_peer_slows_nobody(lives):
    eu = await lives.start("eu", new_cluster=True)
    us = await lives.join("us", eu)
    await linked(eu, us)
    await receive(us, "r-1", tea=100)
    await level(eu, us)
    await receive(eu, "r-2", milk=2_000)
    os.kill(us.life.pid, signal.SIGSTOP)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for turn in range(10):
        await place_all(eu, *(order(f"o-{turn}-{n}", ("milk", 1)) for n in range(100)))
    assert loop.time() - began < 5
    # Who asks it for tokens is told in time that it says nothing.
    began = loop.time()
    refused = await refusal(place(eu, order("short", ("tea", 1))))
    assert (refused.reason, loop.time() - began < 3) == ("INSUFFICIENT_STOCK", True)
    assert refused.shortages[0].available_elsewhere == 100
    os.kill(us.life.pid, signal.SIGCONT)
    await linked(eu, us)
    await becomes(lambda: attempt(eu, order("short", ("tea", 1))), lambda placed: placed)
    await level(eu, us)
    await end(eu, us)
    lives.check("eu", "us")


@pytest.mark.parametrize("victim", ["eu", "us"])
async def test_killed_in_the_middle_of_load(lives, victim):
    """What was acknowledged is there, on both, whoever it was; what was not is there whole or not at all."""
    nodes = {"eu": await lives.start("eu", new_cluster=True)}
    nodes["us"] = await lives.join("us", nodes["eu"])
    await linked(*nodes.values())
    for name, node in nodes.items():
        await receive(node, f"r-{name}", tea=10_000)
    await level(*nodes.values())
    taken: set[str] = set()

    async def sell(name: str, lane: int) -> None:
        for number in range(200):
            order_id = f"{name}-{lane}-{number}"
            try:
                await place(nodes[name], order(order_id, ("tea", 1)))
            except grpc.aio.AioRpcError:
                assert name == victim
                return
            taken.add(order_id)

    selling = [asyncio.ensure_future(sell(name, lane)) for name in nodes for lane in range(4)]
    await becomes(lambda: status_of(nodes[victim]), lambda told: told.sequence > 60)
    await asyncio.to_thread(nodes[victim].life.kill)
    await asyncio.gather(*selling)
    await nodes[victim].channel.close()
    nodes[victim] = await lives.start(victim)
    await linked(*nodes.values())
    await level(*nodes.values())
    for node in nodes.values():
        assert (await get_stock(node, "tea")).sold >= len(taken)
    for order_id in sorted(taken)[:: max(1, len(taken) // 40)]:
        for node in nodes.values():
            assert (await get(node, order_id)).id == order_id
    await end(*nodes.values())
    lives.check("eu", "us")


@pytest.mark.parametrize("flags", ["the same", "none"])
async def test_a_joiner_killed_while_it_reads_the_snapshot(lives, flags):
    """It begins again where it can, by what its directory says, or by the same command."""
    eu = await lives.start("eu", new_cluster=True)
    await receive(eu, "r-1", tea=1_000_000)
    for turn in range(20):
        await place_all(eu, *(order(f"o-{turn}-{n}", ("tea", 1), customer="ann") for n in range(500)))
    given = {"join": eu.address, "invitation": await invitation_of(eu)}
    log = lives.base / "us.log"
    starting = asyncio.ensure_future(lives.start("us", **given))
    # It has been let in as soon as it is listed; then it reads.
    await becomes(lambda: members_of(eu), lambda members: len(members) == 2)
    pid = await asyncio.to_thread(child_of, lives)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(AssertionError):
        await starting
    assert log.exists()
    us = await lives.start("us", **(given if flags == "the same" else {}))
    await linked(eu, us)
    await becomes(
        lambda: members_of(eu), lambda members: {each.state for each in members} == {pb.MEMBER_STATE_ACTIVE}
    )
    await place(us, order("at-us", ("tea", 1)))
    await level(eu, us)
    await end(eu, us)
    lives.check("eu", "us")


async def attempt(node: Any, placed: Any) -> bool:
    """Place an order; False if stock was short: who could not help is left alone for a moment."""
    try:
        await place(node, placed)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
            raise
        return False
    return True


async def members_of(node: Away) -> Any:
    return (await node.cluster.ListMembers(pb.ListMembersRequest())).members


def child_of(lives: Lives) -> int:
    """The nursery's newest child."""
    parent = lives._nursery._process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return max(map(int, children))
