"""Opening a data directory: who we are, where our chain ends, and the rows that no checkpoint had written.

Lazy tables are as old as the last finished checkpoint. Replaying the frames since then rebuilds them;
nothing is decided anew.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from tallystick.core.clock import EMPTY_HEAD, Dot, Head
from tallystick.core.codec import DecodeError
from tallystick.core.frame import Frame, FrameError, decode_frame, verify_chain
from tallystick.core.order.facts import OrderRecord, decode_customer, decode_order
from tallystick.core.order.status import TRANSITIONS, State, fold
from tallystick.core.replica.keys import frame_key, status_prefix, time_key
from tallystick.core.replica.listing import index_place
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.view import View
from tallystick.core.stock.rights import Row, join_rows
from tallystick.node.identity import (
    Identity,
    decode_vector,
    draw_identity,
    encode_vector,
    head_of,
    identity_rows,
    load_clock,
    load_identity,
    load_vector,
)
from tallystick.node.sealing import lazy_rows
from tallystick.node.source import StoreSource
from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.port import CorruptRecord, Table
from tallystick.store.store import Store

log = structlog.get_logger("opening")

ENCODERS = {Table.STOCK: msgspec.msgpack.Encoder(order="sorted").encode}
_LEAVABLE = tuple(sorted({state for state, _ in TRANSITIONS}))
_decode_row = msgspec.msgpack.Decoder(Row).decode
_decode_entries = msgspec.msgpack.Decoder(list[list[tuple[int, str, msgspec.Raw]]]).decode


class NoCluster(Exception):
    """The directory is empty and nobody asked to found a cluster."""


class DamagedLog(CorruptRecord):
    """A frame of the log is not what its origin wrote, or is missing."""

    def __init__(self, dot: Dot, problem: str) -> None:
        super().__init__(Table.FRAMES, frame_key(*dot, b""))
        self.dot = dot
        self.args = (f"the log is damaged at event {dot}: {problem}. Nothing was changed in the directory",)


class Opened(NamedTuple):
    """A store ready to be driven."""

    store: Store
    identity: Identity
    head: Head
    hlc: int


def open_store(
    path: Path, region: str, *, new_cluster: bool, map_size: int, reserve: int | None, backlog: int
) -> Opened:
    """Open or found. Raises NoCluster, and store.StoreError for what is wrong with the directory."""
    if not new_cluster and not path.exists():
        raise NoCluster(_NO_CLUSTER.format(path))
    backend = LmdbBackend(path, map_bytes=map_size, reserve_bytes=reserve)
    store = Store(backend, ENCODERS, backlog_events=backlog)
    return open_on(store, region, new_cluster=new_cluster, place=str(path))


def open_on(store: Store, region: str, *, new_cluster: bool, place: str) -> Opened:
    """`open_store` on a store that is there already. Closes it if it can't be opened."""
    try:
        identity = load_identity(store)
        if identity is None:
            if not new_cluster:
                raise NoCluster(_NO_CLUSTER.format(place))
            identity = draw_identity(region)
            store.commit({Table.META: identity_rows(identity)}, {}, 0, b"")
        head = head_of(load_vector(store), identity.replica)
        replay(store, identity.replica, head)
        return Opened(store, identity, head, load_clock(store))
    except BaseException:
        store.close()
        raise


def replay(store: Store, replica: int, head: Head) -> None:
    """Rebuild what the lazy tables lack: stock rows and indexes of all events since the last checkpoint."""
    position = store.checkpoint_position()
    reflected = head_of(decode_vector(position), replica) if position else EMPTY_HEAD
    if reflected.seq >= head.seq:
        return
    began = time.monotonic()
    view = View(StoreSource(store))
    rows: dict[str, msgspec.Raw] = {}
    changed: dict[str, None] = {}
    at = Dot(replica, reflected.seq + 1)
    try:
        for frame in _frames_between(store, replica, reflected, head):
            at = frame.dot(0)
            _gather(frame, view, rows, changed)
        for name, last in rows.items():
            row = _decode_row(last)
            key = name.encode()
            stock = view.stock_of(key)
            view.put_stock(key, stock.with_row(replica, join_rows(stock.row(replica), row)))
    except DecodeError as problem:
        raise DamagedLog(at, f"its hash is right, but it says nothing: {problem}") from problem
    _reindex(store, view, changed)
    store.seed(lazy_rows(view), head.seq - reflected.seq, encode_vector({replica: head}))
    log.info("replayed", events=head.seq - reflected.seq, seconds=round(time.monotonic() - began, 3))


def _frames_between(store: Store, replica: int, after: Head, last: Head) -> Iterator[Frame]:
    """The frames of our chain after one head up to another. Raises DamagedLog, naming the place."""
    start, stop = frame_key(replica, after.seq + 1, b""), frame_key(replica + 1, 0, b"")
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


def _gather(frame: Frame, view: View, rows: dict[str, msgspec.Raw], changed: dict[str, None]) -> None:
    """Take what matters from a frame: the last row of each item, new orders, and which orders changed."""
    order, stock = int(EntryKind.ORDER), int(EntryKind.STOCK)
    for entries in _decode_entries(frame.payload):
        for kind, name, delta in entries:
            if kind == order:
                record = decode_order(delta)
                if record.claims and not record.intents and not record.decisions:
                    _index_new(view, name, record)
                else:
                    changed[name] = None
            elif kind == stock:
                rows[name] = delta


def _index_new(view: View, order_id: str, record: OrderRecord) -> None:
    claim = record.claims[0]
    state = State.HELD if claim.placed.hold_until_ms else State.CONFIRMED
    view.put_index(order_id.encode(), state, claim.hlc, decode_customer(claim.placed.body).customer)


def _reindex(store: Store, view: View, changed: dict[str, None]) -> None:
    """Put orders that were changed where they belong now, and nowhere that they may have been."""
    keys = [order_id.encode() for order_id in changed]
    for key, data in store.get_many(Table.ORDERS, keys).items():
        place = index_place(fold(decode_order(data)))
        if place is None:
            continue
        for state in _LEAVABLE:
            if state != place.state:
                view.by_status[status_prefix(state) + time_key(place.hlc, key)] = None
        view.put_index(key, place.state, place.hlc, place.customer)


_NO_CLUSTER = (
    "{} holds no node yet: pass --new-cluster to found a cluster there, or name the directory of a node"
)
