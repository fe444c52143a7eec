"""What callers are told is so: nothing acknowledged is lost, nothing refused happens, all are answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tallystick_sim.oracle.books import Complaint
from tallystick_sim.oracle.events import Alarmed, Answered, Asked, Ended, Event, Failed, Shown, Unheard

if TYPE_CHECKING:
    from tallystick_sim.oracle.jury import Court

SLACK_MS = 150.0
"""An answer may leave so long after its time: turns are not endless, and clocks drift."""
SAYS_WHY = {
    "COUNTER_FULL",
    "ETAG_MISMATCH",
    "HISTORY_FULL",
    "INSUFFICIENT_STOCK",
    "INVALID_FIELD",
    "LINE_NOT_FOUND",
    "ORDER_CANCELLED",
    "ORDER_CONFIRMED",
    "ORDER_DUPLICATE",
    "ORDER_EXPIRED",
    "ORDER_ID_REUSED",
    "ORDER_NOT_FOUND",
    "QUANTITY_TOO_LARGE",
    "REQUEST_ID_REUSED",
    "WRONG_NODE",
}
"""Refusals that are about what was asked. A healthy node has no other, whatever it can reach."""
BUGS = {"INTERNAL", "CORRUPT_RECORD"}
TOLD_ALARMS = {"CLOCK_AHEAD"}
"""Alarms that a run without ill nodes may have."""


class Acknowledged:
    """Acknowledged is on disk there, on as many others as was said, and stays; what was refused everywhere,
    or was never asked for, does not happen."""

    HEARS: tuple[type, ...] = (Asked, Answered, Unheard, Ended)

    def __init__(self) -> None:
        self._asked: dict[int, Asked] = {}
        self._open: dict[tuple[str, ...], bool] = {}
        """Fact → whether some attempt is not known to have failed."""
        self._sure: dict[tuple[str, ...], int] = {}

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        match event:
            case Asked():
                self._asked[event.number] = event
                self._open.setdefault(event.fact, False)
            case Answered() if event.number in self._asked:
                yield from self._answered(event, self._asked.pop(event.number), court)
            case Unheard() if event.number in self._asked:
                self._open[self._asked.pop(event.number).fact] = True
            case Ended() if court.strict:
                yield from self._ended(court)

    def _answered(self, event: Answered, asked: Asked, court: Court) -> Iterator[Complaint]:
        if event.reason:
            self._open[asked.fact] |= not event.definite
            return
        self._open[asked.fact] = True
        if not court.strict:
            return
        vector = court.vectors.get(event.node, {})
        if not event.replayed:
            self._sure[asked.fact] = event.number
            if not court.books.is_there(asked.fact, vector):
                yield (
                    "acknowledged",
                    f"{asked.fact} was acknowledged, and node {event.node} does not have it",
                )
        yield from self._copies(event, court)

    def _copies(self, event: Answered, court: Court) -> Iterator[Complaint]:
        """As many other disks have it as was said."""
        others = (vector for node, vector in court.vectors.items() if node != event.node)
        replica = court.replicas.get(event.node, 0)
        copies = sum(vector.get(replica, (0, b""))[0] >= event.seq for vector in others)
        if copies < event.copies:
            yield (
                "acknowledged",
                f"call {event.number} was told of {event.copies} copies, it has {copies}",
            )

    def _ended(self, court: Court) -> Iterator[Complaint]:
        facts = court.books.facts
        for fact, number in self._sure.items():
            if fact not in facts:
                yield "acknowledged", f"{fact} of call {number} is nowhere"
        for fact in facts:
            if fact not in self._open:
                yield "invented", f"{fact} is there, and nobody asked for it"
            elif not self._open[fact] and not any(asked.fact == fact for asked in self._asked.values()):
                yield "invented", f"{fact} is there, and all who asked for it were refused"


class ReadYourWrites:
    """A node whose disk has all that a caller's token names shows what the caller wrote."""

    HEARS: tuple[type, ...] = (Shown,)

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        if isinstance(event, Shown) and court.strict:
            vector = court.vectors.get(event.node, {})
            for fact in court.books.facts_of(event.order_id):
                if court.books.is_there(fact, vector) and fact not in event.facts:
                    yield (
                        "read your writes",
                        f"{fact} is on the disk of node {event.node}, which does not show it",
                    )


class Available:
    """A healthy node answers whatever it can reach: with its tokens, if it holds enough, or with a reason
    that is about the request."""

    HEARS: tuple[type, ...] = (Asked, Answered)

    def __init__(self) -> None:
        self._asked: dict[int, Asked] = {}

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        match event:
            case Asked():
                self._asked[event.number] = event
            case Answered() if event.number in self._asked:
                asked = self._asked.pop(event.number)
                if event.healthy and event.reason and event.node not in court.ill:
                    yield from _judge(event, asked, court)


def _judge(event: Answered, asked: Asked, court: Court) -> Iterator[Complaint]:
    if event.reason not in SAYS_WHY:
        yield "available", f"call {event.number} is refused by a healthy node: {event.reason}"
    elif event.reason == "INSUFFICIENT_STOCK" and court.strict and asked.fact[0] == "order":
        if court.changed_ms.get(event.node) == event.at_ms:
            return  # what was there when it was refused is not what is there now
        vector, me = court.vectors.get(event.node, {}), court.replicas.get(event.node, 0)
        units: dict[tuple[str, str], int] = {}
        for item, count in asked.lines:
            units[item] = units.get(item, 0) + count
        if all(court.books.rights(item, me, vector) >= count for item, count in units.items()):
            yield (
                "available",
                f"call {event.number} is refused by node {event.node}, which holds what it asks for",
            )


class EndsInTime:
    """Every caller has an answer by its deadline, unless the process that it asked is gone or stood still."""

    HEARS: tuple[type, ...] = (Asked, Answered, Unheard, Ended)

    def __init__(self) -> None:
        self._open: dict[int, Asked] = {}

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        match event:
            case Asked():
                self._open[event.number] = event
            case Unheard():
                self._open.pop(event.number, None)
            case Answered():
                asked = self._open.pop(event.number, None)
                if asked is None:
                    yield "ends", f"call {event.number} is answered, and it was not open"
                elif event.healthy and event.at_ms > asked.until_ms + SLACK_MS:
                    yield (
                        "ends",
                        f"call {event.number} is answered {event.at_ms - asked.until_ms:.0f} ms late",
                    )
            case Ended():
                # A run that is over may have calls under way; their callers would still have waited.
                late = (n for n, asked in self._open.items() if event.at_ms > asked.until_ms + SLACK_MS)
                yield from (("ends", f"call {number} was never answered") for number in late)


class Sound:
    """No process ends by a bug, none answers with one, and none sees a fault where there is none."""

    HEARS: tuple[type, ...] = (Failed, Answered, Alarmed)

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        match event:
            case Failed(_, node, error) if node not in court.ill:
                yield "sound", f"node {node} failed: {error}"
            case Answered(_, number, node, reason) if reason in BUGS and node not in court.ill:
                yield "sound", f"call {number} is answered {reason}"
            case Alarmed(_, node, reason, about) if court.strict and reason not in TOLD_ALARMS:
                yield "sound", f"node {node} raises {reason} about {about}"
