"""What a client has while it is open: a connection, and the two ways of using it."""

from __future__ import annotations

import asyncio

from tallystick.client.calls import Calls
from tallystick.client.connection import Connection
from tallystick.client.in_flight import InFlight
from tallystick.client.placing import Placer


class Session:
    """Made inside a running event loop; bound to it."""

    def __init__(self, address: str, actor: str, streams: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.connection = Connection(address)
        self._in_flight = InFlight()
        self.calls = Calls(self.connection, self._in_flight)
        self.placer = Placer(self.connection, self._in_flight, actor, streams)

    async def node_to_name(self, node: str, timeout_s: float) -> tuple[str, float]:
        """The node that a write of stock names for all its attempts, and the seconds left for them.

        Unless the caller names one, it is whoever is at the other end now. Raises Unavailable.
        """
        started = self.loop.time()
        with self._in_flight:
            name = node or await self.connection.node(started + timeout_s)
        return name, timeout_s - (self.loop.time() - started)

    async def close(self, grace_s: float) -> None:
        """Give calls under way `grace_s` seconds, fail the rest, and let go of the connection."""
        await self._in_flight.drained(grace_s)
        await self.placer.close()
        await self.connection.close()
