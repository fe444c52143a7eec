"""Which address next, given what has failed and when. Pure.

Addresses stand in order of preference: the first is usually the caller's own region. One that failed is
*down*: it is tried last, and asked in the background, after pauses that grow, whether it answers again. So
while another answers, no caller waits for a node that may still be gone, and the preferred one is gone back
to as soon as it is there.
"""

from __future__ import annotations

from tallystick.client.attempts import backoff_s
from tallystick.client.failures import Failure

_PAUSE_FIRST_S = 1.0
_PAUSE_MAX_S = 15.0


class Health:
    """Which of `count` addresses are down. Times are seconds on a clock of the caller's."""

    __slots__ = ("_ask_at", "_failures", "tour")

    def __init__(self, count: int) -> None:
        self._failures = [0] * count  # since a write was last answered there
        self._ask_at: dict[int, float] = {}  # of those that are down
        self.tour: tuple[int, ...] = tuple(range(count))
        """All addresses, best first: those that are up as preferred, then those to be asked again soonest."""

    def failures(self, address: int) -> int:
        """How often it has failed since a write was last answered there."""
        return self._failures[address]

    def is_down(self, address: int) -> bool:
        return address in self._ask_at

    def fail(self, address: int, now: float, luck: float) -> float:
        """It does not answer: it is down. How long to wait before it is asked, in seconds.

        Half of the pause is left to `luck` in [0, 1), so that clients don't come back together.
        """
        ceiling = min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 2.0 ** min(self._failures[address], 10))
        pause = ceiling * (0.5 + luck / 2)
        self._failures[address] += 1
        self._ask_at[address] = now + pause
        self._sort()
        return pause

    def rise(self, address: int) -> None:
        """It says that it is back. Whether it is, a call will tell: until then its pauses go on growing."""
        self._ask_at.pop(address, None)
        self._sort()

    def answered(self, address: int, failures: int) -> None:
        """A write that began after so many failures was answered: unless there were more, all is forgotten.

        A read proves less: a node whose writes hang may answer it.
        """
        if 0 < failures == self._failures[address]:
            self._failures[address] = 0
            self.rise(address)

    def _sort(self) -> None:
        down = sorted(self._ask_at, key=lambda address: (self._ask_at[address], address))
        up = [address for address in range(len(self._failures)) if address not in self._ask_at]
        self.tour = (*up, *down)


class Route:
    """One call's way: each address once a round, then a pause, then another round.

    It ends with the first round in which somebody said what no repetition mends.
    """

    __slots__ = ("_at", "_failures", "_health", "_only", "_soonest_s", "_told", "_tour", "rounds")

    def __init__(self, health: Health, only: int | None = None) -> None:
        self._health = health
        self._only = only
        self._tour: tuple[int, ...] = ()
        self._at = 0
        self._failures = 0  # of the present address, when the attempt began
        self._soonest_s = 0.0  # what the most hopeful of this round advised
        self._told: Failure | None = None
        self.rounds = 0
        """How many are over."""

    def next(self) -> int:
        """The address of the next attempt."""
        if not self._at:
            self._tour = self._health.tour if self._only is None else (self._only,)
        address = self._tour[self._at]
        self._at += 1
        self._failures = self._health.failures(address)
        return address

    def wrote(self) -> None:
        """The attempt was answered, and was a write."""
        if self._failures:
            self._health.answered(self._tour[self._at - 1], self._failures)

    def after(self, failure: Failure, luck: float) -> float | None:
        """An attempt failed: how long to wait before the next, in seconds; None if there is to be none."""
        advised = failure.retry_after_s
        self._soonest_s = advised if self._at == 1 else min(self._soonest_s, advised)
        if self._tells_more(failure):
            self._told = failure
        if not failure.elsewhere:
            return None
        if self._at < len(self._tour):
            return 0.0
        if not self.told.retryable:
            return None
        delay = backoff_s(self.rounds, self._soonest_s, luck)
        self.rounds += 1
        self._at = 0
        return delay

    @property
    def told(self) -> Failure:
        """The failure that tells most: the first that is final, else the last that a node explained."""
        assert self._told is not None, "asked only after a failure"
        return self._told

    def _tells_more(self, failure: Failure) -> bool:
        told = self._told
        if told is None:
            return True
        return told.retryable and (
            not failure.retryable or bool(failure.error.reason) or not told.error.reason
        )
