"""Replaying the log at opening: rows that no checkpoint had written are rebuilt; nothing is decided anew.

Lazy tables are as old as the last finished checkpoint, or a little newer; rows are joins, so that replaying
onto what is newer changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import structlog

from tallystick.core.clock import EMPTY_HEAD, Dot, Head, Vector
from tallystick.core.codec import DecodeError
from tallystick.core.digest import Digests, touches_of
from tallystick.core.frame import Frame, FrameError, decode_events, decode_frame, verify_chain
from tallystick.core.order.facts import OrderRecord, decode_customer, decode_order
from tallystick.core.order.status import TRANSITIONS, State, fold
from tallystick.core.replica.apply import READERS
from tallystick.core.replica.keys import customer_prefix, frame_key, status_prefix, time_key
from tallystick.core.replica.listing import index_place
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.reading import UNREADABLE, read_entry
from tallystick.core.replica.view import View
from tallystick.core.stock.rights import Row, join_rows
from tallystick.node.identity import BASE_KEY, decode_position, encode_position, head_of
from tallystick.node.sealing import lazy_rows
from tallystick.node.source import StoreSource
from tallystick.store.port import CorruptRecord, Table
from tallystick.store.store import Store

log = structlog.get_logger("opening")

Entries = Sequence[tuple[int, str, msgspec.Raw]]

_STATES = tuple(sorted({state for state, _ in TRANSITIONS} | {*TRANSITIONS.values()}))
_ORDER, _STOCK = int(EntryKind.ORDER), int(EntryKind.STOCK)
_decode_row = msgspec.msgpack.Decoder(Row).decode
_decode_entries = msgspec.msgpack.Decoder(list[list[tuple[int, str, msgspec.Raw]]]).decode


class DamagedLog(CorruptRecord):
    """A frame of the log is not what its origin wrote, or is missing."""

    def __init__(self, dot: Dot, problem: str) -> None:
        super().__init__(Table.FRAMES, frame_key(*dot, b""))
        self.dot = dot
        self.args = (f"the log is damaged at event {dot}: {problem}. Nothing was changed in the directory",)


def replay(store: Store, me: int, vector: Vector) -> bytes:
    """Bring the lazy tables up to `vector`; answers what touched the buckets of the digests by then. Raises
    DamagedLog, naming the place."""
    began = time.monotonic()
    reflected, touched = _last_position(store)
    run = _Replay(store, me, touched or b"")
    events = 0
    for origin, head in sorted(vector.items()):
        after = head_of(reflected, origin)
        if touched is None and after.seq:
            run.touch_only(origin, after)
        if after.seq < head.seq:
            events += head.seq - after.seq
            run.chain(origin, after, head)
    packed = run.digests.pack_touched()
    if events:
        run.reindex()
        store.seed(lazy_rows(run.view), events, encode_position(vector, packed))
        log.info("replayed", events=events, seconds=round(time.monotonic() - began, 3))
    return packed


def _last_position(store: Store) -> tuple[dict[int, Head], bytes | None]:
    """What the lazy tables reflect, and what touched the buckets by then."""
    found = store.checkpoint_position()
    reflected, touched = decode_position(found) if found else ({}, None)
    base = store.get(Table.META, BASE_KEY)
    if base is not None and not any(head.seq for head in reflected.values()):
        # Frames up to here were never in this store: a snapshot brought what they did.
        return decode_position(base)
    return reflected, touched


class _Replay:
    def __init__(self, store: Store, me: int, touched: bytes) -> None:
        self._store = store
        self._me = me
        self.digests = Digests(touched)
        self.view = View(StoreSource(store))
        self._fresh: set[str] = set()
        self._changed: dict[str, None] = {}

    def chain(self, origin: int, after: Head, last: Head) -> None:
        """One origin's frames after a head up to another."""
        view, rows = self.view, dict[str, msgspec.Raw]()
        at = Dot(origin, after.seq + 1)
        try:
            for frame in _frames_between(self._store, origin, after, last):
                at = frame.dot(0)
                own = origin == self._me
                events = _decode_entries(frame.payload) if own else [*_readable(frame)]
                self._touch(frame, events)
                self._gather(events, rows)
            for name, data in rows.items():
                key = name.encode()
                stock = view.stock_of(key)
                row = join_rows(stock.row(origin), _decode_row(data))
                view.stock[key] = stock.with_row(origin, row)
        except DecodeError as problem:
            raise DamagedLog(at, f"its hash is right, but it says nothing: {problem}") from problem

    def touch_only(self, origin: int, last: Head) -> None:
        """Count what a chain has touched from its beginning: the first version did not keep it."""
        for frame in _frames_between(self._store, origin, EMPTY_HEAD, last):
            self._touch(frame, [*_readable(frame)])
            if frame.last == last.seq:
                return

    def _touch(self, frame: Frame, events: Iterable[Entries]) -> None:
        names = [(kind, name) for entries in events for kind, name, _ in entries]
        self.digests.touch(touches_of(frame.digest, names))

    def reindex(self) -> None:
        """Put orders that were changed where they belong now, and nowhere that they may have been."""
        view = self.view
        keys = [order_id.encode() for order_id in self._changed]
        for key, data in self._store.get_many(Table.ORDERS, keys).items():
            record = decode_order(data)
            place = index_place(fold(record))
            if place is None:
                continue
            for claim in record.claims:
                at = time_key(claim.hlc, key)
                view.by_time[at] = None
                view.by_status |= {status_prefix(state) + at: None for state in _STATES}
                customer = decode_customer(claim.placed.body).customer
                if customer:
                    view.by_customer[customer_prefix(customer) + at] = None
            view.put_index(key, place.state, place.hlc, place.customer)

    def _gather(self, events: Iterable[Entries], rows: dict[str, msgspec.Raw]) -> None:
        """Take what matters from a frame: the last row of each item, new orders, and which orders changed."""
        for entries in events:
            for kind, name, delta in entries:
                if kind == _ORDER:
                    record = decode_order(delta)
                    alone = record.claims and not record.intents and not record.decisions
                    if alone and name not in self._fresh:
                        self._fresh.add(name)
                        self._index_new(name, record)
                    else:
                        self._changed[name] = None
                elif kind == _STOCK:
                    rows[name] = delta

    def _index_new(self, order_id: str, record: OrderRecord) -> None:
        claim = record.claims[0]
        state = State.HELD if claim.placed.hold_until_ms else State.CONFIRMED
        customer = decode_customer(claim.placed.body).customer
        self.view.put_index(order_id.encode(), state, claim.hlc, customer)


def _readable(frame: Frame) -> Iterator[Entries]:
    """What of a peer's frame was joined when it came: what no origin writes is passed over, as then."""
    try:
        events = decode_events(frame)
    except FrameError:
        return
    for place, entries in enumerate(events):
        kept = []
        for entry in entries:
            try:
                kind, name, delta = read_entry(entry)
                READERS[kind](frame.dot(place), name, delta)
                kept.append((kind, name, delta))
            except UNREADABLE:
                continue
        yield kept


def _frames_between(store: Store, replica: int, after: Head, last: Head) -> Iterator[Frame]:
    """The frames of a chain after one head up to another. Raises DamagedLog, naming the place."""
    start, stop = frame_key(replica, after.seq + 1, b""), frame_key(replica, last.seq + 1, b"")
    with store.read() as reader:
        for _, data in reader.scan(Table.FRAMES, start, stop):
            try:
                frame = decode_frame(bytes(data))  # type: ignore[call-overload]
                after = verify_chain((frame,), after)
            except FrameError as problem:
                raise DamagedLog(Dot(replica, after.seq + 1), str(problem)) from problem
            yield frame
    if after != last:
        raise DamagedLog(Dot(replica, after.seq + 1), f"the tables go up to {last.seq}, the log does not")
