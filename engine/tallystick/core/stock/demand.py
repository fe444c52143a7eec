"""How fast an item is asked for: what rebalancing goes by, and how long the stock will last.

A rate is an exponentially weighted count, in units a second: what was asked for counts half after a
half-life. It needs two numbers an item and no buckets, and rates of different age can be brought to one
time and compared (the load average of Unix is made so).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from heapq import nlargest

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

    def note(self, key: bytes, units: int, now_ms: int) -> None:
        """An order asked for `units` of an item, whether it got them or not."""
        if self._since_ms is None:
            self._since_ms = now_ms
        rate, at_ms = self._rates.get(key, (0.0, now_ms))
        self._rates[key] = decayed(rate, now_ms - at_ms) + units / _LIFE_S, max(at_ms, now_ms)
        if len(self._rates) > self._items_max:
            self._forget(now_ms)

    def rate(self, key: bytes, now_ms: int) -> float:
        """Units a second; 0 for an item that is not asked for."""
        rate, at_ms = self._rates.get(key, (0.0, now_ms))
        return decayed(rate, now_ms - at_ms) / self._share_seen(now_ms)

    def busiest(
        self, most: int, now_ms: int, among: Iterable[bytes] | None = None
    ) -> tuple[tuple[bytes, float], ...]:
        """(stock key, rate) of the items (of those `among`) that are asked for most, the busiest first: what
        gossip tells."""
        rates = ((key, self.rate(key, now_ms)) for key in (self._rates if among is None else among))
        asked_for = [pair for pair in rates if pair[1]]
        if len(asked_for) > most:
            least = nlargest(most, [rate for _, rate in asked_for])[-1]
            asked_for = [pair for pair in asked_for if pair[1] >= least]
        return tuple(sorted(asked_for, key=lambda pair: (-pair[1], pair[0]))[:most])

    def _share_seen(self, now_ms: int) -> float:
        """How much of all that counts a meter has seen that began with its first note. Without this a node
        that was just started would look idle, and be left without tokens."""
        age_ms = now_ms - (now_ms if self._since_ms is None else self._since_ms)
        return float(1 - 0.5 ** (max(age_ms, YOUNG_MS) / HALF_LIFE_MS))

    def _forget(self, now_ms: int) -> None:
        """Keep the busiest three quarters, so that forgetting is rare."""
        kept = self.busiest(self._items_max * 3 // 4, now_ms)
        self._rates = {key: self._rates[key] for key, _ in kept}
