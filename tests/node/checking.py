"""What must hold of a store as a whole, worked out by other ways than the engine's own.

The log says everything that ever happened: its frames, joined one after another into nothing, must give the
tables. The orders say where they belong in the indexes and what stock is set aside. The bookings say what
came in. All three are compared with what the store holds.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from tallystick.core.codec import decode
from tallystick.core.frame import Frame, decode_events, decode_frame, verify_chain
from tallystick.core.order.document import show
from tallystick.core.order.facts import decode_order
from tallystick.core.order.status import LIVE, OrderStatus, State, fold
from tallystick.core.replica.apply import apply_entries
from tallystick.core.replica.keys import split_stock_key
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.view import View, decode_document
from tallystick.core.stock.receipts import BookingKind, BookingRecord
from tallystick.core.stock.rights import EMPTY_STOCK, Stock, rights, totals
from tallystick.node.identity import load_vector
from tallystick.node.source import load_stock
from tallystick.store.port import Table
from tallystick.store.store import Store

Rows = dict[bytes, Any]
Tables = dict[Table, Rows]
COMPARED = tuple(table for table in Table if table not in (Table.META, Table.FRAMES, Table.DOCUMENTS))


def tables_of(store: Store) -> Tables:
    """Everything that the store holds, by full scans; stock decoded."""
    with store.read() as reader:
        found: Tables = {table: dict(reader.scan(table)) for table in Table}
    found[Table.STOCK] = {key: load_stock(row) for key, row in found[Table.STOCK].items()}
    return found


class Joined:
    """Tables made by joining frames, as the `Source` of a view."""

    def __init__(self) -> None:
        self.tables: Tables = {table: {} for table in Table}

    def order(self, key: bytes) -> bytes | None:
        return self.tables[Table.ORDERS].get(key)

    def booking(self, key: bytes) -> bytes | None:
        return self.tables[Table.RECEIPTS].get(key)

    def document(self, key: bytes) -> bytes | None:
        return self.tables[Table.DOCUMENTS].get(key)

    def member(self, key: bytes) -> bytes | None:
        return self.tables[Table.MEMBERS].get(key)

    def stock(self, key: bytes) -> Stock:
        found: Stock = self.tables[Table.STOCK].get(key, EMPTY_STOCK)
        return found

    def join(self, frame: Frame) -> None:
        """Apply all of a frame; nothing in our own frames may be skipped."""
        view = View(self)
        for index, entries in enumerate(decode_events(frame)):
            assert apply_entries(frame.dot(index), entries, view, frame.origin) == []
        overlay: dict[Table, Any] = {
            Table.ORDERS: view.orders,
            Table.RECEIPTS: view.bookings,
            Table.DOCUMENTS: view.documents,
            Table.MEMBERS: view.members,
            Table.EXPIRY: view.expiry,
            Table.INTENTS: view.intents,
            Table.STOCK: view.stock,
            Table.BY_TIME: view.by_time,
            Table.BY_CUSTOMER: view.by_customer,
            Table.BY_STATUS: view.by_status,
        }
        for table, rows in overlay.items():
            for key, row in rows.items():
                if row is None:
                    self.tables[table].pop(key, None)
                else:
                    self.tables[table][key] = row


def check_store(store: Store) -> Tables:
    """All that follows; answers the tables."""
    tables = tables_of(store)
    check_log(store, tables)
    check_indexes(tables)
    check_stock(tables)
    return tables


def check_log(store: Store, tables: Tables) -> None:
    """The log is one chain up to the head, and its frames joined are the tables."""
    frames = [decode_frame(data) for data in tables[Table.FRAMES].values()]
    ((replica, head),) = load_vector(store).items()
    assert {frame.origin for frame in frames} == {replica}
    assert verify_chain(frames) == head
    check_rows_written_once(frames)
    joined = Joined()
    for frame in frames:
        joined.join(frame)
    for table in COMPARED:
        assert joined.tables[table] == tables[table], table
    assert documents(joined.tables) == documents(tables)


def check_rows_written_once(frames: list[Frame]) -> None:
    """What a frame did to an item is written once, in its last event."""
    for frame in frames:
        *events, last = [stock_names(event) for event in decode_events(frame)]
        assert not any(events)
        assert len(last) == len(set(last))


def stock_names(entries: list[msgspec.Raw]) -> list[str]:
    """The items whose rows an event writes."""
    read = [msgspec.msgpack.decode(entry, type=tuple[int, str, msgspec.Raw]) for entry in entries]
    return [name for kind, name, _ in read if kind == EntryKind.STOCK]


def documents(tables: Tables) -> dict[bytes, tuple[Any, Any]]:
    """Documents by what they show: equal ones may differ in bytes."""
    records = {key: decode_document(data) for key, data in tables[Table.DOCUMENTS].items()}
    return {key: (record.updates, show(record, {})) for key, record in records.items()}


def statuses(tables: Tables) -> dict[str, OrderStatus]:
    return {key.decode(): fold(decode_order(data)) for key, data in tables[Table.ORDERS].items()}


def check_indexes(tables: Tables) -> None:
    """Each order is listed where it stands, and nowhere else."""
    expected: dict[Table, set[bytes]] = {
        table: set()
        for table in (Table.BY_TIME, Table.BY_CUSTOMER, Table.BY_STATUS, Table.EXPIRY, Table.INTENTS)
    }
    for name, status in statuses(tables).items():
        key, counts = name.encode(), status.counts
        if counts is None:
            expected[Table.INTENTS].add(key)
            continue
        when = counts.claim.hlc.to_bytes(8) + key
        expected[Table.BY_TIME].add(when)
        expected[Table.BY_STATUS].add(bytes([counts.state]) + when)
        if counts.body.customer:
            expected[Table.BY_CUSTOMER].add(counts.body.customer.encode() + b"\0" + when)
        if counts.state is State.HELD:
            expected[Table.EXPIRY].add(counts.hold_until_ms.to_bytes(8) + key)
    for table, keys in expected.items():
        assert set(tables[table]) == keys, table


def check_stock(tables: Tables) -> None:
    """To the unit: what came in is free, set aside, sold or gone, as the orders and the bookings have it."""
    reserved: Counter[tuple[str, str]] = Counter()
    sold: Counter[tuple[str, str]] = Counter()
    for status in statuses(tables).values():
        for claim in status.claims:
            for line in claim.body.lines:
                units = claim.live_units(line.line_id, line.quantity)
                if claim.state in LIVE and not line.untracked:
                    (reserved if claim.state is State.HELD else sold)[line.sku, line.location] += units
    came, gone, limit = booked(tables)
    for key, stock in tables[Table.STOCK].items():
        item, sums = split_stock_key(key), totals(stock)
        assert (sums.reserved, sums.sold) == (reserved.pop(item, 0), sold.pop(item, 0)), item
        assert (sums.received, sums.burned + sums.owed) == (came.pop(item, 0), gone.pop(item, 0)), item
        assert sums.available >= 0, item
        assert sums.overbooked >= limit.pop(item, 0), item
        assert sums.received + sums.overbooked - sums.burned == sums.available + sums.reserved + sums.sold
        assert all(rights(stock, replica) >= 0 for replica, _ in stock.rows), item
    for left in (reserved, sold, came, gone, limit):
        assert not any(left.values()), left


def booked(tables: Tables) -> tuple[Counter[Any], Counter[Any], Counter[Any]]:
    """Units that came in, that were found to be missing, and the overbooking last set, by item."""
    came: Counter[tuple[str, str]] = Counter()
    gone: Counter[tuple[str, str]] = Counter()
    limit: Counter[tuple[str, str]] = Counter()
    records = [decode(data, BookingRecord) for data in tables[Table.RECEIPTS].values()]
    for booking in sorted((b for record in records for b in record.bookings), key=lambda b: b.seq):
        for sku, location, units in booking.items:
            if booking.kind == BookingKind.MOVE:
                continue
            if booking.kind == BookingKind.POLICY:
                limit[sku, location] = units
            elif booking.kind == BookingKind.MOVE:
                continue  # neither came nor went
            elif units > 0:
                came[sku, location] += units
            else:
                gone[sku, location] -= units
    return came, gone, limit
