"""How fast an item is asked for: what rebalancing goes by, and how long the stock will last.

A rate is an exponentially weighted count, in units a second: what was asked for counts half after a
half-life. It needs two numbers an item and no buckets, and rates of different age can be brought to one
time and compared (the load average of Unix is made so).

A rate that a peer told fades here exactly as it fades there, so nobody takes a node for busier than it takes
itself. That is what lets rebalancing come to rest, see `rebalance`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from heapq import nlargest
from typing import NamedTuple

HALF_LIFE_MS = 300_000
"""Five minutes: a rush shows within one, a quiet minute is no change of heart."""
ITEMS_MAX = 10_000
YOUNG_MS = 10_000
"""What a meter saw in less time than this counts as if it had come in that time."""
SILENCE = 1 / 64
"""Units. What is left of a count below this is silence: after demand stops, all rates come to exactly 0."""

_LIFE_S = HALF_LIFE_MS / 1000 / math.log(2)


def decayed(rate: float, elapsed_ms: int) -> float:
    """What a rate has come down to if nothing was asked for since: for a peer's that is `elapsed_ms` old."""
    left = rate * 0.5 ** (max(0, elapsed_ms) / HALF_LIFE_MS)
    return left if left * _LIFE_S >= SILENCE else 0.0


def share_seen(age_ms: int) -> float:
    """How much of all that counts a meter has seen that has counted for so long. Without this a node that was
    just started would look idle, and be left without tokens."""
    return float(1 - 0.5 ** (max(age_ms, YOUNG_MS) / HALF_LIFE_MS))


class Told(NamedTuple):
    """A peer's rate as it told it at `at_ms`, of our clock, having counted for `age_ms`."""

    rate: float
    at_ms: int
    age_ms: int

    def at(self, now_ms: int) -> float:
        """What the peer takes it for by now, if nothing was asked for since."""
        elapsed_ms = max(0, now_ms - self.at_ms)
        counted = decayed(self.rate * share_seen(self.age_ms), elapsed_ms)
        return counted / share_seen(self.age_ms + elapsed_ms)


def runway(rights: int, rate: float) -> float:
    """Seconds until `rights` are sold at `rate`; infinite if nobody asks."""
    if rights <= 0:
        return 0.0
    return rights / rate if rate > 0 else math.inf


class DemandMeter:
    """The rates of the items that are asked for here; of at most `items_max`, the busiest. It has counted
    since `since_ms`, or since its first note.

    A clock that went backwards counts as one that stood still.
    """

    def __init__(self, items_max: int = ITEMS_MAX, since_ms: int | None = None) -> None:
        self._items_max = items_max
        self._since_ms = since_ms
        self._rates: dict[bytes, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._rates)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._rates)

    def __contains__(self, key: bytes) -> bool:
        return key in self._rates

    def note(self, key: bytes, units: int, now_ms: int) -> list[bytes]:
        """An order asked for `units` of an item, whether it got them or not. Answers the items that were
        forgotten for it: there were too many."""
        if self._since_ms is None:
            self._since_ms = now_ms
        rate, at_ms = self._rates.get(key, (0.0, now_ms))
        self._rates[key] = decayed(rate, now_ms - at_ms) + units / _LIFE_S, max(at_ms, now_ms)
        return self._forget(now_ms) if len(self._rates) > self._items_max else []

    def rate(self, key: bytes, now_ms: int) -> float:
        """Units a second; 0 for an item that is not asked for."""
        rate, at_ms = self._rates.get(key, (0.0, now_ms))
        return decayed(rate, now_ms - at_ms) / share_seen(self.age_ms(now_ms))

    def age_ms(self, now_ms: int) -> int:
        """For how long it has counted."""
        return 0 if self._since_ms is None else max(0, now_ms - self._since_ms)

    def _forget(self, now_ms: int) -> list[bytes]:
        """Keep the busiest three quarters, so that forgetting is rare."""
        kept = nlargest(self._items_max * 3 // 4, self._rates, lambda key: (self.rate(key, now_ms), key))
        forgotten = self._rates.keys() - kept
        self._rates = {key: self._rates[key] for key in kept}
        return sorted(forgotten)
