"""Whom a new node asks for rows, and when again.

Rows are of one process, and with another all is read again. So who is slow is asked again, and who is gone is
waited for; another is turned to only when nothing has come for long, or the process is no more.
"""

from __future__ import annotations

from collections.abc import Mapping

Process = tuple[int, int]
"""A peer, and the boot that its Hello names."""

AGAIN_MS = 2_000
"""The same is asked for again when no answer came for so long, then for twice as long, and so on; at least
twice as long as the last whole piece took, for over a thin line an answer is queued behind others."""
AGAIN_MS_MAX = 60_000
PATIENCE_MS = 8_000
"""Another process is turned to when one has not answered for so long; each time twice as long as before."""
PATIENCE_MS_MAX = 600_000
GONE_MS = 15_000
"""No longer than this if its link is gone."""


class Turns:
    """One installation's."""

    def __init__(self) -> None:
        self.process: Process | None = None
        """Whose rows are read."""
        self._link = 0
        self._turned: dict[int, int] = {}
        """By peer: its last turn."""
        self._asked_ms: int | None = None
        self._again_ms = 0
        self._every_ms = AGAIN_MS
        self._since_ms = 0
        """When something came last, or the next was asked for, whatever links were lost meanwhile."""
        self._patience_ms = PATIENCE_MS
        self._has_rows = False

    def ask(self, links: Mapping[int, Process], now_ms: int) -> int | None:
        """The link to ask over now, of those to processes that have rows; None while an answer is waited for,
        or a link."""
        gone = self._link not in links
        if gone:
            self._link = next((link for link, each in links.items() if each == self.process), 0)
            if self._asked_ms is None:
                self._asked_ms = self._since_ms = now_ms
        others = [link for link, process in links.items() if process != self.process]
        if others and self._leaves(links, now_ms):
            self._turn_to(min(others, key=lambda link: (self._turned.get(links[link][0], 0), link)), links)
        elif not self._link or (self._asked_ms is not None and not gone and now_ms < self._again_ms):
            return None
        if self._asked_ms is None:
            self._asked_ms = self._since_ms = now_ms
        elif gone:
            self._asked_ms = now_ms
        else:
            self._every_ms = min(2 * self._every_ms, AGAIN_MS_MAX)
        self._again_ms = now_ms + self._every_ms
        return self._link

    def came(self, now_ms: int, *, whole: bool) -> None:
        """An answer came. The last rows of a table may be few and quick: only a `whole` piece says how long
        one takes."""
        assert self._asked_ms is not None
        took_ms = now_ms - self._asked_ms
        self._every_ms = min(max(AGAIN_MS, 2 * took_ms if whole else self._every_ms // 2), AGAIN_MS_MAX)
        self._asked_ms, self._since_ms, self._has_rows = None, now_ms, True

    def answers(self, link: int) -> bool:
        """Whether what comes over this link may be an answer."""
        return link == self._link and self._asked_ms is not None

    def leave(self) -> int:
        """What came is worth nothing: begin anew. Answers over which link it came."""
        link, self.process, self._link = self._link, None, 0
        return link

    def _leaves(self, links: Mapping[int, Process], now_ms: int) -> bool:
        if self.process is None:
            return True
        waited_ms = now_ms - self._since_ms
        if self._link:
            return self._asked_ms is not None and waited_ms >= self._patience_ms
        has_restarted = any(peer == self.process[0] for peer, _ in links.values())
        return has_restarted or not self._has_rows or waited_ms >= min(self._patience_ms, GONE_MS)

    def _turn_to(self, link: int, links: Mapping[int, Process]) -> None:
        if self._link:  # of one that is there and silent
            self._patience_ms = min(2 * self._patience_ms, PATIENCE_MS_MAX)
        self.process, self._link = links[link], link
        self._turned[links[link][0]] = max(self._turned.values(), default=0) + 1
        self._asked_ms, self._has_rows = None, False
