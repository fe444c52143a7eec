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
        self._sent_ms = 0

    @property
    def due_ms(self) -> int | None:
        """When what is kept is to leave; None if nothing is."""
        return self._sent_ms + GATHER_MS if self._acks or self._bytes else None

    def pass_on(self, effects: Sequence[Effect], now_ms: int, *, hurry: bool) -> list[Effect]:
        """What leaves now, in its order; the rest does with a later call. `now_ms` never falls."""
        if all(map(_may_wait, effects)):
            for effect in effects:
                self._keep(effect)
            due_ms = self.due_ms
            if due_ms is None or not (hurry or now_ms >= due_ms):
                return []
            effects = ()
        self._sent_ms = now_ms
        return [*self._take(), *effects]

    def _keep(self, effect: Effect) -> None:
        match effect:
            case Send(link, Ack(vector)):
                kept = self._acks.get(link)
                self._acks[link] = Ack({**kept.vector, **vector} if kept else vector)
            case Send(link, Frames(frames)):
                self._keep_frames(link, frames)

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


def _may_wait(effect: Effect) -> bool:
    return isinstance(effect, Send) and isinstance(effect.message, Frames | Ack)
