"""What the shoppers of one region were told, and when. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from tallystick.cli.demo.books import Books
from tallystick.cli.demo.regions.reach import Reach, Refusal
from tallystick.cli.demo.regions.timeline import Phase
from tallystick.cli.demo.story import units_of
from tallystick.client.values.order import Order

_RATE_S = 2.0
_RATE_S_MIN = 0.5
_P99_S = 5.0


class Moment(NamedTuple):
    """When something happened, in seconds since the doors opened, and how things stood."""

    at: float
    phase: Phase
    reach: Reach


class Answer(NamedTuple):
    """One order's answer. `phase` is that in which it was sent and answered; None if one ended meanwhile."""

    at: float
    took_s: float
    phase: Phase | None
    accepted: bool
    units: int = 1
    """What the order asked for, all articles together."""


@dataclass
class RegionBooks(Books):
    """The books of one region, in the order of time."""

    region: str = ""
    answers: list[Answer] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def note(self, order: Order, sent: Moment, answered: Moment) -> None:
        """The order was answered: when, and what with."""
        phase = sent.phase if sent.phase is answered.phase else None
        accepted = order.id in self.acknowledged
        wanted = units_of([order])
        units = sum(wanted.values())
        self.answers.append(Answer(answered.at, answered.at - sent.at, phase, accepted, units))
        if not accepted:
            reach = answered.reach
            # Asked in one epoch and refused in the next: nobody can say what it could reach.
            side = reach.side_of(self.region) if reach.epoch == sent.reach.epoch else frozenset()
            self.refusals.append(Refusal(answered.at, reach.epoch, side, wanted))

    def accepted_in(self, phase: Phase) -> int:
        return sum(answer.accepted and answer.phase is phase for answer in self.answers)

    def p99_ms_in(self, phase: Phase) -> float | None:
        """How long the slowest hundredth of the orders accepted in a phase waited at least."""
        return p99_ms(answer for answer in self.answers if answer.phase is phase)

    def orders_per_s(self, now: float) -> float:
        """As things go at the moment."""
        return len(self._since(now - _RATE_S)) / _span_s(now)

    def units_per_s(self, now: float) -> float:
        """Units that leave at the moment."""
        return sum(answer.units for answer in self._since(now - _RATE_S) if answer.accepted) / _span_s(now)

    def p99_ms_now(self, now: float) -> float | None:
        return p99_ms(self._since(now - _P99_S))

    def _since(self, moment: float) -> list[Answer]:
        return self.answers[bisect_right(self.answers, moment, key=attrgetter("at")) :]


def _span_s(now: float) -> float:
    """How long what counts as the present is: in the beginning, as long as the doors have been open."""
    return min(_RATE_S, max(now, _RATE_S_MIN))


def p99_ms(answers: Iterable[Answer]) -> float | None:
    """Of those accepted the 99th percentile by nearest rank, in milliseconds; None of nothing.

    A refusal says how long it took to ask everybody else, not how long it takes to sell.
    """
    took = sorted(answer.took_s for answer in answers if answer.accepted)
    return took[math.ceil(len(took) * 0.99) - 1] * 1000 if took else None
