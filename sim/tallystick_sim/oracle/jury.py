"""The jury: every promise has a checker, and all of them see the same history.

Checkers are named after what they hold. Each is a small class that is told of events and answers complaints;
`CHECKERS` is the table of them. They work on any history, recorded by a run or written by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from tallystick_sim.oracle.agreement import Agreement, SameInTheEnd
from tallystick_sim.oracle.answers import Acknowledged, Available, EndsInTime, ReadYourWrites, Sound
from tallystick_sim.oracle.books import Books, Complaint
from tallystick_sim.oracle.chains import Bounded, Chains, Fenced
from tallystick_sim.oracle.endings import Decided, HoldsEnd, PlacedOnce, RivalsFirst
from tallystick_sim.oracle.events import Committed, Event, FellIll, RawFrame, Vector


class Violation(NamedTuple):
    """A promise that was broken."""

    checker: str
    message: str
    at_ms: float = 0.0


class Court:
    """What all checkers know: the books, what each disk has, and who is not to be trusted any more."""

    def __init__(self) -> None:
        self.books = Books()
        self.vectors: dict[int, Vector] = {}
        """By node: what is on its disk."""
        self.replicas: dict[int, int] = {}
        """By node: its id."""
        self.ill: set[int] = set()
        """Nodes on disks that can't be trusted."""
        self.changed_ms: dict[int, float] = {}
        """By node: when something last came to its disk."""

    @property
    def strict(self) -> bool:
        """Whether all disks are what they were: an old copy of one can sell again what it held."""
        return not self.ill


class Checker(Protocol):
    """One promise, or several that are checked together. `HEARS` are the events that it wants to see."""

    HEARS: tuple[type, ...]

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        """Take note of an event; answers what is wrong with it. What is on disks is as before it."""
        ...


CHECKERS: tuple[type[Checker], ...] = (
    Chains,
    Bounded,
    Fenced,
    Acknowledged,
    ReadYourWrites,
    Available,
    EndsInTime,
    Sound,
    Agreement,
    SameInTheEnd,
    PlacedOnce,
    RivalsFirst,
    Decided,
    HoldsEnd,
)
"""The books audit frames beside these: no oversell, rights, conservation, freed once, counted once, writers,
one hash a dot, never shrinks, status."""


class Jury:
    """Judges one history."""

    def __init__(self, checkers: Sequence[type[Checker]] = CHECKERS) -> None:
        self.court = Court()
        self.violations: list[Violation] = []
        self._hearing: dict[type, list[Checker]] = {}
        for checker in (each() for each in checkers):
            for kind in checker.HEARS:
                self._hearing.setdefault(kind, []).append(checker)

    def see(self, event: Event) -> None:
        """The next event."""
        court = self.court
        complaints = [
            found for checker in self._hearing.get(type(event), ()) for found in checker.see(event, court)
        ]
        if isinstance(event, Committed):
            complaints += self._enter(event)
        elif isinstance(event, FellIll):
            court.ill.add(event.node)
        self.violations += [Violation(name, text, event.at_ms) for name, text in complaints]

    def _enter(self, event: Committed) -> list[Complaint]:
        court = self.court
        seen = court.vectors.get(event.node, {})
        found: list[Complaint] = []
        if court.strict:
            for frame in event.frames:
                if self._is_new(frame, event.replica):
                    found += court.books.take(frame, seen)
        court.vectors[event.node] = event.vector
        court.replicas[event.node] = event.replica
        court.changed_ms[event.node] = event.at_ms
        return found

    def _is_new(self, frame: RawFrame, writer: int) -> bool:
        """Whether it is seen for the first time: at its writer, or else nobody will ever see it written."""
        known = self.court.books.heads.get(frame.origin, {})
        return frame.last not in known or (frame.origin == writer and known[frame.last] != frame.digest)
