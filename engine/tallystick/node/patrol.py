"""The patrol: goes round the orders that wait for their owner, so that nothing recorded is ever forgotten.

What arrives is settled at once; a crash between the two, tokens that came later, or a rival that is answered
at last leave orders that only a second look finds.
"""

from __future__ import annotations

from tallystick.store.port import Table
from tallystick.store.store import Store

AT_ONCE = 64
ROUND_S = 5.0
PAUSE_S = 0.1


class Patrol:
    """One node's. It begins with a round at once: what was open when the node went down comes first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._after = b""
        self._next_s = 0.0

    def due(self, now_s: float) -> list[str]:
        """Some orders to settle, if it is time."""
        if now_s < self._next_s:
            return []
        keys: list[bytes] = []
        with self._store.read() as reader:
            for key, _ in reader.scan(Table.INTENTS, self._after + b"\0", None):
                keys.append(key)
                if len(keys) == AT_ONCE:
                    break
        more = len(keys) == AT_ONCE
        self._after = keys[-1] if more else b""
        self._next_s = now_s + (PAUSE_S if more else ROUND_S)
        return [key.decode() for key in keys]
