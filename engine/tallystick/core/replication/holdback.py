"""Frames that came before their turn: kept until what they follow, and what they depend on, is on disk here.

Source: causal broadcast with vector clocks (Birman et al., *Lightweight Causal and Atomic Group Multicast*,
1991); a frame names only the entries that changed since its origin's last one.

Invariant: an origin's queue is one unbroken piece of its chain, and begins at or after its head on disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice

from tallystick.core.clock import EMPTY_HEAD, Head, Vector
from tallystick.core.frame import Frame, follows

BYTES_MAX = 32 << 20
"""Of all frames that are held. What finds no room is dropped, and asked for again. But the next frame of a
chain always finds room: else what is held could wait for ever for what is not let in."""
STRAYS_MAX = 256
"""Of one origin, frames beyond a gap."""


class HoldBack:
    """All frames that wait here."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._queues: dict[int, deque[Frame]] = {}
        self._strays: dict[int, dict[int, Frame]] = {}
        self._bytes_max = bytes_max
        self.bytes = 0

    def tail(self, origin: int, head: Head) -> Head:
        """Where the unbroken piece ends that begins at `head`, the origin's head on disk."""
        queue = self._queues.get(origin)
        return queue[-1].head if queue else head

    def add(self, frame: Frame, head: Head) -> bool:
        """Keep a frame that is neither on disk nor held. False: there is no room, it is gone."""
        origin = frame.origin
        if self.bytes + len(frame.data) > self._bytes_max and not follows(frame, head):
            return False
        if follows(frame, self.tail(origin, head)):
            self._append(frame)
            self._take_strays(origin)
            return True
        strays = self._strays.setdefault(origin, {})
        if frame.first in strays or len(strays) >= STRAYS_MAX:
            return False
        strays[frame.first] = frame
        self.bytes += len(frame.data)
        return True

    def ready(self, vector: Vector, events_max: int, bytes_max: int) -> list[Frame]:
        """Frames that can be applied now, causes first; one at least, if any can."""
        if not self._queues:
            return []
        reached = dict(vector)
        taken: dict[int, int] = {}
        frames: list[Frame] = []
        events = size = 0
        moved = True
        while moved:
            moved = False
            for origin in sorted(self._queues):
                for frame in islice(self._queues[origin], taken.get(origin, 0), None):
                    if not _met(frame, reached):
                        break
                    events += frame.events
                    size += len(frame.data)
                    if frames and (events > events_max or size > bytes_max):
                        return frames
                    frames.append(frame)
                    reached[origin] = frame.head
                    taken[origin] = taken.get(origin, 0) + 1
                    moved = True
        return frames

    def applied(self, frames: Iterable[Frame]) -> None:
        """These are on disk now."""
        for frame in frames:
            queue = self._queues.get(frame.origin)
            if queue and queue[0].first == frame.first:
                self.bytes -= len(queue.popleft().data)
                if not queue:
                    del self._queues[frame.origin]

    def drop(self, origin: int) -> None:
        """Forget what is held of an origin."""
        for frame in (*self._queues.pop(origin, ()), *self._strays.pop(origin, {}).values()):
            self.bytes -= len(frame.data)

    def rebase(self, vector: Vector) -> None:
        """The heads moved by other means (a snapshot): keep only what still follows them."""
        for origin in sorted({*self._queues, *self._strays}):
            head = vector.get(origin, EMPTY_HEAD)
            held = (*self._queues.get(origin, ()), *self._strays.get(origin, {}).values())
            self.drop(origin)
            for frame in held:
                if frame.first > head.seq:
                    self.add(frame, head)

    def counts(self) -> Mapping[int, int]:
        """Frames held, by origin."""
        origins = {*self._queues, *self._strays}
        return {o: len(self._queues.get(o, ())) + len(self._strays.get(o, {})) for o in sorted(origins)}

    def _append(self, frame: Frame) -> None:
        self._queues.setdefault(frame.origin, deque()).append(frame)
        self.bytes += len(frame.data)

    def _take_strays(self, origin: int) -> None:
        """What the gap kept apart follows now. What lies behind the tail for good is let go."""
        strays = self._strays.get(origin)
        while strays:
            tail = self._queues[origin][-1].head
            for first in [first for first in strays if first <= tail.seq]:
                self.bytes -= len(strays.pop(first).data)
            found = strays.pop(tail.seq + 1, None)
            if found is None:
                break
            self.bytes -= len(found.data)
            if follows(found, tail):
                self._append(found)
        if not strays:
            self._strays.pop(origin, None)


def _met(frame: Frame, vector: Vector) -> bool:
    """Whether all that the frame was made upon is there; on another branch of a fork it never is."""
    return all(_reaches(vector.get(origin, EMPTY_HEAD), seq, digest) for origin, seq, digest in frame.deps)


def _reaches(head: Head, seq: int, digest: bytes) -> bool:
    return head.seq > seq or (head.seq == seq and head.digest == digest)
