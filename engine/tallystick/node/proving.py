"""The continuous proof that all nodes agree, see `core.digest`: sums kept, rounds of gossip, what they find.

What touched the buckets is kept with the checkpoints and brought up to date by replaying. What is in them is
counted anew at each start, on a snapshot in another thread, while commits go on and add to it. Stock changes
with every order, so it is hashed only when its bucket is about to be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import NamedTuple

from tallystick.core.digest import BUCKETS, PAIR_BYTES, Digests, bucket_of, differing
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.view import View
from tallystick.core.stock.rights import Stock
from tallystick.node.surveying import StaleStock, Sums, hash_payload, name_of

ROUND_BUCKETS = 128
"""How many buckets one round tells: 4 KiB. A node goes through all of them in 32 rounds to each peer."""
ROOT_ITEMS = 2_000
"""About how many stock items are hashed at once to name the whole state; of more it takes several rounds."""


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
        self.active = False
        """Whether there is anybody to agree with: alone nothing is hashed."""
        self.counted = False
        """Whether all records are in the sums: before that nothing is compared."""
        self.agreed_ms: dict[int, int] = {}
        """Peer → since 1970, when a round of its was last found equal to ours."""
        self.findings: dict[Finding, None] = {}
        self._before = before
        self._stale: dict[int, dict[bytes, StaleStock]] = {}
        self._next: dict[int, int] = {}

    def committed(self, changes: Changes) -> None:
        """These are on disk."""
        self.digests.touch(changes.touches)
        for bucket, before, after in changes.records:
            self.digests.change(bucket, before, after)
        for key, was, now in changes.stock:
            bucket = bucket_of(EntryKind.STOCK, key)
            stale = self._stale.setdefault(bucket, {})
            known = stale.get(key)
            stale[key] = StaleStock(bucket, key, was if known is None else known.before, now)

    def changes(self, view: View) -> Changes:
        """What `view` changes, worked out before it is written."""
        if not self.active:
            return Changes(view.touches, [], [])
        stock = [(key, self._before.stock(key), after) for key, after in view.stock.items()]
        records = [*_orders(view)]
        for kind, rows, before in (
            (EntryKind.BOOKING, view.bookings, self._before.booking),
            (EntryKind.DOCUMENT, view.documents, self._before.document),
            (EntryKind.MEMBER, view.members, self._before.member),
        ):
            for key, payload in rows.items():
                name = name_of(kind, key)
                bucket = bucket_of(kind, name)
                was, now = hash_payload(kind, name, before(key)), hash_payload(kind, name, payload)
                records.append((bucket, was, now))
        return Changes(view.touches, records, stock)

    def restart(self, touched: bytes) -> None:
        """A snapshot was joined: count anew."""
        self.digests = Digests(touched)
        self.counted = False

    def begin(self) -> None:
        """Everything is about to be counted on a snapshot of this very moment."""
        self.digests.held = [0] * BUCKETS
        self._stale.clear()

    def counted_all(self, sums: list[int]) -> None:
        """The count of that snapshot is here."""
        self.digests.add_held(sums)
        self.counted = True

    def kept(self) -> Sums | None:
        """The second sums at this moment; None if not all is in them."""
        if not self.counted:
            return None
        return Sums([*self.digests.held], [each for stale in self._stale.values() for each in stale.values()])

    def tell(self, peer: int) -> tuple[int, bytes]:
        """The buckets of the next round for a peer: the first of them, and their sums. Each peer is told all
        of them in turn."""
        first = self._next.get(peer, 0)
        self._next[peer] = (first + ROUND_BUCKETS) % BUCKETS
        return first, self.pairs(first, ROUND_BUCKETS)

    def hear(self, peer: int, first: int, theirs: bytes, now_ms: int) -> list[Finding]:
        """A peer's round; answers what is new to us and wrong."""
        if not self.counted or not theirs or not 0 <= first < BUCKETS:
            return []
        ours = self._pairs_to_compare(first, theirs)
        if ours == theirs:
            self.agreed_ms[peer] = now_ms
            return []
        compared = [*differing(ours, theirs)]
        wrong = [Finding(peer, first + place) for place, differs in compared if differs]
        if compared and not wrong:
            self.agreed_ms[peer] = now_ms
        news = [finding for finding in wrong if finding not in self.findings]
        self.findings |= dict.fromkeys(news)
        return news

    def root(self) -> bytes:
        """The name of the whole state; empty while it is being counted, or much has changed of late: then ask
        again, each time brings it nearer."""
        if not self.counted:
            return b""
        before = accumulate((len(stale) for stale in self._stale.values()), initial=0)
        buckets = zip(self._stale, before, strict=False)
        self._refresh([bucket for bucket, items_before in buckets if items_before < ROOT_ITEMS])
        return b"" if self._stale else self.digests.root()

    def pairs(self, first: int, count: int) -> bytes:
        """Both sums of `count` buckets from the first on; nothing while they are being counted."""
        if not self.counted:
            return b""
        self._refresh(bucket for bucket in range(first, first + count) if bucket in self._stale)
        return self.digests.pairs(first, count)

    def _pairs_to_compare(self, first: int, theirs: bytes) -> bytes:
        """Our pairs beside a peer's. While orders come in, few buckets are touched alike; the stock of the
        others would be hashed for nothing."""
        buckets = range(first, min(BUCKETS, first + len(theirs) // PAIR_BYTES))
        touched = (theirs[at : at + 16] for at in range(0, len(theirs), PAIR_BYTES))
        both = zip(buckets, touched, strict=False)  # a peer may send more than there is
        alike = (bucket for bucket, each in both if each == self.digests.touched_in(bucket))
        self._refresh(bucket for bucket in alike if bucket in self._stale)
        return self.digests.pairs(first, len(buckets))

    def _refresh(self, buckets: Iterable[int]) -> None:
        """Hash the stock of these buckets that has changed since the last time."""
        for bucket in buckets:
            self.digests.held[bucket] += sum(each.change for each in self._stale.pop(bucket).values())


class Changes(NamedTuple):
    """What a commit does to the sums."""

    touches: list[tuple[int, int]]
    records: list[tuple[int, int, int]]
    stock: list[tuple[bytes, Stock, Stock]]
    """(key, before, after)."""


def _orders(view: View) -> Iterable[tuple[int, int, int]]:
    kind, loaded = EntryKind.ORDER, view.loaded
    for key, payload in view.orders.items():
        yield bucket_of(kind, key), hash_payload(kind, key, loaded.get(key)), hash_payload(kind, key, payload)
