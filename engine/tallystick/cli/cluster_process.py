"""A cluster of one's own: a node process a region, and relays between them that can be cut.

    async with running_cluster(("eu", "us", "ap"), directory, delay_ms=40) as cluster:
        await cluster.until_linked()
        cluster.cut(sides)  # sides: frozensets of regions
        cluster.heal(sides)

Whatever happens in the block, the processes and relays are gone after it; the data stays in `directory`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from time import monotonic

from tallystick.cli.errors import NodeNotStarted
from tallystick.cli.node_process import NodeProcess, scratch_directory
from tallystick.cli.relay import Relay
from tallystick.cli.together import together
from tallystick.client import Client, LinkState, MemberState, NodeStatus

REGIONS = ("eu", "us", "ap", "sa", "af")
"""Names for as many regions as anyone needs on one machine."""

Relays = dict[tuple[str, str], Relay]
"""By (the region that dials, the region that is dialled)."""

_LINK_S = 15.0  # how long regions may take to find each other
_LOOK_S = 0.05


@dataclass(frozen=True)
class Region:
    """A node of ours, and a client that shops there, straight: no relay lies between."""

    name: str
    node: NodeProcess
    client: Client


@dataclass(frozen=True)
class Cluster:
    """One node a region, and a relay for each ordered pair of regions."""

    regions: Mapping[str, Region]
    relays: Relays

    async def statuses(self) -> dict[str, NodeStatus]:
        """What each says of itself, asked of all at once."""
        said = await asyncio.gather(*(region.client.status() for region in self.regions.values()))
        return dict(zip(self.regions, said, strict=True))

    async def until_linked(self) -> None:
        """Wait until every node reaches every other, and knows that all belong. Raises NodeNotStarted."""
        until = monotonic() + _LINK_S
        while not all(await asyncio.gather(*map(self._is_linked, self.regions.values()))):
            if monotonic() > until:
                logs = ", ".join(str(region.node.log) for region in self.regions.values())
                raise NodeNotStarted(f"the regions did not find each other within {_LINK_S:g} s; see {logs}")
            await asyncio.sleep(_LOOK_S)

    def cut(self, sides: Iterable[frozenset[str]]) -> None:
        """Nothing passes between the sides any more."""
        for relay in self._between(sides):
            relay.cut()

    def heal(self, sides: Iterable[frozenset[str]]) -> None:
        """What was cut is reset, so that both ends connect anew."""
        for relay in self._between(sides):
            relay.heal()

    async def _is_linked(self, region: Region) -> bool:
        status, members = await asyncio.gather(region.client.status(), region.client.members())
        links = {peer.region for peer in status.peers if peer.link is LinkState.UP}
        active = {member.region for member in members if member.state is MemberState.ACTIVE}
        return active == self.regions.keys() and links == active - {region.name}

    def _between(self, sides: Iterable[frozenset[str]]) -> list[Relay]:
        of = {region: side for side in sides for region in side}
        return [relay for (dialler, target), relay in self.relays.items() if of[dialler] != of[target]]


@asynccontextmanager
async def running_cluster(
    names: Sequence[str], directory: Path, delay_ms: float, *, actor: str = "", timeout_s: float = 10.0
) -> AsyncIterator[Cluster]:
    """Found a cluster in the first region, let the others join, and end it all afterwards.

    Of two nodes the one with the lower replica id dials; which that is shows only when both run, so each
    has a way to the other. Data is in `directory`, a directory a region, each log beside it. `actor` and
    `timeout_s` are of the clients; unless given, the actor is "shop-" and the region.
    """
    async with AsyncExitStack() as stack:
        relays: Relays = {}
        for pair in permutations(names, 2):
            relays[pair] = await stack.enter_async_context(Relay(delay_ms=delay_ms))
        regions: dict[str, Region] = {}

        async def start(name: str, *how: str) -> None:
            routes = [f"{other}={relays[name, other].address}" for other in names if other != name]
            flags = [*how, *(word for route in routes for word in ("--route", route))]
            node = await NodeProcess.start(directory / name, name, flags=flags)
            stack.push_async_callback(node.stop)
            for (_, target), relay in relays.items():
                if target == name:
                    relay.target = node.address
            client = Client(node.address, actor=actor or f"shop-{name}", timeout=timeout_s)
            regions[name] = Region(name, node, await stack.enter_async_context(client))

        async def join(name: str) -> None:
            invitation = await regions[founder].client.invite()
            way = relays[name, founder].address
            await start(name, "--join", way, "--invitation", invitation.code)

        founder, *others = names
        await start(founder, "--new-cluster")
        async with together() as group:
            for name in others:
                group.create_task(join(name))
        # In the order of the names, whoever was there first.
        yield Cluster({name: regions[name] for name in names}, relays)


@asynccontextmanager
async def own_cluster(
    names: Sequence[str],
    directory: Path | None,
    delay_ms: float,
    *,
    actor: str = "",
    timeout_s: float = 10.0,
) -> AsyncIterator[Cluster]:
    """A cluster on `directory`, which stays and must be empty; or in one that goes away with it."""
    with ExitStack() as stack:
        if directory is None:
            directory = stack.enter_context(scratch_directory("tally-cluster-"))
        directory.mkdir(parents=True, exist_ok=True)
        async with running_cluster(names, directory, delay_ms, actor=actor, timeout_s=timeout_s) as cluster:
            yield cluster
