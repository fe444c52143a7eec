"""What comes to the driver beside jobs: news of links, and what was read for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tallystick.core.replication.messages import Message, SnapshotChunk
from tallystick.node.surveying import Verdict


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


class Surveyed(NamedTuple):
    """What the effect Survey asked for."""

    then: Callable[[Any], None]
    found: Any


class VerifyAsked(NamedTuple):
    """Somebody wants everything read and compared. `done` gets the verdict, in the engine thread."""

    done: Callable[[Verdict], None]


PeerInput = Connected | Received | Closed | LogRead | ChunkRead | Surveyed | VerifyAsked
