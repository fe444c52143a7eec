"""Knowing without a look-up that a new order id is not there.

Every look-up in LMDB gives the interpreter lock away, which is ruinous beside a busy thread, and placing an
order has to know that its id is new. Ids that are drawn in time order (UUIDv7, counters) arrive at one edge
of the table, so it suffices to know all keys near that edge.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final

from tallystick.store.port import Rows

KEYS_MAX: Final = 50_000
_SAMPLE_KEYS: Final = 1_000
_MISSES_MAX: Final = 64

Neighbours = Callable[[bytes], tuple[bytes | None, bytes | None]]


class EdgeCache:
    """All keys of a table in one window, floor < key < ceiling (and some that were deleted since).

    A key in the window that isn't among them is certainly absent, as of the last commit. When they become too
    many, the floor rises to their median. When new keys keep coming elsewhere (one outlier such as `zzz` ends
    the use of the right edge), the window moves to where they come.
    """

    __slots__ = ("_ceiling", "_floor", "_keys", "_keys_max", "_misses")

    def __init__(self, last_key: bytes | None, keys_max: int = KEYS_MAX) -> None:
        self._floor = b"" if last_key is None else last_key
        self._ceiling: bytes | None = None
        # A dict, because its order does not depend on the process: a simulated run replays to the byte.
        self._keys: dict[bytes, None] = {}
        self._keys_max = keys_max
        self._misses = 0

    def absent(self, key: bytes) -> bool:
        """Whether the key is certainly not in the table. False says nothing."""
        return key not in self._keys and key > self._floor and (self._ceiling is None or key < self._ceiling)

    def add(self, rows: Rows) -> None:
        """These rows were committed."""
        self._keys.update(dict.fromkeys(rows))
        if len(self._keys) > self._keys_max:
            self._trim()

    def missed(self, key: bytes, neighbours: Neighbours) -> None:
        """The key turned out to be absent, and we could not tell.

        `neighbours` answers the greatest key of the table below it and the smallest above it. It is asked
        only once in a while: should ids come in no order at all, the window is useless but costs little.
        """
        self._misses += 1
        if self._misses >= _MISSES_MAX:
            below, self._ceiling = neighbours(key)
            self._floor = b"" if below is None else below
            self._misses = 0

    def _trim(self) -> None:
        """Forget keys outside the window, and raise the floor to about the median of those inside."""
        step = max(1, self._keys_max // _SAMPLE_KEYS)
        inside = filter(self._floor.__lt__, islice(self._keys, 0, None, step))
        sample = sorted(inside if self._ceiling is None else filter(self._ceiling.__gt__, inside))
        if 2 * len(sample) * step > self._keys_max:
            self._floor = sample[len(sample) // 2]
        kept = filter(self._floor.__lt__, self._keys)
        self._keys = dict.fromkeys(kept if self._ceiling is None else filter(self._ceiling.__gt__, kept))
