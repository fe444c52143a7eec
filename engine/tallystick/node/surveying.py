"""Surveys: everything is read on one snapshot, in a thread of its own, while commits go on.

They count what is in the buckets of the digests, hold that against the sums that the node has kept, and name
what is in some of them. A record that has rotted is told, and the survey goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tallystick.core.codec import DecodeError, encode
from tallystick.core.digest import BUCKETS, MODULUS, bucket_of, hash_record
from tallystick.core.members import node_name
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.view import decode_document
from tallystick.core.stock.rights import Stock
from tallystick.store.port import CorruptRecord, Table
from tallystick.store.reader import Reader

KINDS: Mapping[Table, EntryKind] = {
    Table.ORDERS: EntryKind.ORDER,
    Table.STOCK: EntryKind.STOCK,
    Table.RECEIPTS: EntryKind.BOOKING,
    Table.DOCUMENTS: EntryKind.DOCUMENT,
    Table.MEMBERS: EntryKind.MEMBER,
}
RECORDS_MAX = 20_000
"""How many records one look into buckets names: with the longest keys that is what fits into a message."""
NAMED_MAX = 8
"""How many records are named where any of them may be the one."""

Prepare = Callable[[], Callable[[Reader], Any]]
Name = tuple[str, bytes]
"""(table, key)."""


class Wanted(NamedTuple):
    """A survey that is to begin: `prepare` is called at the moment of its snapshot and answers what to do
    with it, `then` with what was found."""

    prepare: Prepare
    then: Callable[[Any], None]


class Difference(NamedTuple):
    """A record that is not what it should be. `peer` has it otherwise; 0: it does not fit our own digests."""

    peer: int
    table: str
    record: str
    problem: str


class Verdict(NamedTuple):
    """What reading and comparing everything came to."""

    records: int
    differences: tuple[Difference, ...]
    compared: tuple[int, ...]
    unreachable: tuple[int, ...]
    in_motion: int


class Record(NamedTuple):
    """One that the digests cover. `hashed` is None if it has rotted."""

    table: Table
    key: bytes
    bucket: int
    hashed: int | None


class Counts(NamedTuple):
    """What is in all buckets. What has rotted is counted for nothing, and named."""

    records: int
    sums: list[int]
    rotten: tuple[Record, ...]


class StaleStock(NamedTuple):
    """A stock item that has changed since its bucket's sum was brought up to date."""

    bucket: int
    key: bytes
    before: Stock
    after: Stock

    @property
    def change(self) -> int:
        """What it does to the sum."""
        return hash_stock(self.key, self.after) - hash_stock(self.key, self.before)


class Sums(NamedTuple):
    """The second sums of all buckets at one moment, as the node has kept them."""

    held: Sequence[int]
    stale: Sequence[StaleStock]

    def exact(self) -> list[int]:
        """With the stock that changed of late."""
        sums = [*self.held]
        for each in self.stale:
            sums[each.bucket] += each.change
        return [each % MODULUS for each in sums]


class Looked(NamedTuple):
    """What is in some buckets: hashes by name, empty for a rotten record; in order. And their first sums."""

    touched: Mapping[int, bytes]
    records: Mapping[Name, bytes]
    truncated: bool


class Here(NamedTuple):
    """What one node's own records are like."""

    records: int
    differences: tuple[Difference, ...]


def count_all(reader: Reader) -> Counts:
    """Count the second sums of all buckets, from the bytes."""
    sums = [0] * BUCKETS
    rotten: list[Record] = []
    records = 0
    for each in records_in(reader):
        records += 1
        if each.hashed is None:
            rotten.append(each)
        else:
            sums[each.bucket] += each.hashed
    return Counts(records, [each % MODULUS for each in sums], tuple(rotten))


