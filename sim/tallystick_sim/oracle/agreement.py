"""Who has the same frames has the same state; in the end all have, and it is what the books say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tallystick_sim.oracle.books import Complaint
from tallystick_sim.oracle.events import Ended, Event, FellIll, Listed, Standing

if TYPE_CHECKING:
    from tallystick_sim.oracle.jury import Court


class Agreement:
    """Equal frames, equal state, by its content and by the digests of the engine."""

    HEARS: tuple[type, ...] = (FellIll, Standing)

    def __init__(self) -> None:
        self._seen: dict[tuple[tuple[int, tuple[int, bytes]], ...], tuple[int, str, str]] = {}

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        if isinstance(event, FellIll):
            self._seen.clear()
        if not isinstance(event, Standing) or event.node in court.ill:
            return
        key = tuple(sorted(event.vector.items()))
        other, content, root = self._seen.setdefault(key, (event.node, event.content, event.root))
        if content != event.content:
            yield "equal state", f"nodes {other} and {event.node} have equal frames, and other records"
        if root and event.root and root != event.root:
            yield "equal state", f"nodes {other} and {event.node} have equal frames, and other digests"
        if event.root and not root:
            self._seen[key] = (event.node, content, event.root)


class SameInTheEnd:
    """When all that was wrong is over, all settles, and what is there is what was written."""

    HEARS: tuple[type, ...] = (Ended, Listed)

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        match event:
            case Ended(_, quiet, why) if not quiet:
                yield "settles", why
            case Listed() if court.strict:
                yield from _compare(event, court)


def _compare(event: Listed, court: Court) -> Iterator[Complaint]:
    books, vector = court.books, court.vectors.get(event.node, {})
    expected = {fact for fact in books.facts if books.is_there(fact, vector)}
    for fact in sorted(expected - event.facts):
        yield "acknowledged", f"{fact} was written, and node {event.node} does not have it"
    for fact in sorted(event.facts - expected):
        yield "invented", f"{fact} is at node {event.node}, and nobody wrote it"
    for name in event.unlisted:
        yield "equal state", f"{name} is not listed at node {event.node}, as what it is there"
    for name, claims in books.claims.items():
        for dot, book in claims.items():
            shown = event.claims.get((name, *dot))
            if shown is not None and shown != (book.state, tuple(sorted(book.standing().items()))):
                yield "status", f"{name} {dot} is {shown} at node {event.node}, the books say {book.state}"
    for (sku, place, writer), row in event.rows.items():
        history = books.rows.get((sku, place), {}).get(writer)
        if (
            history
            and history[-1][0] <= vector.get(writer, (0, b""))[0]
            and dict(history[-1][1]) != dict(row)
        ):
            yield (
                "equal state",
                f"{sku} at node {event.node}: the row of {writer} is not what was written last",
            )
