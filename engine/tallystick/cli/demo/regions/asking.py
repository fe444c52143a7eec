"""What is asked of the nodes while a sale goes on: what each may sell, and how each sees the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tallystick.cli.cluster_process import Cluster, Region
from tallystick.cli.demo.regions.looks import Look, RegionLook
from tallystick.client import LinkState


async def shelves_of(cluster: Cluster) -> dict[str, dict[str, int]]:
    """Units that each may sell, by sku, asked of all at once."""
    units = await asyncio.gather(*map(_shelves, cluster.regions.values()))
    return dict(zip(cluster.regions, units, strict=True))


async def look_at(cluster: Cluster, shelves: Mapping[str, Mapping[str, int]]) -> Look:
    """What each says of itself; what lies on their `shelves` was asked before."""
    said = await cluster.statuses()
    return Look(
        {
            name: RegionLook(
                links={peer.region: peer.link is LinkState.UP for peer in status.peers},
                vector=dict(status.vector),
                digest=status.digest,
                tokens=sum(shelves[name].values()),
            )
            for name, status in said.items()
        }
    )


async def _shelves(region: Region) -> dict[str, int]:
    return {item.sku: item.available_here async for item in region.client.list_stock()}
