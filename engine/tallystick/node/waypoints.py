"""Where the chains were when rows of a snapshot were read: each must come by there.

Rows hold what frames beyond the snapshot's vector did. If an origin has written two chains, since its disk
was cloned or rolled back, and the rows were read on one and the frames come of the other, the state would be
of both, under the vector of one.
"""

from __future__ import annotations

from bisect import bisect_left

from tallystick.core.clock import Vector
from tallystick.core.frame import Frame


class Waypoints:
    """Of one installation. What was noted before a crash is gone but for what `note` is told again."""

    def __init__(self) -> None:
        self._heads: dict[int, list[tuple[int, bytes]]] = {}

    def note(self, vector: Vector) -> None:
        """Rows were read at this vector."""
        for origin, head in vector.items():
            heads = self._heads.setdefault(origin, [])
            place = bisect_left(heads, head)
            if heads[place : place + 1] != [head]:
                heads.insert(place, (head.seq, head.digest))

    def forget(self) -> None:
        """None of those rows is here any more."""
        self._heads.clear()

    def contradict(self, frame: Frame) -> bool:
        """Whether the frame, the next of its chain, passes by one of them or ends there otherwise."""
        heads = self._heads.get(frame.origin, [])
        del heads[: bisect_left(heads, (frame.first, b""))]
        near = heads[: bisect_left(heads, (frame.last + 1, b""))]
        return any(head != frame.head for head in near)
