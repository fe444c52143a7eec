"""Who a data directory is: drawn when it is created, kept for the life of the incarnation."""

from __future__ import annotations

import secrets

from tallystick.core.clock import EMPTY_HEAD, REPLICA_ID_MAX, Head, Vector
from tallystick.core.codec import DecodeError, Record, decode, encode
from tallystick.store.port import Table
from tallystick.store.store import Store

_IDENTITY = b"identity"
VECTOR_KEY = b"vector"
BASE_KEY = b"base"
"""Up to where a snapshot brought the state, and not frames."""
_CLOCK = b"clock"


class Identity(Record, frozen=True, rename={"cluster": "c", "replica": "r", "region": "g"}):
    """Cluster id, replica id (random, non-zero, 48 bits), region."""

    cluster: str
    replica: int
    region: str


def draw_identity(region: str, cluster: str = "") -> Identity:
    """A new incarnation: of that cluster, or of one that it founds."""
    return Identity(cluster or secrets.token_hex(8), 1 + secrets.randbelow(REPLICA_ID_MAX), region)


def draw_boot_id() -> int:
    """The name of this process to its peers: two of one replica are a clone."""
    return 1 + secrets.randbelow((1 << 63) - 1)


def draw_client_id() -> int:
    """The name of this process to the documents: new at every start, within pycrdt's 32 bits."""
    return 1 + secrets.randbelow((1 << 32) - 2)


def load_identity(store: Store) -> Identity | None:
    """The identity at rest; None in an empty directory."""
    data = store.get(Table.META, _IDENTITY)
    return None if data is None else decode(data, Identity)


def identity_rows(identity: Identity) -> dict[bytes, bytes | None]:
    return {_IDENTITY: encode(identity)}


def load_vector(store: Store) -> dict[int, Head]:
    """Whose frames are in the store, and up to where."""
    data = store.get(Table.META, VECTOR_KEY)
    return {} if data is None else decode_vector(data)


def load_clock(store: Store) -> int:
    """The last HLC stamp that was written."""
    data = store.get(Table.META, _CLOCK)
    return 0 if data is None else decode(data, int)


def progress_rows(vector: bytes, stamp: int) -> dict[bytes, bytes | None]:
    """What each commit says of itself in `meta`."""
    return {VECTOR_KEY: vector, _CLOCK: encode(stamp)}


def encode_vector(vector: Vector) -> bytes:
    return encode(tuple((replica, *vector[replica]) for replica in sorted(vector)))


def decode_vector(data: bytes) -> dict[int, Head]:
    rows = decode(data, tuple[tuple[int, int, bytes], ...])
    return {replica: Head(seq, digest) for replica, seq, digest in rows}


def encode_token(*entries: tuple[int, int, bytes]) -> bytes:
    """What a caller hands to a read elsewhere: heads that are to be there. Opaque to it."""
    return encode(tuple(sorted(entries)))


decode_token = decode_vector
"""The inverse. Raises one of DecodeError."""


def encode_position(vector: Vector, touched: bytes) -> bytes:
    """Where the lazy tables stand: what they reflect, and what had touched the digests' buckets by then."""
    return encode((2, encode_vector(vector), touched))


def decode_position(data: bytes) -> tuple[dict[int, Head], bytes | None]:
    """The inverse; touched is None in what the first version wrote: it must be counted from the whole log."""
    try:
        _, vector, touched = decode(data, tuple[int, bytes, bytes])
    except DecodeError:
        return decode_vector(data), None
    return decode_vector(vector), touched


def head_of(vector: Vector, replica: int) -> Head:
    return vector.get(replica, EMPTY_HEAD)
