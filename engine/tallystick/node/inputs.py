"""What comes to the driver beside jobs: news of links, and what was read for them."""

from __future__ import annotations

from typing import NamedTuple

from tallystick.core.replication.messages import Message, SnapshotChunk


class Connected(NamedTuple):
    """A connection to some peer is there. Links are numbered from 1 and never twice in a process."""

    link: int


class Received(NamedTuple):
    """A message came over a link."""

    link: int
    message: Message


class Closed(NamedTuple):
    """A link is gone."""

    link: int


class LogRead(NamedTuple):
    """What the effect ReadLog asked for."""

    link: int
    origin: int
    frames: tuple[bytes, ...]


class ChunkRead(NamedTuple):
    """What the effect ReadChunk asked for."""

    link: int
    chunk: SnapshotChunk


class Counted(NamedTuple):
    """What the effect Count asked for: a sum for each bucket."""

    sums: list[int]


PeerInput = Connected | Received | Closed | LogRead | ChunkRead | Counted
