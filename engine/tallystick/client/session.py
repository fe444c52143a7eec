"""What a client has while it is open: its connections, and the two ways of using them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tallystick.client.calls import Calls
from tallystick.client.fleet import Fleet
from tallystick.client.in_flight import InFlight
from tallystick.client.placing import Placer


class Session:
    """Made inside a running event loop; bound to it."""

    def __init__(
        self,
        addresses: Sequence[str],
        actor: str,
        *,
        timeout_s: float,
        attempt_timeout_s: float | None,
        streams: int,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.fleet = Fleet(addresses, attempt_timeout_s)
        self._in_flight = InFlight()
        self.calls = Calls(self.fleet, self._in_flight)
        self.placer = Placer(self.fleet, self._in_flight, actor, streams=streams, timeout_s=timeout_s)

    async def node_to_name(self, node: str, timeout_s: float) -> tuple[str, int, float]:
        """The node that a write of stock names for all its attempts, its address, and the seconds left.

        Unless the caller names one, it is whoever is at the preferred address now. Raises Unavailable.
        """
        started = self.loop.time()
        deadline = started + timeout_s
        with self._in_flight:
            address = await self.fleet.find(node, deadline) if node else 0
            name = node or await self.fleet.node_at(address, deadline)
        return name, address, timeout_s - (self.loop.time() - started)

    async def close(self, grace_s: float) -> None:
        """Give calls under way `grace_s` seconds, fail the rest, and let go of the connections."""
        await self._in_flight.drained(grace_s)
        await self.placer.close()
        await self.fleet.close()
