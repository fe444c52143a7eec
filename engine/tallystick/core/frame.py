"""The frame: the unit of the log, of gossip, of causality, of integrity and of deduplication.

    version:1 origin:8 first:8 count:4 hlc:8 previous:32 deps:4 payload:4 | deps | payload | BLAKE2b-256:32

Integers are big-endian. `deps` is msgpack: the vector entries that changed since the origin's last frame.
`payload` is msgpack: a list of events, each a list of entries; an event takes one sequence number. Frames of
one origin form a hash chain. They travel and are stored as the bytes that their origin wrote.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from tallystick.core.clock import EMPTY_HEAD, Dot, Head
from tallystick.core.codec import DecodeError, decode, encode

VERSION = 1
EVENTS_MAX = 256
BYTES_MAX = 64 * 1024
"""A frame closes at EVENTS_MAX events or about BYTES_MAX bytes, whichever comes first: a peer hears nothing
else while a thin line carries it…"""
EVENT_BYTES_MAX = 4 * 1024 * 1024
"""…and one larger event goes alone, up to this."""

_HEADER = struct.Struct(">BQQIQ32sII")
_DIGEST_SIZE = 32

Deps = tuple[tuple[int, int, bytes], ...]


class FrameError(ValueError):
    """Bytes that are not a frame, or a frame that does not follow its chain."""


class Frame(NamedTuple):
    """One decoded frame; `data` are the origin's own bytes."""

    origin: int
    first: int
    events: int
    hlc: int
    previous: bytes
    deps: Deps
    payload: bytes
    digest: bytes
    data: bytes

    @property
    def last(self) -> int:
        """The sequence number of the last event."""
        return self.first + self.events - 1

    @property
    def head(self) -> Head:
        return Head(self.last, self.digest)

    def dot(self, index: int) -> Dot:
        """The dot of the event at `index`, from 0."""
        return Dot(self.origin, self.first + index)


def encode_frame(
    origin: int, head: Head, hlc: int, events: Sequence[Sequence[object]], deps: Deps = ()
) -> Frame:
    """Seal `events` (each a sequence of encoded or encodable entries) as the frame after `head`."""
    payload = encode(events)
    dependencies = encode(deps)
    header = _HEADER.pack(
        VERSION, origin, head.seq + 1, len(events), hlc, head.digest, len(dependencies), len(payload)
    )
    body = b"".join((header, dependencies, payload))
    digest = blake2b(body, digest_size=_DIGEST_SIZE).digest()
    return Frame(origin, head.seq + 1, len(events), hlc, head.digest, deps, payload, digest, body + digest)


def decode_frame(data: bytes) -> Frame:
    """Read and verify one frame. Raises FrameError on anything that its origin cannot have written."""
    if len(data) < _HEADER.size + _DIGEST_SIZE:
        raise FrameError("shorter than a header")
    version, origin, first, count, hlc, previous, deps_size, payload_size = _HEADER.unpack_from(data)
    if version != VERSION:
        raise FrameError(f"version {version} is not {VERSION}")
    payload_at = _HEADER.size + deps_size
    end = payload_at + payload_size
    if len(data) != end + _DIGEST_SIZE:
        raise FrameError("length differs from what the header says")
    if blake2b(data[:end], digest_size=_DIGEST_SIZE).digest() != data[end:]:
        raise FrameError("hash differs from its content")
    if not origin or not first or not 0 < count <= EVENTS_MAX:
        raise FrameError("a header no origin writes")
    try:
        deps = decode(data[_HEADER.size : payload_at], Deps)
    except DecodeError as problem:
        raise FrameError(f"deps: {problem}") from problem
    return Frame(origin, first, count, hlc, previous, deps, data[payload_at:end], data[end:], data)


def frame_span(data: bytes) -> tuple[int, int]:
    """The first and last sequence number of a frame that was verified before; the hash isn't looked at."""
    _, _, first, count, *_ = _HEADER.unpack_from(data)
    return first, first + count - 1


def follows(frame: Frame, head: Head) -> bool:
    """Whether `frame` is the next one in its origin's chain after `head`."""
    return frame.first == head.seq + 1 and frame.previous == head.digest


def verify_chain(frames: Sequence[Frame], head: Head = EMPTY_HEAD) -> Head:
    """The head after `frames`. Raises FrameError at the first that does not follow."""
    for frame in frames:
        if not follows(frame, head):
            raise FrameError(f"frame {Dot(frame.origin, frame.first)} does not follow {head.seq}")
        head = frame.head
    return head


def decode_events(frame: Frame) -> list[list[msgspec.Raw]]:
    """The entries of each event, not decoded yet. Raises FrameError, also if there are more or fewer events
    than the header gives numbers to."""
    try:
        events = decode(frame.payload, list[list[msgspec.Raw]])
    except DecodeError as problem:
        raise FrameError(f"payload: {problem}") from problem
    if len(events) != frame.events:
        raise FrameError(f"payload: {len(events)} events where the header says {frame.events}")
    return events
