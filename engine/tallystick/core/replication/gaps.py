"""What others have and this node lacks, and who is asked for it.

An origin's own link brings its frames unasked. Where there is none, or it stands still, whoever has them is
asked, one after another: so a third node relays around a cut.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from tallystick.core.replication.link import Link
from tallystick.core.replication.messages import Want

WANT_MS = 1_000
"""What was asked for and did not come is asked for again after this time."""
STALL_MS = 500
"""An origin whose own link brings nothing for so long, though it has more, is asked for elsewhere."""


@dataclass(slots=True)
class _Gap:
    """`at_ms`: when it was noticed, got smaller or was asked for, the last of it. `link`: who was asked."""

    at_ms: int
    link: int = 0


class Gaps:
    """All gaps of one node, by origin."""

    def __init__(self) -> None:
        self._gaps: dict[int, _Gap] = {}

    def __bool__(self) -> bool:
        """Whether anything is lacking, as far as was sought."""
        return bool(self._gaps)

    def narrowed(self, origin: int, now_ms: int) -> None:
        """Something of the origin came."""
        if origin in self._gaps:
            self._gaps[origin].at_ms = now_ms

    def seek(
        self, links: Collection[Link], besides: Collection[int], reached: Callable[[int], int], now_ms: int
    ) -> list[tuple[Link, Want]]:
        """What to ask for now, and over which link. `reached`: up to which event of an origin all is here;
        `besides`: origins of which nothing is wanted."""
        wants = []
        for origin in sorted({origin for link in links for origin in link.has}.difference(besides)):
            seq = reached(origin)
            ahead = [link for link in links if link.seq_of(origin) > seq]
            if not ahead:
                self._gaps.pop(origin, None)
                continue
            gap = self._gaps.setdefault(origin, _Gap(now_ms))
            if now_ms - gap.at_ms >= _patience_ms(gap, origin, links):
                source = _next((link for link in ahead if link.peer != origin), gap.link)
                if source is not None:
                    gap.link, gap.at_ms = source.number, now_ms
                    wants.append((source, Want(origin, seq, source.seq_of(origin))))
        return wants


def _patience_ms(gap: _Gap, origin: int, links: Iterable[Link]) -> int:
    if any(link.number == gap.link for link in links):
        return WANT_MS
    return STALL_MS if any(link.peer == origin for link in links) else 0


def _next(sources: Iterable[Link], last: int) -> Link | None:
    """The next in turn: who was asked last may be cut off, or have it from a snapshot and not as frames."""
    return min(sources, key=lambda link: (link.number <= last, link.number), default=None)
