"""Applying: what an event's entries say, joined into a view. Nothing is decided, nothing is refused.

Each entry's delta is a small state of the lattice that it is joined to, so events may come twice, and in any
order that keeps each origin's. An entry that is malformed, or that speaks for another than its origin, is
skipped and reported (`reading` judges). What an owner here has to decide now is noted in the view
(`unsettled`, `arrived`): deciding is a step of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tallystick.core.clock import Dot
from tallystick.core.codec import encode
from tallystick.core.members import Member, join_members
from tallystick.core.order.document import DocumentUpdate, apply_update
from tallystick.core.order.facts import EMPTY_ORDER, OrderRecord, decode_customer, decode_order, join_orders
from tallystick.core.order.status import fold
from tallystick.core.replica.deciding import may_settle
from tallystick.core.replica.listing import write_new_order, write_order
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.reading import (
    UNREADABLE,
    read_bookings,
    read_entry,
    read_member,
    read_order,
    read_row,
    read_update,
)
from tallystick.core.replica.view import View
from tallystick.core.stock.receipts import BookingRecord, join_bookings
from tallystick.core.stock.rights import Row, join_rows


class UnknownKind(Exception):
    """An entry of a kind that only a newer version knows: its stream must stop."""


class Skipped(NamedTuple):
    """An entry that was not joined: its place in the event, and why."""

    place: int
    problem: str


class Event(NamedTuple):
    """Whose event is joined, and at whose replica."""

    origin: int
    me: int


def apply_entries(dot: Dot, entries: Sequence[msgspec.Raw], view: View, me: int) -> list[Skipped]:
    """Join the entries of the event `dot` into `view`, at the replica `me`; answers those that had to be
    skipped.

    Raises UnknownKind. After that or any other exception (a bug here or in a library, for which the origin is
    quarantined) the caller throws the view away.
    """
    skipped = []
    event = Event(dot.replica, me)
    for place, entry in enumerate(entries):
        try:
            kind, name, delta = read_entry(entry)
            if kind not in _KINDS:
                raise UnknownKind(f"event {dot} holds an entry of the unknown kind {kind}")
            read, join = _KINDS[kind]
            key, added = read(dot, name, delta)
        except UNREADABLE as problem:
            skipped.append(Skipped(place, str(problem)))
            continue
        join(view, event, key, added)
        view.names.append((kind, name))
    return skipped


def _join_order(view: View, event: Event, key: bytes, added: OrderRecord) -> None:
    known = view.order_bytes(key)
    order_id = key.decode()
    if known is None and len(added.claims) == 1 and not added.intents and not added.decisions:
        # Nearly every order: one claim of somebody's, and nothing else is known. It needs no fold.
        claim = added.claims[0]
        customer = decode_customer(claim.placed.body).customer
        write_new_order(view, order_id, encode(added), claim, customer)
        return
    before = decode_order(known) if known is not None else EMPTY_ORDER
    after = fold(join_orders(before, added))
    write_order(view, order_id, fold(before), after)
    if may_settle(after, event.me):
        view.unsettled[order_id] = None


def _join_row(view: View, event: Event, key: bytes, row: Row) -> None:
    stock = view.stock_of(key)
    known = stock.row(event.origin)
    # Not by `put_stock`: what a peer wrote is not ours to write into a frame.
    view.stock[key] = stock.with_row(event.origin, join_rows(known, row))
    if row.moved and row.moved_to(event.me) > known.moved_to(event.me):
        view.arrived[key] = None


def _join_bookings(view: View, _: Event, key: bytes, added: BookingRecord) -> None:
    view.put_booking(key, join_bookings(view.bookings_of(key), added))


def _join_update(view: View, _: Event, key: bytes, update: DocumentUpdate) -> None:
    view.put_document(key, apply_update(view.document(key), update))


def _join_member(view: View, _: Event, key: bytes, member: Member) -> None:
    known = view.member(key)
    view.put_member(key, member if known is None else join_members(known, member))


Read = Callable[[Dot, str, msgspec.Raw], tuple[bytes, Any]]
Join = Callable[[View, Event, bytes, Any], None]

_KINDS: Mapping[int, tuple[Read, Join]] = {
    EntryKind.ORDER: (read_order, _join_order),
    EntryKind.STOCK: (read_row, _join_row),
    EntryKind.BOOKING: (read_bookings, _join_bookings),
    EntryKind.DOCUMENT: (read_update, _join_update),
    EntryKind.MEMBER: (read_member, _join_member),
}

READERS: Mapping[int, Read] = {kind: read for kind, (read, _) in _KINDS.items()}
"""What tells for each kind whether an entry is one that an origin writes; see `reading`."""
