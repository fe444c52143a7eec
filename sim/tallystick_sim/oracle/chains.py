"""Chains are whole, causes come before effects, disks lose nothing, buffers are bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tallystick_sim.oracle.books import Complaint
from tallystick_sim.oracle.events import Alarmed, Buffered, Committed, Event, Head, Opened, Vector

if TYPE_CHECKING:
    from tallystick_sim.oracle.jury import Court

_NOTHING = (0, bytes(32))


class Chains:
    """What a disk has of each chain is a prefix of it, without a gap, and with all that it was made upon."""

    HEARS: tuple[type, ...] = (Committed, Opened)

    def __init__(self) -> None:
        self._declared: dict[int, dict[int, Head]] = {}
        """Writer → what its frames say that they were made upon, all in all."""

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        match event:
            case Committed() if event.node not in court.ill:
                yield from _follow(event, court)
                yield from self._declares(event, court.vectors.get(event.node, {}))
            case Opened(_, node, vector) if node in court.vectors and node not in court.ill:
                yield from _shrunk(node, court.vectors[node], vector)

    def _declares(self, event: Committed, seen: Vector) -> Iterator[Complaint]:
        """What a node writes names all that it had of others."""
        own = [frame for frame in event.frames if frame.origin == event.replica]
        known = self._declared.setdefault(event.replica, {})
        for frame in own:
            known |= {origin: (seq, digest) for origin, seq, digest in frame.deps}
        for origin, head in seen.items() if own else ():
            if origin != event.replica and head[0] and known.get(origin) != head:
                name = f"node {event.node}, frame {own[0].origin}:{own[0].first}"
                yield "causality", f"{name} does not name {origin}:{head[0]}, which it was made upon"


def _follow(event: Committed, court: Court) -> Iterator[Complaint]:
    """Frame by frame, as they came to the disk."""
    before = court.vectors.get(event.node, {})
    reached = dict(before)
    for frame in event.frames:
        name = f"node {event.node}, frame {frame.origin}:{frame.first}"
        if reached.get(frame.origin, _NOTHING) != (frame.first - 1, frame.previous):
            yield "prefix", f"{name} does not follow what is on the disk"
        for origin, seq, digest in frame.deps:
            here = reached.get(origin, _NOTHING)
            if here[0] < seq or (here[0] == seq and here[1] != digest):
                yield "causality", f"{name} was made upon {origin}:{seq}, which is not on the disk"
        reached[frame.origin] = (frame.last, frame.digest)
    yield from _shrunk(event.node, before, event.vector)
    if event.vector != {k: v for k, v in reached.items() if k in event.vector or v != _NOTHING}:
        yield from _adopted(event, reached, court)


def _adopted(event: Committed, reached: Vector, court: Court) -> Iterator[Complaint]:
    """The vector says more than the frames brought: only a node that is being installed may do that, and only
    up to what somebody wrote."""
    for origin, head in event.vector.items():
        if head == reached.get(origin, _NOTHING):
            continue
        if not event.installing:
            yield "prefix", f"node {event.node} says it has {origin}:{head[0]}, and no frame came"
        elif court.strict and not court.books.knows(origin, head):
            yield "prefix", f"node {event.node} adopts {origin}:{head[0]}, which nobody wrote"


def _shrunk(node: int, before: Vector, after: Vector) -> Iterator[Complaint]:
    for origin, head in before.items():
        if after.get(origin, _NOTHING)[0] < head[0]:
            yield "never shrinks", f"node {node} had {origin}:{head[0]}, and has less now"


class Bounded:
    """What a node holds in memory for others has a limit."""

    HEARS: tuple[type, ...] = (Buffered,)

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        if isinstance(event, Buffered):
            for what, held, most in event.held:
                if not 0 <= held <= most:
                    yield "bounded", f"node {event.node} holds {held} of {what}, the most is {most}"


class Fenced:
    """A node that knows that its disk was rolled back or cloned writes nothing any more."""

    HEARS: tuple[type, ...] = (Alarmed, Committed, Opened)

    def __init__(self) -> None:
        self._lost: set[int] = set()

    def see(self, event: Event, court: Court) -> Iterator[Complaint]:
        match event:
            case Alarmed(_, node, "OWN_CHAIN_LOST"):
                self._lost.add(node)
            case Opened():
                self._lost.discard(event.node)
            case Committed() if event.node in self._lost:
                own = [frame for frame in event.frames if frame.origin == event.replica]
                if own:
                    yield "fenced", f"node {event.node} writes {own[0].first}, and its chain is not its own"
