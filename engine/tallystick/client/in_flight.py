"""Counting the calls under way, so that closing can wait for them."""

from __future__ import annotations

import asyncio
import contextlib


class InFlight:
    """A call is under way inside `with in_flight:`."""

    def __init__(self) -> None:
        self._count = 0
        self._drained = asyncio.Event()
        self._drained.set()

    def __enter__(self) -> None:
        self._count += 1
        self._drained.clear()

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if not self._count:
            self._drained.set()

    async def drained(self, grace_s: float) -> None:
        """Wait until no call is under way, for `grace_s` seconds at most."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._drained.wait(), grace_s)
