"""How orders end: placed once, rivals before all else, every wish decided, no hold beyond its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from tallystick_sim.oracle.books import ORDER, Complaint
from tallystick_sim.oracle.claims import CONFIRM, DUPLICATE, EXPIRE, HELD, LIVE, ClaimBook
from tallystick_sim.oracle.events import Committed, Event, Listed, RawFrame, Vector

if TYPE_CHECKING:
    from tallystick_sim.oracle.jury import Court

WISHES = {2, 3, 4}
"""Kinds of intents that an owner answers, by the numbers of the stored format."""
SLACK_MS = 2_000


class PlacedOnce:
    """An id that was placed at several nodes ends as one order; with other contents, as one for each."""

    HEARS: tuple[type, ...] = (Listed,)

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        for name, claims in court.books.claims.items() if court.strict else ():
            for body in {book.body for book in claims.values()}:
                standing = [d for d, book in claims.items() if book.body == body and book.state != DUPLICATE]
                if len(standing) != 1:
                    yield "placed once", f"of {name} {len(standing)} claims stand in the end: {standing}"


class RivalsFirst:
    """Who knows of a living rival with the same contents neither sells nor lets the hold end."""

    HEARS: tuple[type, ...] = (Committed,)

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        if not isinstance(event, Committed) or not court.strict:
            return
        own = (frame for frame in event.frames if frame.origin == event.replica)
        for name, decision in _decisions(own):
            claims = court.books.claims.get(name, {})
            dot = decision["x"], decision["y"]
            if decision["k"] in (CONFIRM, EXPIRE) and dot in claims:
                for rival in _known_rivals(claims, dot, court.vectors.get(event.node, {})):
                    yield "rivals first", f"{dot} of {name} decides beside its rival {rival}"


def _decisions(frames: Iterable[RawFrame]) -> Iterator[tuple[str, Any]]:
    for frame in frames:
        for kind, name, delta in chain.from_iterable(frame.events):
            if kind == ORDER:
                yield from ((name, decision) for decision in delta.get("d", ()))


def _known_rivals(
    claims: Mapping[tuple[int, int], ClaimBook], dot: tuple[int, int], seen: Vector
) -> Iterator[tuple[int, int]]:
    """Rivals that a disk has and that live, whatever else of them came there."""
    for rival, book in claims.items():
        known = seen.get(rival[0], (0, b""))[0] >= rival[1]
        lives = book.state in LIVE and not book.has_ended
        if rival != dot and known and lives and book.body == claims[dot].body:
            yield rival


class Decided:
    """Whatever callers wish of an order that is there is answered by a decision that cites it."""

    HEARS: tuple[type, ...] = (Committed, Listed)

    def __init__(self) -> None:
        self._wishes: dict[tuple[str, int, str], set[str]] = {}
        """Order, kind, request → the dots under which it was recorded, as decisions cite them."""
        self._cited: set[tuple[str, str]] = set()

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        match event:
            case Committed():
                for frame in event.frames:
                    self._note(frame)
            case Listed() if court.strict:
                for (name, _, request), dots in self._wishes.items():
                    placed = name in court.books.claims
                    if placed and not any((name, dot) in self._cited for dot in dots):
                        yield "decided", f"nobody has decided on {request} of {name}"

    def _note(self, frame: RawFrame) -> None:
        orders = (e for entries in frame.events for e in entries if e[0] == ORDER)
        for _, name, delta in orders:
            self._note_order(name, delta)

    def _note_order(self, name: str, delta: Any) -> None:
        for intent in delta.get("i", ()):
            if intent["k"] in WISHES:
                wish = name, intent["k"], intent["i"]
                self._wishes.setdefault(wish, set()).add("{r:012x}:{q}".format(**intent))
        self._cited |= {(name, decision["c"]) for decision in delta.get("d", ()) if decision.get("c")}


class HoldsEnd:
    """No hold is there in the end whose time is over, on its owner's clock."""

    HEARS: tuple[type, ...] = (Listed,)

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        if not isinstance(event, Listed) or not court.strict:
            return
        for name, claims in court.books.claims.items():
            for (replica, _), book in claims.items():
                over = event.clocks.get(replica, 0) - book.until_ms
                if book.state == HELD and over > SLACK_MS:
                    yield "holds end", f"{name} is held still, {over} ms after its time"
