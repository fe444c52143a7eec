"""Finds holds whose time is over, from the `expiry` table, which sorts by time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from tallystick.core.replica.commands import Command, ExpireHold
from tallystick.node.jobs import Job, Receipt, Result, StorageFull
from tallystick.store.port import Table
from tallystick.store.store import Store

_AT_ONCE = 256
_NEVER = 1 << 62
_AGAIN_MS = 60_000
"""What was due and did not end is tried again after this time: something may have come in between."""


class Sweeper:
    """Remembers when the next hold ends, so that nothing is read while nothing is due.

    It goes through what is due from the oldest on, a few at a time. What can't be ended (a rotten record, a
    peer's claim) stays in the table, so a look begins where the last one ended, not at the oldest again.
    """

    def __init__(self, store: Store, interval_ms: int) -> None:
        self._store = store
        self._interval_s = interval_ms / 1000
        self._next_ms = 0
        self._after = b""
        """The last key of a look that left some; empty after one that came to the end."""
        self._last = time.monotonic()

    def wait_s(self) -> float:
        """How long the engine may sleep before it looks again: not at all if there was more than it took."""
        return 0.0 if self._after else self._interval_s

    def note(self, expiry: Mapping[bytes, bytes | None]) -> None:
        """Take note of the holds that a commit has added; those that it has removed (None) need no look."""
        added = (int.from_bytes(key[:8]) for key, value in expiry.items() if value is not None)
        self._next_ms = min(self._next_ms, min(added, default=_NEVER))

    def look_again(self) -> None:
        """What was due could not be written: it is due still."""
        self._next_ms = 0
        self._after = b""
        self._last = time.monotonic()

    def due(self, now_ms: int) -> list[str]:
        """Orders whose hold is over, the oldest first; some of many."""
        if not self._after and now_ms < self._next_ms:
            return []
        now = time.monotonic()
        if not self._after and now - self._last < self._interval_s:
            return []
        keys: list[bytes] = []
        some = bool(self._after)
        left = False
        self._next_ms = _NEVER
        with self._store.read() as reader:
            for key, _ in reader.scan(Table.EXPIRY, self._after + b"\0", None):
                left = len(keys) == _AT_ONCE
                if left or int.from_bytes(key[:8]) > now_ms:
                    self._next_ms = int.from_bytes(key[:8])
                    break
                keys.append(key)
        if keys or some:
            self._next_ms = min(self._next_ms, now_ms + _AGAIN_MS)
        self._after = keys[-1] if left else b""
        if not left:
            self._last = now
        return [key[8:].decode() for key in keys]


class Sweep(Job):
    """A hold whose time is over."""

    def __init__(self, order_id: str, sweeper: Sweeper) -> None:
        self._order_id = order_id
        self._sweeper = sweeper

    def commands(self) -> Sequence[Command]:
        return (ExpireHold(self._order_id),)

    def answer(self, results: Sequence[Result], receipt: Receipt) -> None:
        if isinstance(results[0], StorageFull):
            self._sweeper.look_again()

    def deliver(self, answer: None) -> None:
        """Nobody waits for it."""
