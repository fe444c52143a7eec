"""The continuous proof that all nodes agree, see `core.digest`: sums kept, rounds of gossip, what they find.

What touched the buckets is kept with the checkpoints and brought up to date by replaying. What is in them is
counted anew at each start, on a snapshot in another thread, while commits go on and add to it. Stock changes
with every order, so it is hashed only when its bucket is about to be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import structlog

from tallystick.core.codec import encode
from tallystick.core.digest import BUCKETS, Digests, bucket_of, differing, hash_frame, hash_record
from tallystick.core.frame import Frame
from tallystick.core.members import node_name
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.view import View, decode_document
from tallystick.core.stock.rights import Stock
from tallystick.node.source import load_stock
from tallystick.store.port import Table
from tallystick.store.reader import Reader

log = structlog.get_logger("proof")

ROUND_BUCKETS = 128
"""How many buckets one round tells: 4 KiB. A node goes through all of them in 32 rounds."""
KINDS: Mapping[Table, EntryKind] = {
    Table.ORDERS: EntryKind.ORDER,
    Table.STOCK: EntryKind.STOCK,
    Table.RECEIPTS: EntryKind.BOOKING,
    Table.DOCUMENTS: EntryKind.DOCUMENT,
    Table.MEMBERS: EntryKind.MEMBER,
}


class Finding(NamedTuple):
    """A bucket that a peer has otherwise, though it was touched by the same."""

    peer: int
    bucket: int


class Before(NamedTuple):
    """Payloads as they were, for what a view has written."""

    booking: Callable[[bytes], bytes | None]
    document: Callable[[bytes], bytes | None]
    member: Callable[[bytes], bytes | None]
    stock: Callable[[bytes], Stock]


class Proof:
    """One node's sums, and what comparing them has shown."""

    def __init__(self, before: Before, touched: bytes = b"") -> None:
        self.digests = Digests(touched)
        self.counted = False
        """Whether all records are in the sums: before that nothing is compared."""
        self.agreed_ms: dict[int, int] = {}
        """Peer → since 1970, when a round of its was last found equal to ours."""
        self.findings: dict[Finding, None] = {}
        self._before = before
        self._stale: dict[int, dict[bytes, Stock]] = {}
        self._next = 0

    def committed(self, changes: Changes) -> None:
        """These are on disk."""
        self.digests.touch(changes.touches)
        for bucket, before, after in changes.records:
            self.digests.change(bucket, before, after)
        for key, stock in changes.stock:
            self._stale.setdefault(bucket_of(EntryKind.STOCK, key), {}).setdefault(key, stock)

    def changes(self, view: View) -> Changes:
        """What `view` changes, worked out before it is written."""
        records = [*_orders(view)]
        for kind, rows, before in (
            (EntryKind.BOOKING, view.bookings, self._before.booking),
            (EntryKind.DOCUMENT, view.documents, self._before.document),
            (EntryKind.MEMBER, view.members, self._before.member),
        ):
            for key, payload in rows.items():
                name = name_of(kind, key)
                bucket = bucket_of(kind, name)
                records.append((bucket, _hash(kind, name, before(key)), _hash(kind, name, payload)))
        stock = [(key, self._before.stock(key)) for key in view.stock]
        return Changes(view.touches, records, stock)

    def begin(self) -> None:
        """Everything is about to be counted on a snapshot of this very moment."""
        self.digests.held = [0] * BUCKETS
        self._stale.clear()

    def counted_all(self, sums: list[int]) -> None:
        """The count of that snapshot is here."""
        self.digests.add_held(sums)
        self.counted = True

    def tell(self) -> tuple[int, bytes]:
        """The buckets of the next round: the first of them, and their sums."""
        first = self._next
        self._next = (first + ROUND_BUCKETS) % BUCKETS
        return first, self._pairs(first, ROUND_BUCKETS)

    def hear(self, peer: int, first: int, theirs: bytes, now_ms: int) -> list[Finding]:
        """A peer's round; answers what is new to us and wrong."""
        if not self.counted or not theirs or not 0 <= first < BUCKETS:
            return []
        ours = self._pairs(first, len(theirs) // 32)
        compared = [*differing(ours, theirs)]
        wrong = [Finding(peer, first + place) for place, differs in compared if differs]
        if compared and not wrong:
            self.agreed_ms[peer] = now_ms
        news = [finding for finding in wrong if finding not in self.findings]
        self.findings |= dict.fromkeys(news)
        return news

    def root(self) -> bytes:
        """The name of the whole state; empty while it is being counted."""
        if not self.counted:
            return b""
        self._refresh([*self._stale])
        return self.digests.root()

    def _pairs(self, first: int, count: int) -> bytes:
        self._refresh(bucket for bucket in range(first, first + count) if bucket in self._stale)
        return self.digests.pairs(first, count)

    def _refresh(self, buckets: Iterable[int]) -> None:
        """Hash the stock of these buckets that has changed since the last time."""
        for bucket in buckets:
            for key, before in self._stale.pop(bucket).items():
                after = self._before.stock(key)
                self.digests.change(bucket, _hash_stock(key, before), _hash_stock(key, after))


class Changes(NamedTuple):
    """What a commit does to the sums."""

    touches: list[tuple[int, int]]
    records: list[tuple[int, int, int]]
    stock: list[tuple[bytes, Stock]]


def name_of(kind: EntryKind, key: bytes) -> bytes:
    """A record's name in frames, by its key in the table."""
    return node_name(int.from_bytes(key)).encode() if kind is EntryKind.MEMBER else key


def touches_of(frame: Frame, entries: Iterable[tuple[int, str]]) -> list[tuple[int, int]]:
    """(bucket, hash) of each entry of a frame."""
    hashed = hash_frame(frame.digest)
    return [(bucket_of(kind, name.encode()), hashed) for kind, name in entries]


def records_in(reader: Reader) -> Iterable[tuple[Table, bytes, int, int]]:
    """(table, key, bucket, hash) of everything that the digests cover."""
    for table, kind in KINDS.items():
        for key, value in reader.scan(table):
            name = name_of(kind, key)
            payload = bytes(value) if isinstance(value, bytes) else encode(load_stock(value))
            yield table, key, bucket_of(kind, name), _hash(kind, name, payload)


def count(reader: Reader) -> list[int]:
    """The second sums of all buckets, from the bytes."""
    sums = [0] * BUCKETS
    for _, _, bucket, hashed in records_in(reader):
        sums[bucket] += hashed
    return sums


def _orders(view: View) -> Iterable[tuple[int, int, int]]:
    kind, loaded = EntryKind.ORDER, view.loaded
    for key, payload in view.orders.items():
        yield bucket_of(kind, key), _hash(kind, key, loaded.get(key)), _hash(kind, key, payload)


def _hash(kind: EntryKind, name: bytes, payload: bytes | None) -> int:
    if payload is None:
        return 0
    if kind is EntryKind.DOCUMENT:
        # Equal documents may differ in pycrdt's bytes: what they are made of must be the same.
        payload = encode(decode_document(payload).updates)
    return hash_record(kind, name, payload)


def _hash_stock(key: bytes, stock: Stock) -> int:
    return hash_record(EntryKind.STOCK, key, encode(stock)) if stock.rows else 0
