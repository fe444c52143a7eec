"""Clusters of nodes in the test's own process and loop: founded, joined, stopped, compared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from tallystick.core.clock import Head
from tallystick.core.members import node_name
from tallystick.v1 import cluster_service_pb2 as pb
from tests.node.checking import COMPARED, Tables, check_indexes, check_stock, documents, tables_of
from tests.node.driving import Clock
from tests.rpc.serving import CALL_S, Served, start


class Cluster:
    """Its nodes by the names of their directories."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.clock = Clock()
        self.nodes: dict[str, Served] = {}
        self._settings: dict[str, dict[str, Any]] = {}

    def __getitem__(self, name: str) -> Served:
        return self.nodes[name]

    async def found(self, name: str = "eu", **settings: Any) -> Served:
        """The first node. Its region is its name."""
        return await self._start(name, **settings)

    async def join(self, name: str, seed: str = "eu", **settings: Any) -> Served:
        """One more, let in by `seed`; answers when it is an active member."""
        given = {"join": self[seed].address, "invitation": await invitation_of(self[seed]), **settings}
        return await self._start(name, new_cluster=False, **given)

    async def three(self) -> tuple[Served, Served, Served]:
        """Three nodes that are linked."""
        nodes = (await self.found("eu"), await self.join("us"), await self.join("asia"))
        await linked(*nodes)
        return nodes

    async def end(self, name: str) -> None:
        """Stop one."""
        await self.nodes.pop(name).stop()

    async def again(self, name: str, seed: str = "", **settings: Any) -> Served:
        """Start one again, on another port, with nothing but its directory; or told where another one is."""
        if seed:
            settings |= {"join": self[seed].address, "invitation": await invitation_of(self[seed])}
        return await self._start(name, new_cluster=False, **settings)

    async def stop(self) -> None:
        """Stop all that run."""
        nodes = [*self.nodes.values()]
        await asyncio.gather(*(node.stop() for node in nodes))
        for node in nodes:
            assert node.broken == []

    async def _start(self, name: str, **settings: Any) -> Served:
        node = await start(self.base / name, self.clock, **{"region": name, **settings})
        self.nodes[name] = node
        return node


async def invitation_of(served: Any) -> str:
    answer = await served.cluster.CreateInvitation(pb.CreateInvitationRequest(), timeout=CALL_S)
    return str(answer.invitation)


async def status_of(served: Any) -> Any:
    return await served.cluster.GetStatus(pb.GetStatusRequest(), timeout=CALL_S)


async def becomes(question: Callable[[], Awaitable[Any]], suits: Callable[[Any], Any]) -> Any:
    """Ask until the answer suits: each question takes its way through a node. Bounded."""
    loop = asyncio.get_running_loop()
    end = loop.time() + CALL_S
    while True:
        answer = await question()
        if suits(answer):
            return answer
        assert loop.time() < end, f"it never came to be; the last answer: {answer}"


async def linked(*nodes: Any) -> None:
    """Wait until each of these has a link to each other."""
    for node in nodes:
        wanted = {other.node for other in nodes if other is not node}
        await becomes(partial(status_of, node), partial(_has_links, wanted))


def _has_links(wanted: set[str], told: Any) -> bool:
    return wanted <= {peer.node for peer in told.peers if peer.link == pb.LINK_STATE_UP}


def vector_of(served: Served) -> dict[str, Head]:
    return {node_name(replica): head for replica, head in served.engine.driver.vector.items()}


async def agreed(*nodes: Served) -> list[Tables]:
    """Wait until all have the same frames; then they must have the same tables, to the unit. Answers them."""

    async def look() -> tuple[list[dict[str, Head]], list[Tables], list[dict[str, Head]]]:
        for node in nodes:
            await status_of(node)
        before = [vector_of(node) for node in nodes]
        if any(vector != before[0] for vector in before):
            return before, [], []
        return before, [tables_of(node.engine.store) for node in nodes], [vector_of(node) for node in nodes]

    _, found, _ = await becomes(look, lambda seen: seen[1] and seen[0] == seen[2])
    tables: list[Tables] = found
    check_equal(tables)
    return tables


def check_equal(tables: list[Tables]) -> None:
    """Equal tables, each consistent in itself."""
    first, *others = tables
    for other in others:
        for table in COMPARED:
            assert other[table] == first[table], table
        assert documents(other) == documents(first)
    check_indexes(first)
    check_stock(first)
