"""What the log is told once when it begins, and once when it ends, however often it is seen."""

from __future__ import annotations

import structlog

from tallystick.core.clock import FORWARD_LIMIT_MS, hlc_ms
from tallystick.core.members import node_name

log = structlog.get_logger("engine")


class Notes:
    """One node's."""

    def __init__(self) -> None:
        self.ahead: dict[int, int] = {}
        """Members whose clock was last seen too far ahead, and by how many milliseconds."""
        self._refusing = ""
        self._behind = False

    def clock(self, stamp: int, now_ms: int) -> None:
        """Our own events would be stamped so."""
        behind = hlc_ms(stamp) > now_ms + FORWARD_LIMIT_MS
        if behind and not self._behind:
            log.warning("the clock is behind what was written: times stand still", ms=hlc_ms(stamp) - now_ms)
        self._behind = behind

    def peer_ahead(self, origin: int, ms: int) -> None:
        """A member's clock is too far ahead of ours."""
        if origin not in self.ahead:
            log.warning("a peer's clock is ahead", node=node_name(origin), ms=ms)
        self.ahead[origin] = ms

    def refusing(self, reason: str) -> None:
        """Callers' writes are refused for this reason; for none, if it is empty."""
        if bool(reason) != bool(self._refusing):
            log.warning("writes are refused" if reason else "writes are open again", reason=reason)
        self._refusing = reason
