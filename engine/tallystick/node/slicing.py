"""How many of peers' events go into one commit: an order that waits for a commit waits for them too."""

from __future__ import annotations

EVENTS_MAX = 256
EVENTS_BESIDE = 64
"""While orders come in here. Who catches up has EVENTS_MAX at hand all the time, and they take some 13 ms."""
PEER_BYTES_MAX = 256 << 10
QUIET_S = 0.1
"""No order for so long: none is waited for."""


class Slices:
    """Of one driver, commit by commit."""

    def __init__(self) -> None:
        self._wrote_s = -QUIET_S

    def events(self, own: int, now_s: float) -> int:
        """For a commit with `own` events of this node: as many as those, within the limits."""
        if own:
            self._wrote_s = now_s
        if now_s - self._wrote_s >= QUIET_S:
            return EVENTS_MAX
        return max(EVENTS_BESIDE, min(own, EVENTS_MAX))
