"""What one peer has, and what is being sent to it.

What is under way is bounded: so many bytes of frames without an acknowledgement, whatever the peer lags. A
peer that is slow costs its own lag and nothing else: what it is to get is read from the log when there is
room. Each origin has a window of its own: our frames may wait at the peer for those that we relay to it.

Invariant: for each origin that is sent, has.seq ≤ sent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tallystick.core.clock import EMPTY_HEAD, Head, Vector, join_vectors
from tallystick.core.replication.messages import Hello

WINDOW_BYTES = 4 << 20
"""Of our own frames."""
RELAY_BYTES = 512 << 10
"""Of each other origin's."""
READ_BYTES = 256 << 10
"""With room for less the log is not read."""


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
    began_ms: int = 0
    """When our Hello left."""
    heard_ms: int = 0
    acked_ms: int = 0
    """When we last acknowledged something."""
    beat_ms: int = 0
    """When we last told all that we have."""
    progress_ms: int = 0
    """When something under way was last acknowledged, or there was nothing under way."""
    _flight: dict[int, deque[tuple[int, int]]] = field(default_factory=dict)
    _bytes: dict[int, int] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether frames may be sent."""
        return self.hello is not None and not self.installing

    @property
    def flight_bytes(self) -> int:
        """What is under way, of all origins together."""
        return sum(self._bytes.values())

    def takes(self, origin: int, size: int) -> bool:
        """Whether so much of an origin may be sent now. A large frame goes alone, or it would never go."""
        under_way = self._bytes.get(origin, 0)
        window = RELAY_BYTES if origin in self.wanted else WINDOW_BYTES
        return not under_way or under_way + size <= window

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

    def shipped(self, origin: int, last: int, size: int) -> None:
        """A frame that ends with event `last` is on its way."""
        self.sent[origin] = last
        self._flight.setdefault(origin, deque()).append((last, size))
        self._bytes[origin] = self._bytes.get(origin, 0) + size

    def acknowledged(self, vector: Vector, now_ms: int) -> None:
        """The peer has this on disk."""
        before = self.flight_bytes
        for origin, head in vector.items():
            if head.seq > self.seq_of(origin):
                self._landed(origin, head.seq)
        self.has = join_vectors(self.has, vector)
        # What it got of others is no progress: in a busy cluster a lost frame would never be sent again.
        if self.flight_bytes < before or not self.flight_bytes:
            self.progress_ms = now_ms

    def rewind(self) -> None:
        """What is under way is taken for lost."""
        self._flight.clear()
        self._bytes.clear()
        self.on_our_chain = False
        for origin in self.sent:
            self.sent[origin] = self.seq_of(origin)

    def _landed(self, origin: int, seq: int) -> None:
        if origin in self.sent:
            self.sent[origin] = max(self.sent[origin], seq)
        flight = self._flight.get(origin)
        while flight and flight[0][0] <= seq:
            self._bytes[origin] -= flight.popleft()[1]
        if self.wanted.get(origin, seq + 1) <= seq:
            del self.wanted[origin]
            self.sent.pop(origin, None)
