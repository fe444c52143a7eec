"""What a machine wants done by whoever drives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tallystick.core.replication.messages import Message


class Send(NamedTuple):
    """Send a message over a link. It may be lost."""

    link: int
    message: Message


class ReadLog(NamedTuple):
    """Read frames of `origin` after event `seq`, up to `until`, about `bytes_max` of them (one at least), and
    hand them to `log_read`, also if there are none."""

    link: int
    origin: int
    seq: int
    until: int
    bytes_max: int


class Close(NamedTuple):
    """End a link, after what was sent before. `final`: don't connect to that peer again before something has
    been done about it. `peer`: whose link it is, if it has greeted: the link may be gone by itself."""

    link: int
    reason: str
    message: str
    final: bool = False
    peer: int = 0


class ReadChunk(NamedTuple):
    """Read a range of the state for a snapshot, and hand it in."""

    link: int
    table: str
    after: bytes


class Survey(NamedTuple):
    """Let `work` read all of `reader` in a thread of its own, `close` that, and hand in what was found for
    `then`."""

    work: Callable[[Any], Any]
    then: Callable[[Any], None]
    reader: Any
    close: Callable[[], None]


class Linked(NamedTuple):
    """A link is to this peer: both have greeted."""

    link: int
    peer: int


class Roster(NamedTuple):
    """Who belongs to the cluster now: (replica id, region, address) of every peer to be connected to."""

    peers: tuple[tuple[int, str, str], ...]


class Settled(NamedTuple):
    """This node is an active member, with all that the others have."""


class Alarm(NamedTuple):
    """Something that an operator must know. `replica` is whom it is about."""

    reason: str
    message: str
    replica: int


Effect = Send | ReadLog | ReadChunk | Survey | Close | Linked | Roster | Settled | Alarm
