"""A node in the test's own process and loop, with a clock that the test moves, and stubs to call it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from tallystick.core.members import node_name
from tallystick.node.clock import Clock as Times
from tallystick.node.engine import Engine
from tallystick.node.settings import Settings
from tallystick.rpc.server import RunningNode, start_node
from tallystick.v1.cluster_service_pb2_grpc import ClusterServiceStub
from tallystick.v1.order_service_pb2_grpc import OrderServiceStub
from tallystick.v1.stock_service_pb2_grpc import StockServiceStub
from tests.node.driving import PATIENCE_S, Clock

CALL_S = PATIENCE_S
"""A deadline that no call reaches unless it hangs."""


class Served:
    """A running node and a channel to it."""

    def __init__(self, running: RunningNode, clock: Clock, broken: list[BaseException]) -> None:
        self.running = running
        self.clock = clock
        self.broken = broken
        self.address = running.address
        self.node = node_name(running.identity.replica)
        self.region = running.identity.region
        self.channel = open_channel(running.address)
        self.orders: Any = OrderServiceStub(self.channel)
        self.stock: Any = StockServiceStub(self.channel)
        self.cluster: Any = ClusterServiceStub(self.channel)

    @property
    def engine(self) -> Engine:
        return self.running.engine

    async def stop(self, grace_s: float = 10.0) -> None:
        await self.channel.close()
        await self.running.stop(grace_s)


def open_channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(
        address,
        options=[("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)],
    )


async def start(directory: Path, clock: Clock | None = None, **settings: Any) -> Served:
    """Start a node on a directory, made if need be; holds are swept at short intervals."""
    clock = clock or Clock()
    broken: list[BaseException] = []
    given = {
        "listen": "127.0.0.1:0",
        "new_cluster": True,
        "region": "eu",
        "sweep_interval_ms": 10,
        "reserve": 0,
        **settings,
    }
    running = await start_node(Settings(data=directory, **given), broken.append, Times(clock, time.monotonic))
    return Served(running, clock, broken)


@asynccontextmanager
async def serving(directory: Path, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Served]:
    """A node for the length of a block; its engine must not have broken."""
    served = await start(directory, clock, **settings)
    try:
        yield served
    finally:
        await served.stop()
    assert served.broken == []


async def until(condition: Callable[[], bool]) -> None:
    """Give way to the loop until the condition holds. Bounded."""
    loop = asyncio.get_running_loop()
    end = loop.time() + CALL_S
    while not condition():
        assert loop.time() < end, "it never came to be"
        await asyncio.sleep(0)
