"""The clock's twin: each node has its own, and none of them is right.

What a node reads is the world's time, faster or slower by a drift, plus how far off it was set, plus the
jumps since. Its other clock, which only rises, drifts alike and never jumps.
"""

from __future__ import annotations

from tallystick.node.clock import Clock
from tallystick_sim.world import STARTED_MS, World


class NodeClock:
    """One node's. `skew_ms` is how far off it is set, `drift` how much too fast it runs (0.001: a second in
    1,000)."""

    def __init__(self, world: World, skew_ms: float = 0.0, drift: float = 0.0) -> None:
        self._world = world
        self.skew_ms = skew_ms
        self.drift = drift

    def jump(self, ms: float) -> None:
        """Somebody, or a daemon, sets it."""
        self.skew_ms += ms

    def wall_ms(self) -> int:
        """Milliseconds since 1970, as the node believes."""
        return STARTED_MS + int(self._world.now_ms * (1.0 + self.drift) + self.skew_ms)

    def monotonic(self) -> float:
        """Seconds that only rise."""
        return self._world.now_ms * (1.0 + self.drift) / 1000

    def until_ms(self, monotonic: float) -> float:
        """How long the world has to wait until this clock that only rises says so."""
        return monotonic * 1000 / (1.0 + self.drift) - self._world.now_ms

    def as_engine_clock(self) -> Clock:
        """As the driver takes it."""
        return Clock(self.wall_ms, self.monotonic)
