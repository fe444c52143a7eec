"""Many deadlines on one timer.

A timer for each call would cost more than the call does. Nearly all calls are answered long before their
deadline, so one timer stands at the earliest, and whoever it wakes looks through those still waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_GRAIN_S = 0.01  # while everything expires, one look serves all that is due by then


class Deadlines:
    """Calls `expire(now)` when a watched deadline passes; it answers the next one, or infinity."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[float], float]) -> None:
        self._loop = loop
        self._expire = expire
        self._next = float("inf")
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, deadline: float) -> None:
        """Look again at `deadline`, on the loop's clock, at the latest."""
        if deadline < self._next:
            self.stop()
            self._next = deadline
            self._timer = self._loop.call_at(deadline, self._look)

    def stop(self) -> None:
        """Forget all deadlines."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._next = float("inf")

    def _look(self) -> None:
        self.stop()
        now = self._loop.time()
        following = self._expire(now)
        if following < float("inf"):
            self.watch(max(following, now + _GRAIN_S))
