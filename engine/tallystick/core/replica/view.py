"""What `step` reads and writes: the store as it was, under an overlay of what this commit changes.

The driver makes one View for each commit, hands its overlay to the store in one piece and throws it away.
Orders, bookings, documents and members are kept as the bytes to be stored; stock as objects, because
checkpoints encode them later.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from typing import Protocol

import msgspec

from tallystick.core.codec import encode
from tallystick.core.members import Member
from tallystick.core.order.document import EMPTY_DOCUMENT, DocumentRecord
from tallystick.core.order.facts import EMPTY_ORDER, OrderRecord, decode_order
from tallystick.core.replica.keys import customer_prefix, status_prefix, time_key
from tallystick.core.stock.receipts import EMPTY_BOOKINGS, BookingRecord
from tallystick.core.stock.rights import Stock

_decode_bookings = msgspec.msgpack.Decoder(BookingRecord).decode
decode_document = msgspec.msgpack.Decoder(DocumentRecord).decode
_decode_member = msgspec.msgpack.Decoder(Member).decode


class Source(Protocol):
    """The store, as `step` sees it: payloads by key, None where nothing is."""

    def order(self, key: bytes) -> bytes | None: ...

    def booking(self, key: bytes) -> bytes | None: ...

    def document(self, key: bytes) -> bytes | None: ...

    def member(self, key: bytes) -> bytes | None: ...

    def stock(self, key: bytes) -> Stock: ...


class IndexPlace:
    """Where an order stands in the indexes: a plain value, None for an order that was never placed."""

    __slots__ = ("customer", "hlc", "state")

    def __init__(self, state: int, hlc: int, customer: str) -> None:
        self.state = state
        self.hlc = hlc
        self.customer = customer


class View:
    """The overlay of one commit over a Source. In the overlay None means removed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.orders: dict[bytes, bytes] = {}
        self.bookings: dict[bytes, bytes] = {}
        self.documents: dict[bytes, bytes] = {}
        self.members: dict[bytes, bytes] = {}
        self.expiry: dict[bytes, bytes | None] = {}
        self.intents: dict[bytes, bytes | None] = {}
        self.stock: MutableMapping[bytes, Stock] = {}
        self.by_time: dict[bytes, bytes | None] = {}
        self.by_customer: dict[bytes, bytes | None] = {}
        self.by_status: dict[bytes, bytes | None] = {}
        self.loaded: dict[bytes, bytes | None] = {}
        """Orders as they were when they were first looked at: what digests take back."""
        self.touches: list[tuple[int, int]] = []
        """(bucket, hash of the frame) of each entry of the frames that this commit writes."""
        self.names: list[tuple[int, str]] = []
        """(kind, key) of each entry that was joined since the last frame."""
        self.touched: dict[bytes, None] = {}
        """Stock keys written since the last frame was sealed."""
        self.unsettled: dict[str, None] = {}
        """Orders whose joined facts call for `Settle` here, in the order in which they came."""
        self.arrived: dict[bytes, None] = {}
        """Stock keys of which a peer moved tokens to us."""

    def order_bytes(self, key: bytes) -> bytes | None:
        found = self.orders.get(key)
        if found is None:
            found = self.loaded[key] = self._source.order(key)
        return found

    def order(self, key: bytes) -> OrderRecord:
        """The order's record; the empty one if nothing is known of it."""
        found = self.order_bytes(key)
        return EMPTY_ORDER if found is None else decode_order(found)

    def bookings_of(self, key: bytes) -> BookingRecord:
        found = self.bookings.get(key) or self._source.booking(key)
        return EMPTY_BOOKINGS if found is None else _decode_bookings(found)

    def document(self, key: bytes) -> DocumentRecord:
        found = self.documents.get(key) or self._source.document(key)
        return EMPTY_DOCUMENT if found is None else decode_document(found)

    def member(self, key: bytes) -> Member | None:
        found = self.members.get(key) or self._source.member(key)
        return None if found is None else _decode_member(found)

    def stock_of(self, key: bytes) -> Stock:
        """The stock item; the empty one if nothing is known of it."""
        found = self.stock.get(key)
        return found if found is not None else self._source.stock(key)

    def fork(self) -> View:
        """A scratch view over this one for stock alone: what it writes is nowhere until `adopt`.

        It reads members as they are here: one that has ended in this very commit gets no tokens.
        """
        scratch = View(self._source)
        scratch.members = self.members
        scratch.stock = ChainMap({}, self.stock)
        return scratch

    def adopt(self, scratch: View) -> None:
        """Take over what was written to a fork."""
        self.put_stocks({key: scratch.stock[key] for key in scratch.touched})

    def put_stock(self, key: bytes, stock: Stock) -> None:
        self.stock[key] = stock
        self.touched[key] = None

    def put_stocks(self, changed: Mapping[bytes, Stock]) -> None:
        self.stock.update(changed)
        self.touched.update(dict.fromkeys(changed))

    def put_booking(self, key: bytes, record: BookingRecord) -> None:
        self.bookings[key] = encode(record)

    def put_document(self, key: bytes, record: DocumentRecord) -> None:
        self.documents[key] = encode(record)

    def put_member(self, key: bytes, member: Member) -> None:
        self.members[key] = encode(member)

    def put_index(self, key: bytes, state: int, hlc: int, customer: str) -> None:
        """List a new order by time, customer and status."""
        by_time = time_key(hlc, key)
        self.by_time[by_time] = b""
        self.by_status[status_prefix(state) + by_time] = b""
        if customer:
            self.by_customer[customer_prefix(customer) + by_time] = b""

    def move_index(self, key: bytes, before: IndexPlace | None, after: IndexPlace) -> None:
        """List a changed order where it stands now."""
        if before is not None:
            if (before.state, before.hlc) != (after.state, after.hlc):
                self.by_status[status_prefix(before.state) + time_key(before.hlc, key)] = None
            if before.hlc != after.hlc:
                self.by_time[time_key(before.hlc, key)] = None
            if before.customer and (before.customer, before.hlc) != (after.customer, after.hlc):
                self.by_customer[customer_prefix(before.customer) + time_key(before.hlc, key)] = None
        self.put_index(key, after.state, after.hlc, after.customer)
