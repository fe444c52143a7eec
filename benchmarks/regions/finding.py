"""What a figure answers: a value of several rounds, what it was made of, and what is hoped for."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from benchmarks.figures import divide


class Target(msgspec.Struct, frozen=True):
    """A bound that is hoped for."""

    bound: float
    at_most: bool = False

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}"

    def met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report."""

    figure: str
    name: str
    value: float
    """The median of the rounds; of a ratio, the ratio of the medians."""
    rounds: list[float]
    """Of each round by itself: how far chance goes."""
    target: str = ""
    met: bool | None = None
    unit: str = ""
    """Empty: a ratio."""
    of: dict[str, list[float]] = {}
    """What a ratio was made of, by its name with the unit, round by round."""


def at_least(bound: float) -> Target:
    return Target(bound)


def at_most(bound: float) -> Target:
    return Target(bound, at_most=True)


Side = tuple[str, Sequence[float]]
"""A name with its unit, and the values of the rounds."""


def ratio(figure: str, name: str, ours: Side, theirs: Side, target: Target | None = None) -> Finding:
    """Median over median; the rounds were taken in turn, so they pair off."""
    value = divide(statistics.median(ours[1]), statistics.median(theirs[1]))
    return Finding(
        figure=figure,
        name=name,
        value=value,
        rounds=[divide(a, b) for a, b in zip(ours[1], theirs[1], strict=True)],
        target="" if target is None else str(target),
        met=None if target is None else target.met(value),
        of={key: list(values) for key, values in (ours, theirs)},
    )


def median(
    figure: str, name: str, unit: str, rounds: Sequence[float], target: Target | None = None
) -> Finding:
    """A value that needs no other beside it."""
    value = statistics.median(rounds)
    return Finding(
        figure=figure,
        name=name,
        value=value,
        rounds=list(rounds),
        target="" if target is None else str(target),
        met=None if target is None else target.met(value),
        unit=unit,
    )
