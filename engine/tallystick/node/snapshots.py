"""Snapshots: what a new node is given instead of the whole log.

The sender answers requests, a range of keys at a time, each with the vector that it was read at: nothing is
held open between them, and writes go on. The receiver *joins* the rows, never puts them in place. It then has
all up to the vector of the first range, which is below those of the others, and something beyond it; from
there on it takes frames. Until it is past the maximum its state may hold effects without their causes: it
writes nothing of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tallystick.core.clock import EMPTY_HEAD, Head, Vector
from tallystick.core.codec import Record, decode, encode
from tallystick.core.members import Member, join_members
from tallystick.core.order.document import join_documents
from tallystick.core.order.facts import decode_order, join_orders
from tallystick.core.order.status import fold
from tallystick.core.replica.listing import write_order
from tallystick.core.replica.view import View, decode_document
from tallystick.core.replication.messages import SnapshotChunk, SnapshotRequest
from tallystick.core.stock.receipts import BookingRecord, join_bookings
from tallystick.core.stock.rights import join_stock
from tallystick.node.identity import VECTOR_KEY, decode_vector
from tallystick.node.source import load_stock
from tallystick.store.port import KEY_BYTES_MAX, LAZY, Table
from tallystick.store.reader import Reader

TABLES = (Table.MEMBERS, Table.STOCK, Table.ORDERS, Table.RECEIPTS, Table.DOCUMENTS)
"""What a snapshot holds, in this order. Indexes follow from the orders."""
CHUNK_BYTES = 512 << 10
INSTALLING_KEY = b"installing"
Flat = tuple[tuple[int, int, bytes], ...]
"""A vector as it is stored."""


class Installation(Record, frozen=True, rename={"seed": "s", "invitation": "i", "low": "l", "high": "h"}):
    """How far a new node has come. `low` is set when all rows are here: frames do the rest, up to `high`, the
    maximum of all that any row has brought."""

    seed: str
    invitation: str
    low: Flat = ()
    high: Flat = ()


def read_chunk(reader: Reader, table: str, after: bytes, bytes_max: int = CHUNK_BYTES) -> SnapshotChunk:
    """The rows of `table` (the first one if empty) after a key, or of the next table that has any."""
    vector = decode_vector(reader.get(Table.META, VECTOR_KEY) or encode(()))
    at = TABLES.index(Table(table)) if table else 0
    start: bytes | None = after + b"\0" if after else None
    rows: list[tuple[bytes, bytes]] = []
    size = 0
    for key, value in reader.scan(TABLES[at], start, None):
        payload = encode(value) if TABLES[at] in LAZY and not isinstance(value, bytes) else bytes(value)  # type: ignore[call-overload]
        rows.append((key, payload))
        size += len(key) + len(payload)
        if size >= bytes_max:
            return SnapshotChunk(TABLES[at].value, tuple(rows), vector, after=after)
    return SnapshotChunk(TABLES[at].value, tuple(rows), vector, last=True, after=after)


def next_request(chunk: SnapshotChunk) -> tuple[str, bytes] | None:
    """What to ask for after a chunk; None if that was all. `last` is of its table."""
    if not chunk.last:
        return chunk.table, chunk.rows[-1][0]
    at = TABLES.index(Table(chunk.table)) + 1
    return (TABLES[at].value, b"") if at < len(TABLES) else None


def follows_request(chunk: SnapshotChunk, request: SnapshotRequest) -> bool:
    """Whether a chunk answers this request, and not one before or beyond it: rows that were passed over would
    be missing for ever."""
    if not chunk.rows and not chunk.last:
        return False
    if not request.table:
        # The first one of all, and no later one of its table.
        return chunk.table == TABLES[0].value and bool(chunk.touched)
    return chunk.table == request.table and chunk.after == request.after


def join_chunk(chunk: SnapshotChunk, view: View) -> None:
    """Join the rows into `view`. Raises codec.DecodeError on what is no such row, ValueError on a table or a
    key that no snapshot holds."""
    join = _JOINS[Table(chunk.table)]
    for key, payload in chunk.rows:
        if not 0 < len(key) <= KEY_BYTES_MAX:
            raise ValueError(f"a key of {len(key)} bytes")
        join(view, key, payload)


def higher(left: Vector | None, right: Vector) -> dict[int, Head]:
    """The pointwise maximum."""
    joined = dict(left or {})
    for replica, head in right.items():
        if head.seq > joined.get(replica, EMPTY_HEAD).seq:
            joined[replica] = head
    return joined


def covers(vector: Vector, wanted: Vector) -> bool:
    """Whether all up to `wanted` is in `vector`."""
    return all(vector.get(replica, EMPTY_HEAD).seq >= head.seq for replica, head in wanted.items())


def _join_member(view: View, key: bytes, payload: bytes) -> None:
    known, member = view.member(key), decode(payload, Member)
    view.put_member(key, member if known is None else join_members(known, member))


def _join_stock(view: View, key: bytes, payload: bytes) -> None:
    view.stock[key] = join_stock(view.stock_of(key), load_stock(payload))


def _join_order(view: View, key: bytes, payload: bytes) -> None:
    before = view.order(key)
    write_order(view, key.decode(), fold(before), fold(join_orders(before, decode_order(payload))))


def _join_bookings(view: View, key: bytes, payload: bytes) -> None:
    view.put_booking(key, join_bookings(view.bookings_of(key), decode(payload, BookingRecord)))


def _join_document(view: View, key: bytes, payload: bytes) -> None:
    view.put_document(key, join_documents(view.document(key), decode_document(payload)))


_JOINS: Mapping[Table, Callable[[View, bytes, bytes], None]] = {
    Table.MEMBERS: _join_member,
    Table.STOCK: _join_stock,
    Table.ORDERS: _join_order,
    Table.RECEIPTS: _join_bookings,
    Table.DOCUMENTS: _join_document,
}
