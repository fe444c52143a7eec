"""Digests of the state, by which replicas prove to each other that they agree: all the time, under load too.

Every record falls into one of 4,096 buckets. A bucket has two sums, both commutative, so that they are kept
up to date by what changes alone: of what *touched* it (a hash of the frame for each entry that it had for the
bucket) and of what is *in* it (a hash of each record as it stands). Whoever was touched by the same must hold
the same: two replicas compare the second sum wherever the first is equal, and a difference there is a fault
of somebody's code or disk.

Sources: Merkle's trees as Dynamo uses them for anti-entropy (DeCandia et al., 2007), flattened; sums of
hashes modulo 2^128 in place of a tree's (Bellare and Micciancio, *Incremental Cryptography*, 1997: AdHash),
which need no order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from zlib import crc32

BUCKETS = 4_096
PAIR_BYTES = 32
MODULUS = 1 << 128
_MASK = MODULUS - 1
_ZERO = bytes(16)
_ZERO_PAIR = bytes(PAIR_BYTES)
"""Of a bucket that nothing has touched: nothing is in it."""
_SEEDS = tuple(crc32(bytes((kind,))) for kind in range(256))
_PREFIX = struct.Struct(">BH").pack


def bucket_of(kind: int, name: bytes) -> int:
    """The bucket of a record: `kind` as of frame entries, `name` its key."""
    return crc32(name, _SEEDS[kind]) % BUCKETS


def touches_of(digest: bytes, names: Iterable[tuple[int, str]]) -> list[tuple[int, int]]:
    """(bucket, hash) of each entry (kind, name) of the frame with this digest."""
    hashed = int.from_bytes(digest[:16])
    return [(crc32(name.encode(), _SEEDS[kind]) % BUCKETS, hashed) for kind, name in names]


def hash_record(kind: int, name: bytes, payload: bytes) -> int:
    """What a record adds to what is in its bucket."""
    data = _PREFIX(kind, len(name)) + name + payload
    return int.from_bytes(blake2b(data, digest_size=16).digest())


class Digests:
    """The sums of all buckets. Sums grow beyond 128 bits in between and are cut when they are read."""

    __slots__ = ("held", "touched")

    def __init__(self, touched: bytes = b"") -> None:
        self.touched = _unpack(touched) if touched else [0] * BUCKETS
        self.held = [0] * BUCKETS

    def touch(self, touches: Iterable[tuple[int, int]]) -> None:
        """(bucket, hash of the frame) for each entry."""
        touched = self.touched
        for bucket, hashed in touches:
            touched[bucket] += hashed

    def change(self, bucket: int, before: int, after: int) -> None:
        """A record's hash was `before` (0: it was not there) and is `after`."""
        self.held[bucket] += after - before

    def add_held(self, sums: Sequence[int]) -> None:
        """What was counted apart: the sums of all records at the time when this began at 0."""
        self.held = [(mine + counted) & _MASK for mine, counted in zip(self.held, sums, strict=True)]

    def pack_touched(self) -> bytes:
        """The first sums alone, to be kept and sent: unlike the second they can't be counted anew."""
        return b"".join([(each & _MASK).to_bytes(16) if each else _ZERO for each in self.touched])

    def touched_in(self, bucket: int) -> bytes:
        """The first sum of one bucket."""
        return (self.touched[bucket] & _MASK).to_bytes(16)

    def pairs(self, first: int, count: int) -> bytes:
        """Both sums of `count` buckets from the first on."""
        both = zip(self.touched[first : first + count], self.held[first : first + count], strict=True)
        return b"".join(
            [
                ((touched & _MASK) << 128 | held & _MASK).to_bytes(PAIR_BYTES) if touched else _ZERO_PAIR
                for touched, held in both
            ]
        )

    def root(self) -> bytes:
        """One name of the whole state: equal exactly if all sums are."""
        return blake2b(self.pairs(0, BUCKETS), digest_size=16).digest()


def differing(ours: bytes, theirs: bytes) -> Iterator[tuple[int, bool]]:
    """Of two runs of `pairs`: (place, whether what is in it differs) of each bucket that both were touched by
    the same in."""
    for at in range(0, min(len(ours), len(theirs)), PAIR_BYTES):
        if ours[at : at + 16] == theirs[at : at + 16]:
            yield at // PAIR_BYTES, ours[at + 16 : at + PAIR_BYTES] != theirs[at + 16 : at + PAIR_BYTES]


def _unpack(touched: bytes) -> list[int]:
    return [int.from_bytes(touched[at : at + 16]) for at in range(0, 16 * BUCKETS, 16)]
