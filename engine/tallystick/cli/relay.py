"""A TCP relay that plays the distance between two regions, and its faults: no privileges, no root, no `tc`.

    async with Relay("127.0.0.1:7411", delay_ms=40) as relay:
        ...  # whoever connects to relay.address reaches the target 40 ms later, and hears from it as late
        relay.cut()  # silence
        relay.heal()  # what was cut is reset, so that both ends connect anew at once

A partition is silence, not a reset: sockets stay open, nothing passes, and who connects meanwhile gets a
connection on which nothing ever comes. Bytes keep their order. What is under way waits in a queue of (due
time, bytes) a direction; it is bounded in bytes, and a full one stops reading from its source.

Everything runs in callbacks of the event loop; the only tasks are those that connect to the target.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Self

from tallystick.cli.relay_link import Direction, Link, Road

__all__ = ["BUFFER_BYTES", "Direction", "Relay"]

BUFFER_BYTES = 16 * 2**20  # 40 ms at 400 MB/s: distance alone never limits the throughput


class Relay:
    """Listens on a loopback port and forwards to `target`, which may be set later than the port is known.

    `delay_ms` is one way, `{Direction.OUT: 80, Direction.BACK: 5}` if the ways differ; `bytes_per_s` is
    that of the line each way, shared by its connections, None for no limit. At `buffer_bytes` under way
    in one direction a connection is read no further. It belongs to the event loop that started it.
    """

    def __init__(
        self,
        target: str = "",
        *,
        delay_ms: float | Mapping[Direction, float] = 0.0,
        bytes_per_s: float | None = None,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        delays = delay_ms if isinstance(delay_ms, Mapping) else dict.fromkeys(Direction, delay_ms)
        self._road = Road(target, {way: delays.get(way, 0.0) / 1000 for way in Direction}, buffer_bytes)
        self._links: set[Link] = set()
        self._resumes = False
        self.address = ""
        """Where it listens."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._server: asyncio.Server | None = None
        self.slow(bytes_per_s)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self, listen: str = "127.0.0.1:0") -> None:
        """Listen; `address` says where."""
        self._road.is_closed = False
        host, _, port = listen.rpartition(":")
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._link, host, int(port))
        taken = self._server.sockets[0].getsockname()
        self.address = f"{taken[0]}:{taken[1]}"

    async def stop(self) -> None:
        """Reset what is connected and listen no more. Nothing stays behind."""
        if self._server is not None:
            server, self._server = self._server, None
            self._road.is_closed = True
            server.close()
            self._reset()
            await self._idle.wait()
            await server.wait_closed()

    # ------------------------------------------------------------------------------------------- faults

    def cut(self) -> None:
        """Nothing passes, either way, until `heal`."""
        self._block(frozenset(Direction), resumes=False)

    def cut_one_way(self, direction: Direction) -> None:
        """Nothing passes that way; what is connected still hears the other. Nobody connects anew."""
        self._block(frozenset({direction}), resumes=False)

    def freeze(self) -> None:
        """Nothing passes until `heal`; then everything does, as from a process that was stopped."""
        self._block(frozenset(Direction), resumes=True)

    def heal(self, *, resume: bool | None = None) -> None:
        """End a cut by resetting what it hit, or with `resume` by letting it flow; a frozen line flows."""
        if not self._road.blocked:
            return
        self._road.blocked = frozenset()
        resumes = self._resumes if resume is None else resume
        if resumes:
            self._flow()
        else:
            self._reset()

    def slow(self, bytes_per_s: float | None) -> None:
        """From now on, what waits included, pass so much each way; None: as much as comes."""
        for line in self._road.lines.values():
            line.limit(bytes_per_s)
        self._flow()

    def _block(self, ways: frozenset[Direction], *, resumes: bool) -> None:
        self._road.blocked, self._resumes = ways, resumes
        self._flow()

    def _reset(self) -> None:
        for link in tuple(self._links):
            link.reset()

    def _flow(self) -> None:
        """Let pass what now may."""
        for link in tuple(self._links):
            link.flow()

    # ------------------------------------------------------------------------------------------- state

    @property
    def target(self) -> str:
        """Whom it forwards to. Setting it concerns connections to come; empty, they are reset."""
        return self._road.target

    @target.setter
    def target(self, address: str) -> None:
        self._road.target = address

    @property
    def forwarded(self) -> Mapping[Direction, int]:
        """Bytes that were passed on, each way."""
        return self._road.forwarded

    @property
    def connections(self) -> int:
        """How many callers are connected, those that nobody answers included."""
        return len(self._links)

    @property
    def waiting_bytes(self) -> int:
        """What is under way, both ways."""
        return sum(pipe.waiting_bytes for link in self._links for pipe in link.pipes.values())

    def _link(self) -> asyncio.Protocol:
        return Link(self._road, self._opened, self._closed).caller

    def _opened(self, link: Link) -> None:
        self._links.add(link)
        self._idle.clear()

    def _closed(self, link: Link) -> None:
        self._links.discard(link)
        if not self._links:
            self._idle.set()
