"""What one peer has, and what is being sent to it.

What is under way is bounded: `window` bytes of frames without an acknowledgement, whatever the peer lags. A
peer that is slow costs its own lag and nothing else: what it is to get is read from the log when there is
room. The window is as wide as what is acknowledged within a second: what else is said must not queue behind
minutes of frames on a thin line. It is judged by delay, as TCP Vegas does (Brakmo and Peterson, 1995): twice
as wide after a prompt acknowledgement of what filled it, half after a late one, once a round trip.

Invariant: for each origin that is sent, has.seq ≤ sent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from tallystick.core.clock import EMPTY_HEAD, Head, Vector, join_vectors
from tallystick.core.replication.messages import Hello

WINDOW_BYTES = 4 << 20
FIRST_WINDOW_BYTES = 512 << 10
LEAST_WINDOW_BYTES = 64 << 10
PROMPT_MS = 500
LATE_MS = 1_000
RESEND_MS = 3_000
RESEND_BYTES_A_MS = 16
"""What is under way is taken for lost when nothing of it was acknowledged for RESEND_MS, and for as long as
it takes over a line so thin."""


class _Sent(NamedTuple):
    last: int
    size: int
    at_ms: int


@dataclass(slots=True)
class Link:
    """One connection. `peer` is 0 until its Hello came."""

    number: int
    peer: int = 0
    hello: Hello | None = None
    installing: bool = False
    """The peer has no state yet: frames would be wasted on it."""
    has: dict[int, Head] = field(default_factory=dict)
    """What the peer has on disk, as it said."""
    told: dict[int, Head] = field(default_factory=dict)
    """What we have on disk, as it was told."""
    untold: bool = True
    """Whether there may be something on disk here that it was not told. Else there is no need to look."""
    sent: dict[int, int] = field(default_factory=dict)
    """Origin → the event up to which its frames were sent."""
    on_our_chain: bool = False
    """Whether what it has of our chain is known to be on it: two disks may have written one number."""
    wanted: dict[int, int] = field(default_factory=dict)
    """Other origins that the peer asked for → the event up to which."""
    reading: int = 0
    """The origin that the log is being read for."""
    flight_bytes: int = 0
    window: int = FIRST_WINDOW_BYTES
    next_bytes: int = 0
    """The size of the next frame, if there was no room for it."""
    heard_ms: int = 0
    acked_ms: int = 0
    """When we last acknowledged something."""
    beat_ms: int = 0
    """When we last told all that we have."""
    progress_ms: int = 0
    """When something under way was last acknowledged, or there was nothing under way."""
    _flight: dict[int, deque[_Sent]] = field(default_factory=dict)
    _resized_ms: int = 0

    @property
    def ready(self) -> bool:
        """Whether frames may be sent."""
        return self.hello is not None and not self.installing

    @property
    def room(self) -> int:
        """Bytes that may be sent now."""
        return self.window - self.flight_bytes

    @property
    def may_read(self) -> bool:
        """Whether there is room for what the log has next."""
        return not self.flight_bytes or self.room >= max(LEAST_WINDOW_BYTES, self.next_bytes)

    def takes(self, size: int) -> bool:
        """Whether a frame may be sent now. A large one goes alone, or it would never go."""
        return not self.flight_bytes or size <= self.room

    def seq_of(self, origin: int) -> int:
        """The last event of the origin that the peer has on disk, as far as we know."""
        return self.has.get(origin, EMPTY_HEAD).seq

    def forget_told(self) -> None:
        """Nobody knows what the peer heard: it is to be told all."""
        self.told.clear()
        self.untold = True

    def wants(self, origin: int, seq: int, until: int) -> None:
        """The peer asks for these events of another's chain. What it has meanwhile it gets no more."""
        self.wanted[origin] = until
        self.sent[origin] = max(seq, self.seq_of(origin))

    def shipped(self, origin: int, last: int, size: int, now_ms: int) -> None:
        """A frame that ends with event `last` is on its way."""
        self.sent[origin] = last
        self.next_bytes = 0
        self._flight.setdefault(origin, deque()).append(_Sent(last, size, now_ms))
        self.flight_bytes += size

    def acknowledged(self, vector: Vector, now_ms: int) -> None:
        """The peer has this on disk."""
        before = self.flight_bytes
        for origin, head in vector.items():
            if head.seq > self.seq_of(origin):
                sent = self._landed(origin, head.seq)
                if sent is not None and sent.at_ms >= self._resized_ms:
                    self._resize(before, now_ms - sent.at_ms, now_ms)
        self.has = join_vectors(self.has, vector)
        # What it got of others is no progress: in a busy cluster a lost frame would never be sent again.
        if self.flight_bytes < before or not self.flight_bytes:
            self.progress_ms = now_ms

    def seems_lost(self, now_ms: int) -> bool:
        """Whether what is under way should have been acknowledged by now."""
        patience_ms = RESEND_MS + self.flight_bytes // RESEND_BYTES_A_MS
        return self.flight_bytes > 0 and now_ms - self.progress_ms >= patience_ms

    def rewind(self) -> None:
        """What is under way is taken for lost."""
        self._flight.clear()
        self.flight_bytes = 0
        self.on_our_chain = False
        for origin in self.sent:
            self.sent[origin] = self.seq_of(origin)

    def _landed(self, origin: int, seq: int) -> _Sent | None:
        """Answers the last frame of those that have landed."""
        landed = None
        if origin in self.sent:
            self.sent[origin] = max(self.sent[origin], seq)
        flight = self._flight.get(origin)
        while flight and flight[0].last <= seq:
            landed = flight.popleft()
            self.flight_bytes -= landed.size
        if self.wanted.get(origin, seq + 1) <= seq:
            del self.wanted[origin]
            self.sent.pop(origin, None)
        return landed

    def _resize(self, flight_bytes: int, delay_ms: int, now_ms: int) -> None:
        """Something landed after so long; so much was under way until then."""
        if delay_ms >= LATE_MS:
            self.window = max(LEAST_WINDOW_BYTES, self.window // 2)
        elif delay_ms <= PROMPT_MS and flight_bytes >= self.window // 2:
            self.window = min(WINDOW_BYTES, self.window * 2)
        else:
            return
        self._resized_ms = now_ms
