"""What a stored value looks like: a version byte, a checksum bound to its table and key, the payload.

A value that was copied to another key, or whose bytes rotted, fails its checksum. Frames carry their own
BLAKE2b and indexes have no values: both are stored bare.
"""

from typing import Final
from zlib import crc32

from tallystick.store.port import BARE, CorruptRecord, Rows, Table

_VERSION: Final = b"\x01"
_HEADER_BYTES: Final = 5

# The version and the table's name come first in the checksum: starting from here costs a row nothing.
_SEEDS: Final = {table: crc32(_VERSION + table.encode()) for table in Table}


def pack(table: Table, key: bytes, payload: bytes) -> bytes:
    """The stored form of a payload; `unpack` is its inverse. Payloads of bare tables stay as they are."""
    if table in BARE:
        return payload
    return _VERSION + crc32(payload, crc32(key, _SEEDS[table])).to_bytes(4, "big") + payload


def unpack(table: Table, key: bytes, value: bytes) -> bytes:
    """The payload of a stored value. Raises CorruptRecord when it is not the one written at this key."""
    if table in BARE:
        return value
    payload = value[_HEADER_BYTES:]
    checksum = crc32(payload, crc32(key, _SEEDS[table]))
    if value[:_HEADER_BYTES] != _VERSION + checksum.to_bytes(4, "big"):
        raise CorruptRecord(table, key)
    return payload


def pack_rows(table: Table, rows: Rows) -> Rows:
    """`pack` for all rows of a commit, deletions left as they are: one loop without calls, it is hot."""
    if table in BARE:
        return rows
    seed = _SEEDS[table]
    return {
        key: None
        if payload is None
        else _VERSION + crc32(payload, crc32(key, seed)).to_bytes(4, "big") + payload
        for key, payload in rows.items()
    }
