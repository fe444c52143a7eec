"""How often an idle node is turned, and when it tidies up: waiting must be cheap."""

from __future__ import annotations

from tallystick.store.port import StoreFull
from tallystick.store.store import Store

TICK_MS = 20.0
IDLE_TICK_MS = 200.0
"""A node that had nothing to do in its last turns is turned less and less often, down to this: what it does
by itself is counted in hundreds of milliseconds. Half as often as a real one: turns cost us more."""
TIDY_MS = 10_000.0
"""An idle node writes out its checkpoints, at most so often."""


class Pace:
    """Of one process."""

    def __init__(self) -> None:
        self._pause_ms = TICK_MS
        self._tidied_ms = 0.0

    def pause_ms(self, *, idle: bool, until_ms: float | None) -> float:
        """How long until the next turn. `until_ms`: when somebody's time is up."""
        self._pause_ms = min(self._pause_ms * 3, IDLE_TICK_MS) if idle else TICK_MS
        return self._pause_ms if until_ms is None else min(self._pause_ms, max(1.0, until_ms))

    def tidy(self, store: Store, now_ms: float) -> bool:
        """Nothing waits: write a slice of the checkpoint. Answers whether there is more to write."""
        if now_ms - self._tidied_ms < TIDY_MS:
            return False
        try:
            more = store.idle()
        except StoreFull:
            more = False
        if not more:
            self._tidied_ms = now_ms
        return more
