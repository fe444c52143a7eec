"""The sums of digests, worked out from tables and frames by other ways than the engine's own."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from zlib import crc32

from tallystick.core.codec import encode
from tallystick.core.frame import Frame, decode_events
from tallystick.core.replica.reading import read_entry
from tallystick.core.replica.view import decode_document
from tallystick.store.port import Table
from tests.node.checking import Tables

KINDS = {Table.ORDERS: 1, Table.STOCK: 2, Table.RECEIPTS: 3, Table.DOCUMENTS: 4, Table.MEMBERS: 5}


def touched_by(frames: Iterable[Frame]) -> dict[int, int]:
    """The first sum of each bucket that is not empty: of all entries of the frames."""
    sums: dict[int, int] = {}
    for frame in frames:
        for event in decode_events(frame):
            for entry in event:
                kind, name, _ = read_entry(entry)
                bucket = _bucket(kind, name.encode())
                sums[bucket] = (sums.get(bucket, 0) + int.from_bytes(frame.digest[:16])) % 2**128
    return sums


def held_in(tables: Tables) -> dict[int, int]:
    """The second sum of each bucket that is not empty."""
    sums: dict[int, int] = {}
    for table, kind in KINDS.items():
        for key, row in tables[table].items():
            name = key.hex()[4:].encode() if table is Table.MEMBERS else key
            payload = row if isinstance(row, bytes) else encode(row)
            if table is Table.DOCUMENTS:
                payload = encode(decode_document(payload).updates)
            hashed = blake2b(bytes([kind]) + len(name).to_bytes(2) + name + payload, digest_size=16).digest()
            bucket = _bucket(kind, name)
            sums[bucket] = (sums.get(bucket, 0) + int.from_bytes(hashed)) % 2**128
    return sums


def filled(sums: Iterable[int]) -> dict[int, int]:
    """Sums of all buckets, without those that are empty."""
    return {bucket: each % 2**128 for bucket, each in enumerate(sums) if each % 2**128}


def _bucket(kind: int, name: bytes) -> int:
    return crc32(bytes([kind]) + name) % 4_096