def verify_here(kept: Sums | None, reader: Reader) -> Here:
    """Read everything, and hold it against the sums that were kept, if any were."""
    counts = count_all(reader)
    problem = "it does not fit its checksum: the disk needs looking after"
    found = [
        Difference(0, each.table.value, describe(each.table, each.key), problem) for each in counts.rotten
    ]
    if kept is not None:
        sums = zip(counts.sums, kept.exact(), strict=True)
        wrong = {bucket for bucket, (counted, exact) in enumerate(sums) if counted != exact}
        # What has rotted explains its bucket.
        wrong -= {each.bucket for each in counts.rotten}
        found += _misfits(wrong, reader)
    return Here(counts.records, tuple(found))


def look_into(touched: Mapping[int, bytes], reader: Reader) -> Looked:
    """Name what is in the buckets of `touched`, which has their first sums at this moment."""
    records: dict[Name, bytes] = {}
    for table, key, _, hashed in records_in(reader, touched.keys()):
        if len(records) == RECORDS_MAX:
            return Looked(touched, records, truncated=True)
        records[table.value, key] = b"" if hashed is None else hashed.to_bytes(16)
    return Looked(touched, records, truncated=False)


def records_in(reader: Reader, buckets: Iterable[int] | None = None) -> Iterator[Record]:
    """Everything that the digests cover, or what is in some buckets."""
    wanted = None if buckets is None else frozenset(buckets)
    for table, kind in KINDS.items():
        for key, value in reader.examine(table):
            name = name_of(kind, key)
            bucket = bucket_of(kind, name)
            if wanted is not None and bucket not in wanted:
                continue
            if isinstance(value, CorruptRecord):
                yield Record(table, key, bucket, None)
            else:
                payload = value if isinstance(value, bytes) else encode(value)
                yield Record(table, key, bucket, hash_payload(kind, name, payload))


def name_of(kind: EntryKind, key: bytes) -> bytes:
    """A record's name in frames, by its key in the table."""
    return node_name(int.from_bytes(key)).encode() if kind is EntryKind.MEMBER else key


def hash_payload(kind: EntryKind, name: bytes, payload: bytes | None) -> int:
    """What a stored record adds to its bucket; nothing, if there is none."""
    if payload is None:
        return 0
    if kind is EntryKind.DOCUMENT:
        payload = _document_in_digests(payload)
    return hash_record(kind, name, payload)


def hash_stock(key: bytes, stock: Stock) -> int:
    """What a stock item adds to its bucket."""
    return hash_record(EntryKind.STOCK, key, encode(stock)) if stock.rows else 0


def describe(table: str, key: bytes) -> str:
    """A record's name as people know it; whatever a peer says has one."""
    shape = _SHAPES.get(table, _text)
    return shape(key)


def _misfits(buckets: set[int], reader: Reader) -> Iterator[Difference]:
    """Which records may be the ones that do not fit the sums of these buckets. A sum alone does not tell."""
    candidates: dict[int, list[str]] = {bucket: [] for bucket in sorted(buckets)}
    for table, key, bucket, _ in records_in(reader, buckets) if buckets else ():
        candidates[bucket].append(f"{table.value} {describe(table, key)}")
    for bucket, names in candidates.items():
        among = ", ".join(names[:NAMED_MAX]) + (", …" if len(names) > NAMED_MAX else "") or "nothing"
        problem = f"its records do not add up to what this node has written; in it are: {among}"
        yield Difference(0, "", f"bucket {bucket}", problem)


def _document_in_digests(payload: bytes) -> bytes:
    """Equal documents may differ in pycrdt's bytes: what they are made of must be the same."""
    try:
        return encode(decode_document(payload).updates)
    except DecodeError:
        return payload  # not a document at all: as different as can be


def _text(key: bytes) -> str:
    return key.decode(errors="backslashreplace")


def _item(key: bytes) -> str:
    return _text(key).replace("\0", "@").rstrip("@")


_SHAPES: Mapping[str, Callable[[bytes], str]] = {
    Table.STOCK.value: _item,
    Table.MEMBERS.value: lambda key: f"node {node_name(int.from_bytes(key))}",
    Table.DOCUMENTS.value: lambda key: f"document of {_text(key)}",
}
