"""The world that a simulated cluster lives in: one virtual clock, one seed, one trace.

Everything that happens is a call at some virtual time; of two at one time the one that was planned first
comes first. So a seed gives one run, to the byte: `trace` is a hash of all that was told to it. Each part of
the world draws from a stream of its own, so that what one part draws leaves the others as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush
from random import Random

STARTED_MS = 1_760_000_000_000
"""The wall clock when a world begins."""


Listener = Callable[[float, tuple[object, ...]], None]
"""Hears whatever is noted, with the time of it."""


class World:
    """Time, chance and memory of one run. Times are in milliseconds since its beginning."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.listener: Listener | None = None
        self.now_ms = 0.0
        self._plans: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self._trace = blake2b(digest_size=16)

    def stream(self, name: str) -> Random:
        """Chance for one part of the world, which no other part draws from."""
        return Random(f"{self.seed}/{name}")

    @property
    def wall_ms(self) -> int:
        """Milliseconds since 1970."""
        return STARTED_MS + int(self.now_ms)

    def after(self, delay_ms: float, call: Callable[[], None]) -> None:
        """Plan a call."""
        self._planned += 1
        heappush(self._plans, (self.now_ms + delay_ms, self._planned, call))

    def at(self, time_ms: float, call: Callable[[], None]) -> None:
        """Plan a call for that time; for now, if it is over."""
        self.after(max(0.0, time_ms - self.now_ms), call)

    def run(self, duration_ms: float) -> None:
        """Let so much time pass, and all happen that is planned in it."""
        end = self.now_ms + duration_ms
        while self._plans and self._plans[0][0] <= end:
            self.now_ms, _, call = heappop(self._plans)
            call()
        self.now_ms = end

    def run_until(self, done: Callable[[], bool], patience_ms: float, step_ms: float = 50.0) -> bool:
        """Let time pass until `done`, at most so long; answers whether it came."""
        end = self.now_ms + patience_ms
        while not done():
            if self.now_ms >= end:
                return False
            self.run(step_ms)
        return True

    def note(self, *what: object) -> None:
        """Add to the trace. Whatever is noted must have the same repr in every run."""
        self._trace.update(repr((self.now_ms, *what)).encode())
        if self.listener is not None:
            self.listener(self.now_ms, what)

    @property
    def trace(self) -> str:
        """A hash of all that happened so far."""
        return self._trace.hexdigest()
