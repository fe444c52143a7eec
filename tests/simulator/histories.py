"""Histories written by hand, for the checkers: what nodes wrote, in few words."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from tallystick_sim.oracle.events import Committed, Event, Head, RawFrame
from tallystick_sim.oracle.jury import Jury

ORDER, STOCK, BOOKING = 1, 2, 3
TEA = ("tea", "")


class Log:
    """What one replica writes: node and replica have one number."""

    def __init__(self, replica: int) -> None:
        self.replica = replica
        self.head: Head = (0, bytes(32))
        self.seen: dict[int, Head] = {}

    def write(self, *events: tuple[tuple[int, str, Any], ...], **fields: Any) -> Committed:
        """A frame of these events, on this node's own disk."""
        first = self.head[0] + 1
        last = first + len(events) - 1
        name = repr((self.replica, first, events, self.head[1], fields)).encode()
        digest = blake2b(name, digest_size=32).digest()
        deps = tuple((origin, *head) for origin, head in self.seen.items() if origin != self.replica)
        frame = RawFrame(self.replica, first, last, self.head[1], digest, deps, events)._replace(**fields)
        self.head = (frame.last, frame.digest)
        return self.take(frame)

    def take(self, *frames: RawFrame, **fields: Any) -> Committed:
        """Frames that come to this node's disk."""
        self.seen |= {frame.origin: (frame.last, frame.digest) for frame in frames}
        return Committed(0.0, self.replica, self.replica, dict(self.seen), frames)._replace(**fields)

    @property
    def next(self) -> int:
        """The number of the next event."""
        return self.head[0] + 1


def receipt(log: Log, units: int, before: int = 0) -> tuple[tuple[int, str, Any], ...]:
    """Goods come in."""
    booking = {"k": 1, "r": log.replica, "q": log.next, "i": (("tea", "", units),)}
    return (BOOKING, f"r-{log.next}", {"b": (booking,)}), row(re=before + units)


def row(**cells: Any) -> tuple[int, str, Any]:
    """A row of tea."""
    return STOCK, "tea\0", cells


def claim(log: Log, name: str, units: int, *, held: bool = False) -> tuple[int, str, Any]:
    """An order of tea is placed."""
    body = {"l": ({"i": "1", "s": "tea", "q": units},)}
    return ORDER, name, {"c": ({"r": log.replica, "q": log.next, "p": {"b": body, "h": 9 if held else 0}},)}


def decision(log: Log, name: str, seq: int, number: int, kind: int, **fields: Any) -> tuple[int, str, Any]:
    """The owner decides on the claim that is his event `seq`."""
    facts = {"x": log.replica, "y": seq, "n": number, "k": kind, "r": log.replica, "q": log.next, **fields}
    return ORDER, name, {"d": (facts,)}


def wish(log: Log, name: str, request: str) -> tuple[int, str, Any]:
    """Somebody wants something of an order."""
    return ORDER, name, {"i": ({"k": 2, "i": request, "r": log.replica, "q": log.next},)}


def judged(*events: Event) -> set[str]:
    """The promises that a history breaks."""
    jury = Jury()
    for event in events:
        jury.see(event)
    return {violation.checker for violation in jury.violations}
