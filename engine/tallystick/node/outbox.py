"""What goes out to peers, a few at a time: frames and acknowledgements wait for their like, for a moment.

A message costs both ends more than the order in it: encoding, a system call, waking threads. In a busy
cluster there would be one for each commit of each node. So these two kinds leave no more often than every
`GATHER_MS`, those of one link joined; after a rest they leave at once, as does everything when anything
else is said, or when somebody here waits for an answer from there.

Source: interrupt moderation of network adapters, and Nagle's algorithm (RFC 896) without its waiting for
the peer.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.core.replication.effects import Effect, Send
from tallystick.core.replication.messages import Ack, Frames
from tallystick.core.replication.replicator import MESSAGE_BYTES

GATHER_MS = 10
"""Little beside the way between regions, and the time of two commits at 200 orders a second."""


class Outbox:
    """Of one node."""

    def __init__(self) -> None:
        self._acks: dict[int, Ack] = {}
        self._frames: dict[int, list[bytes]] = {}
        self._bytes: dict[int, int] = {}
        self._full: list[Effect] = []
        self._left_ms = 0

    def pass_on(self, effects: Sequence[Effect], now_ms: int, *, hurry: bool) -> list[Effect]:
        """What leaves now; the rest does with a later call. `now_ms` never falls."""
        if not effects and not self._acks and not self._bytes:
            return []
        others = [effect for effect in effects if not self._keeps(effect)]
        if not (others or hurry or now_ms - self._left_ms >= GATHER_MS):
            return []
        self._left_ms = now_ms
        return [*self._take(), *others]

    def _keeps(self, effect: Effect) -> bool:
        match effect:
            case Send(link, Ack(vector)):
                kept = self._acks.get(link)
                self._acks[link] = Ack({**kept.vector, **vector} if kept else vector)
            case Send(link, Frames(frames)):
                self._keep_frames(link, frames)
            case _:
                return False
        return True

    def _keep_frames(self, link: int, frames: Sequence[bytes]) -> None:
        size = sum(map(len, frames))
        if self._bytes.get(link, 0) + size > MESSAGE_BYTES and link in self._frames:
            self._full.append(Send(link, Frames(tuple(self._frames.pop(link)))))
            self._bytes[link] = 0
        self._frames.setdefault(link, []).extend(frames)
        self._bytes[link] = self._bytes.get(link, 0) + size

    def _take(self) -> list[Effect]:
        frames = [Send(link, Frames(tuple(frames))) for link, frames in self._frames.items()]
        acks = [Send(link, ack) for link, ack in self._acks.items()]
        taken = [*self._full, *frames, *acks]
        self._full.clear()
        self._frames.clear()
        self._bytes.clear()
        self._acks.clear()
        return taken
