"""A node without a disk, a clock or a network: steps into a view, commits groups, crashes, hears others.

Its tables are dicts. It follows the design, not the node's own driver, and is small enough to trust.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tallystick.core.clock import EMPTY_HEAD, Head, join_vectors, tick
from tallystick.core.codec import encode
from tallystick.core.frame import Frame, decode_events, decode_frame, encode_frame, follows
from tallystick.core.limits import Limits
from tallystick.core.replica.apply import Skipped, apply_entries
from tallystick.core.replica.commands import Command, Settle
from tallystick.core.replica.outcome import Entry, EntryKind, Now, Outcome
from tallystick.core.replica.step import Replica
from tallystick.core.replica.view import View
from tallystick.core.stock.rights import EMPTY_STOCK, Stock

TABLES = (
    *("orders", "bookings", "documents", "members", "stock"),
    *("expiry", "intents", "by_time", "by_customer", "by_status"),
)
Dump = dict[str, dict[bytes, Any]]


def overlay_of(view: View) -> Dump:
    """All that a view holds, for comparing: rows as bytes, so that equal means equal to the byte."""
    dump: Dump = {table: dict(getattr(view, table)) for table in TABLES}
    dump["stock"] = {key: encode(stock) for key, stock in view.stock.items()}
    dump["touched"] = dict.fromkeys(view.touched)
    return dump


class Tables:
    """A store in memory: the Source of views, and what takes their overlays."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[bytes, Any]] = {table: {} for table in TABLES}

    def order(self, key: bytes) -> bytes | None:
        return self.rows["orders"].get(key)

    def booking(self, key: bytes) -> bytes | None:
        return self.rows["bookings"].get(key)

    def document(self, key: bytes) -> bytes | None:
        return self.rows["documents"].get(key)

    def member(self, key: bytes) -> bytes | None:
        return self.rows["members"].get(key)

    def stock(self, key: bytes) -> Stock:
        found = self.rows["stock"].get(key)
        return EMPTY_STOCK if found is None else found

    def write(self, view: View) -> None:
        """Apply an overlay: None deletes."""
        for table in TABLES:
            for key, value in getattr(view, table).items():
                if value is None:
                    self.rows[table].pop(key, None)
                else:
                    self.rows[table][key] = value

    def merged(self, view: View) -> Dump:
        """What is stored once `view` is written, without writing it."""
        dump: Dump = {}
        for table in TABLES:
            rows = {**self.rows[table], **getattr(view, table)}
            dump[table] = {key: rows[key] for key in sorted(rows) if rows[key] is not None}
        dump["stock"] = {key: encode(stock) for key, stock in dump["stock"].items()}
        return dump


class Node:
    """One replica with its tables, its chain of frames, and what it heard of others'."""

    def __init__(self, replica: int, limits: Limits | None = None) -> None:
        self.replica = Replica(replica, "eu", replica << 20, limits or Limits())
        self.tables = Tables()
        self.vector: dict[int, Head] = {}
        self.frames: list[Frame] = []
        self.sealed_deps: dict[int, Head] = {}
        self.last_hlc = 0
        self.unsettled: dict[str, None] = {}
        self._begin()

    def _begin(self) -> None:
        self.view = View(self.tables)
        self.events: list[tuple[Entry, ...]] = []

    @property
    def id(self) -> int:
        return self.replica.replica

    @property
    def head(self) -> Head:
        return self.vector.get(self.id, EMPTY_HEAD)

    def step(self, command: Command, now_ms: int) -> Outcome:
        """One event of the current group, all of which has one stamp. Raises Refused."""
        if not self.events:
            self.stamp = tick(self.last_hlc, now_ms)
        now = Now(now_ms, self.stamp, self.head.seq + len(self.events) + 1)
        outcome = self.replica.step(command, now, self.view)
        if outcome.writes:
            self.events.append(outcome.entries)
        return outcome

    def commit(self) -> None:
        """Seal the group's events into one frame and write its overlay."""
        if self.events:
            *most, last = self.events
            kind, view = int(EntryKind.STOCK), self.view
            rows = [(kind, key.decode(), view.stock[key].row(self.id)) for key in sorted(view.touched)]
            news = tuple(
                (r, *h) for r, h in self.vector.items() if self.sealed_deps.get(r) != h and r != self.id
            )
            frame = encode_frame(self.id, self.head, self.stamp, [*most, (*last, *rows)], news)
            self.frames.append(frame)
            self.last_hlc = self.stamp
            self.sealed_deps = dict(self.vector)
            self.vector[self.id] = frame.head
            self.tables.write(view)
        self._begin()

    def crash(self) -> None:
        """Lose the group that was not committed; start as a new process."""
        me = self.replica
        self.replica = Replica(me.replica, me.region, me.client_id + 1, me.limits)
        self._begin()

    def hear(self, data: bytes) -> list[Skipped]:
        """Apply a peer's frame if it is next in its chain and its deps are met."""
        self.commit()
        frame = decode_frame(data)
        met = all(self.vector.get(r, EMPTY_HEAD).seq >= seq for r, seq, _ in frame.deps)
        if not met or not follows(frame, self.vector.get(frame.origin, EMPTY_HEAD)):
            return []
        view = View(self.tables)
        skipped = apply_frame(frame, view, self.id)
        self.unsettled |= view.unsettled
        self.tables.write(view)
        self.vector = join_vectors(self.vector, {frame.origin: frame.head})
        return skipped

    def settle(self, now_ms: int) -> None:
        """Decide what others' frames called for."""
        orders, self.unsettled = self.unsettled, {}
        for order_id in orders:
            self.step(Settle(order_id), now_ms)
        self.commit()

    def dump(self) -> Dump:
        """Everything stored, with the current group in it."""
        return self.tables.merged(self.view)


def apply_frame(frame: Frame, view: View, me: int) -> list[Skipped]:
    """Apply every event of a frame at the replica `me`."""
    return [
        problem
        for index, entries in enumerate(decode_events(frame))
        for problem in apply_entries(frame.dot(index), entries, view, me)
    ]


def rebuilt(frames: Iterable[Frame]) -> Dump:
    """What frames alone say, joined into empty tables one by one."""
    tables = Tables()
    for frame in frames:
        view = View(tables)
        assert apply_frame(frame, view, 0) == []
        tables.write(view)
    return tables.merged(View(tables))


def exchange(*nodes: Node) -> bool:
    """Deliver all frames to all; answers whether any was news."""
    news = False
    for to in nodes:
        for origin in nodes:
            origin.commit()
            for frame in origin.frames:
                if frame.last > to.vector.get(origin.id, EMPTY_HEAD).seq:
                    assert to.hear(frame.data) == []
                    news = True
    return news


def settle_all(*nodes: Node, now: int) -> None:
    """Until nobody has anything to write."""
    for _ in range(30):
        news = exchange(*nodes)
        for node in nodes:
            node.settle(now)
        if not news and not any(node.unsettled for node in nodes) and not exchange(*nodes):
            return
    raise AssertionError("the owners never come to an end")
