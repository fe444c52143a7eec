"""Many deadlines on one timer, with the clock in the test's hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from tallystick.client.deadlines import Deadlines


class Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """The part of an event loop that tells the time and rings."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(when, callback)
        self.timers.append(timer)
        return timer

    @property
    def live(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.cancelled]

    def ring(self) -> None:
        (timer,) = self.live
        self.timers.clear()
        self.now = timer.when
        timer.callback()


def watching(pending: list[float]) -> tuple[Clock, Deadlines, list[float]]:
    """A watch over `pending`, and the deadlines that it has found to be over, in order."""
    clock = Clock()
    expired: list[float] = []

    def expire(now: float) -> float:
        over = sorted(each for each in pending if each <= now)
        expired.extend(over)
        pending[:] = [each for each in pending if each > now]
        return min(pending, default=float("inf"))

    return clock, Deadlines(cast(Any, clock), expire), expired


def test_the_timer_stands_at_the_earliest():
    clock, deadlines, _ = watching([])
    for deadline in (10.0, 12.0, 3.0, 11.0):
        deadlines.watch(deadline)
    assert [timer.when for timer in clock.live] == [3.0]
    assert len(clock.timers) == 2  # one that was set, one that was set sooner


def test_it_moves_on_to_the_next():
    pending = [3.0, 10.0, 11.0]
    clock, deadlines, expired = watching(pending)
    for deadline in pending:
        deadlines.watch(deadline)
    clock.ring()
    assert expired == [3.0]
    assert [timer.when for timer in clock.live] == [10.0]


def test_a_call_that_was_answered_costs_one_look():
    pending = [3.0]
    clock, deadlines, expired = watching(pending)
    deadlines.watch(3.0)
    pending.clear()
    clock.ring()
    assert (expired, clock.live) == ([], [])
    deadlines.watch(5.0)
    assert [timer.when for timer in clock.live] == [5.0]


def test_a_crowd_expires_in_few_looks():
    pending = [1.0 + each / 100_000 for each in range(1_000)]
    clock, deadlines, expired = watching(pending)
    deadlines.watch(1.0)
    looks = 0
    while clock.live:
        clock.ring()
        looks += 1
    assert len(expired) == 1_000
    assert looks <= 3


def test_stopping_forgets():
    clock, deadlines, _ = watching([3.0])
    deadlines.watch(3.0)
    deadlines.stop()
    assert clock.live == []
