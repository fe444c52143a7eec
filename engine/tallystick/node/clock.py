"""The two clocks of a node: the wall's, which may be wrong and jump, and one that only rises."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Clock(NamedTuple):
    """Milliseconds since 1970; and seconds that only rise, on which deadlines are."""

    wall_ms: Callable[[], int]
    monotonic: Callable[[], float]


def wall_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


WALL = Clock(wall_ms, time.monotonic)
