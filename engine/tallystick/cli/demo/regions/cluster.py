"""The nodes of a sale over several regions, and the relays between them: the one place that starts them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from tallystick.cli.demo.regions.looks import Look, RegionLook
from tallystick.cli.node_process import NodeProcess
from tallystick.cli.relay import Relay
from tallystick.cli.together import together
from tallystick.client import Client, LinkState

Relays = dict[tuple[str, str], Relay]
"""By (the region that dials, the region that is dialled)."""


@dataclass(frozen=True)
class Region:
    """A node of ours, and a client that shops there, straight: no relay lies between."""

    name: str
    node: NodeProcess
    client: Client

    async def shelves(self) -> dict[str, int]:
        """Units that it may sell, by sku."""
        return {item.sku: item.available_here async for item in self.client.list_stock()}

    async def look(self, tokens: int) -> RegionLook:
        """What it says of itself; how many `tokens` it has was asked before."""
        status = await self.client.status()
        return RegionLook(
            links={peer.region: peer.link is LinkState.UP for peer in status.peers},
            vector=dict(status.vector),
            digest=status.digest,
            tokens=tokens,
        )


@dataclass(frozen=True)
class Cluster:
    """One node a region, and a relay for each ordered pair of regions."""

    regions: dict[str, Region]
    relays: Relays

    async def shelves(self) -> dict[str, dict[str, int]]:
        """What each may sell, asked of all at once."""
        units = await asyncio.gather(*(region.shelves() for region in self.regions.values()))
        return dict(zip(self.regions, units, strict=True))

    async def look(self, shelves: Mapping[str, Mapping[str, int]]) -> Look:
        """What each says of itself; what lies on their `shelves` was asked before."""
        said = await asyncio.gather(
            *(region.look(sum(shelves[name].values())) for name, region in self.regions.items())
        )
        return Look(dict(zip(self.regions, said, strict=True)))

    def cut(self, sides: Iterable[frozenset[str]]) -> None:
        """Nothing passes between the sides any more."""
        for relay in self._between(sides):
            relay.cut()

    def heal(self, sides: Iterable[frozenset[str]]) -> None:
        for relay in self._between(sides):
            relay.heal()

    def _between(self, sides: Iterable[frozenset[str]]) -> list[Relay]:
        of = {region: side for side in sides for region in side}
        return [relay for (dialler, target), relay in self.relays.items() if of[dialler] != of[target]]


@asynccontextmanager
async def running_cluster(names: Sequence[str], directory: Path, delay_ms: float) -> AsyncIterator[Cluster]:
    """Found a cluster in the first region, let the others join, and end it all afterwards.

    Of two nodes the one with the lower replica id dials; which that is shows only when both run, so each
    has a way to the other.
    """
    async with AsyncExitStack() as stack:
        relays: Relays = {}
        for pair in permutations(names, 2):
            relays[pair] = await stack.enter_async_context(Relay(delay_ms=delay_ms))
        cluster = Cluster({}, relays)

        async def start(name: str, *how: str) -> None:
            routes = [f"{other}={relays[name, other].address}" for other in names if other != name]
            flags = [*how, *(word for route in routes for word in ("--route", route))]
            node = await NodeProcess.start(directory / name, name, flags=flags)
            stack.push_async_callback(node.stop)
            for (_, target), relay in relays.items():
                if target == name:
                    relay.target = node.address
            client = await stack.enter_async_context(Client(node.address, actor=f"shop-{name}"))
            cluster.regions[name] = Region(name, node, client)

        async def join(name: str) -> None:
            invitation = await cluster.regions[founder].client.invite()
            way = relays[name, founder].address
            await start(name, "--join", way, "--invitation", invitation.code)

        founder, *others = names
        await start(founder, "--new-cluster")
        async with together() as group:
            for name in others:
                group.create_task(join(name))
        yield cluster
