"""Requests that are built before the clock starts, and more as they are needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """Takes from `supply`: at once the `count` requests that the clock is to find ready."""

    def __init__(self, supply: Iterator[T], count: int) -> None:
        self._supply = supply
        self._built = deque(islice(supply, count))
        self.late = 0
        """Requests that were built on the clock, because the ones that were ready had run out."""

    def take(self, *, timed: bool) -> T:
        """The next one. What is ready is kept for timed windows."""
        if timed:
            if self._built:
                return self._built.popleft()
            self.late += 1
        return next(self._supply)
