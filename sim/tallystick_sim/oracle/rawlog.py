"""Reads frames and vectors from a disk's bytes, by their documented layout and nobody's code.

version:1 origin:8 first:8 count:4 hlc:8 previous:32 deps:4 payload:4 | deps | payload | BLAKE2b-256:32
"""

from __future__ import annotations

import struct

import msgpack

from tallystick_sim.oracle.events import Head, RawFrame

_HEADER = struct.Struct(">BQQIQ32sII")
_CHECKSUM_BYTES = 5
"""Before each stored value: a version and a checksum. Frames are stored bare."""


def read_frame(data: bytes) -> RawFrame:
    """One frame."""
    _, origin, first, count, _, previous, deps_size, payload_size = _HEADER.unpack_from(data)
    at = _HEADER.size + deps_size
    deps = msgpack.unpackb(data[_HEADER.size : at], use_list=False)
    payload = msgpack.unpackb(data[at : at + payload_size], use_list=False)
    return RawFrame(origin, first, first + count - 1, previous, data[-32:], deps, payload)


def read_vector(value: bytes) -> dict[int, Head]:
    """What a node says that it has, as stored."""
    rows = msgpack.unpackb(value[_CHECKSUM_BYTES:], use_list=False)
    return {replica: (seq, digest) for replica, seq, digest in rows}
