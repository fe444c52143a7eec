"""Finds holds whose time is over, from the `expiry` table, which sorts by time."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tallystick.store.port import Table
from tallystick.store.store import Store

_AT_ONCE = 256
_NEVER = 1 << 62


class Sweeper:
    """Remembers when the next hold ends, so that nothing is read while nothing is due."""

    def __init__(self, store: Store, interval_ms: int) -> None:
        self._store = store
        self._interval_s = interval_ms / 1000
        self._next_ms = 0
        self._more = False
        self._last = time.monotonic()

    def wait_s(self) -> float:
        """How long the engine may sleep before it looks again: not at all if there was more than it took."""
        return 0.0 if self._more else self._interval_s

    def note(self, expiry: Iterable[bytes]) -> None:
        """Take note of holds that a commit has added (or removed: looking in vain costs little)."""
        if expiry:
            self._next_ms = min(self._next_ms, min(int.from_bytes(key[:8]) for key in expiry))

    def look_again(self) -> None:
        """What was due could not be written: it is due still."""
        self._next_ms = 0
        self._more = False
        self._last = time.monotonic()

    def due(self, now_ms: int) -> list[str]:
        """Orders whose hold is over, the oldest first; some of many."""
        now = time.monotonic()
        if now_ms < self._next_ms or now - self._last < self._interval_s:
            return []
        with self._store.read() as reader:
            keys: list[bytes] = []
            self._next_ms = _NEVER
            for key, _ in reader.scan(Table.EXPIRY, b"", None):
                if len(keys) == _AT_ONCE or int.from_bytes(key[:8]) > now_ms:
                    self._next_ms = int.from_bytes(key[:8])
                    break
                keys.append(key)
        self._more = len(keys) == _AT_ONCE
        if not self._more:
            self._last = now
        return [key[8:].decode() for key in keys]
