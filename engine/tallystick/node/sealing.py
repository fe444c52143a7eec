"""From the events of one commit to its frames and to the rows that the store writes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tallystick.core.clock import Head
from tallystick.core.codec import encode
from tallystick.core.digest import touches_of
from tallystick.core.frame import BYTES_MAX, EVENTS_MAX, Deps, Frame, encode_frame
from tallystick.core.replica.keys import frame_key
from tallystick.core.replica.outcome import Entry, EntryKind
from tallystick.core.replica.view import View
from tallystick.store.dirty import LazyRows
from tallystick.store.port import Rows, Table

_STOCK = int(EntryKind.STOCK)
_ROW_BYTES = 80
"""About what a stock row takes in a frame."""


class Sealer:
    """Gathers one replica's events into frames.

    What a frame's events did to a stock row is written once, in the last of them. `deps` go into the first.
    """

    def __init__(self, replica: int, head: Head, hlc: int, view: View, deps: Deps = ()) -> None:
        self._replica = replica
        self._hlc = hlc
        self._view = view
        self._deps = deps
        self._events: list[msgspec.Raw] = []
        self._last: tuple[Entry, ...] = ()
        self._names: list[tuple[int, str]] = []
        self._bytes = 0
        self.head = head
        self.frames: list[Frame] = []

    @property
    def next_seq(self) -> int:
        """The sequence number of the next event."""
        return self.head.seq + len(self._events) + 1

    def add(self, entries: tuple[Entry, ...]) -> None:
        """Take one event."""
        data = encode(entries)
        self._events.append(msgspec.Raw(data))
        self._last = entries
        self._names += [entry[:2] for entry in entries]
        self._bytes += len(data)
        rows = len(self._view.touched) * _ROW_BYTES
        if len(self._events) == EVENTS_MAX or self._bytes + rows >= BYTES_MAX:
            self.seal()

    def seal(self) -> None:
        """Close the frame, if there is anything in it."""
        if not self._events:
            return
        view = self._view
        if view.touched:
            rows = tuple((_STOCK, key.decode(), view.stock[key].row(self._replica)) for key in view.touched)
            self._events[-1] = msgspec.Raw(encode((*self._last, *rows)))
            self._names += [row[:2] for row in rows]
            view.touched.clear()
        frame = encode_frame(self._replica, self.head, self._hlc, self._events, self._deps)
        self._deps = ()
        self.frames.append(frame)
        view.touches += touches_of(frame.digest, self._names)
        self._names = []
        self.head = frame.head
        self._events = []
        self._bytes = 0


def eager_rows(view: View, frames: Sequence[Frame], meta: Rows) -> dict[Table, Rows]:
    """What a commit writes at once."""
    rows: dict[Table, Rows] = {
        Table.FRAMES: {frame_key(f.origin, f.first, f.digest): f.data for f in frames},
        Table.META: meta,
    }
    overlay: dict[Table, Rows] = {
        Table.ORDERS: view.orders,
        Table.EXPIRY: view.expiry,
        Table.INTENTS: view.intents,
        Table.MEMBERS: view.members,
        Table.RECEIPTS: view.bookings,
        Table.DOCUMENTS: view.documents,
    }
    return rows | {table: written for table, written in overlay.items() if written}


def lazy_rows(view: View) -> dict[Table, LazyRows]:
    """What waits in memory for a checkpoint."""
    return {
        Table.STOCK: view.stock,
        Table.BY_TIME: view.by_time,
        Table.BY_CUSTOMER: view.by_customer,
        Table.BY_STATUS: view.by_status,
    }
