"""Applying: what an event's entries say, joined into a view. Nothing is decided, nothing is refused.

Each entry's delta is a small state of the lattice that it is joined to, so entries may come twice, and in any
order that keeps each origin's. An entry that is malformed, or that speaks for another than its origin, is
skipped and reported. That is judged from the bytes alone, never from what is stored, so every replica skips the
same. Only what keys, sums and joins rest on is judged: the limits of callers may be wider in a later version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tallystick.core.clock import Dot
from tallystick.core.errors import InvalidField
from tallystick.core.limits import Limits
from tallystick.core.members import Member, MemberState, join_members
from tallystick.core.order.document import EMPTY_DOCUMENT, DocumentUpdate, apply_update
from tallystick.core.order.facts import (
    Claim,
    Decision,
    Intent,
    LineQuantities,
    decode_body,
    decode_order,
    join_orders,
)
from tallystick.core.order.validate import check_id, check_item, check_text
from tallystick.core.replica.deciding import write_order
from tallystick.core.replica.keys import member_key, order_key, split_stock_key
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.view import View
from tallystick.core.stock.receipts import BookingRecord, join_bookings
from tallystick.core.stock.rights import Row, join_rows

_LIMITS = Limits()
_decode_entry = msgspec.msgpack.Decoder(tuple[int, str, msgspec.Raw]).decode
_decode_row = msgspec.msgpack.Decoder(Row).decode
_decode_bookings = msgspec.msgpack.Decoder(BookingRecord).decode
_decode_update = msgspec.msgpack.Decoder(DocumentUpdate).decode
_decode_member = msgspec.msgpack.Decoder(Member).decode


class UnknownKind(Exception):
    """An entry of a kind that only a newer version knows: this stream must stop. Nothing was joined."""


class Skipped(NamedTuple):
    """An entry that was not joined: its place in the event, and why."""

    index: int
    problem: str


def apply_entries(dot: Dot, entries: Sequence[msgspec.Raw], view: View) -> list[Skipped]:
    """Join the entries of the event `dot` into `view`; answers those that had to be skipped.

    Raises UnknownKind before the first join. Any other exception is a bug here or in a library: the caller
    throws the overlay away and quarantines the origin.
    """
    skipped: list[Skipped] = []
    read: list[tuple[int, Callable[[Dot, str, msgspec.Raw, View], None], str, msgspec.Raw]] = []
    for index, entry in enumerate(entries):
        try:
            kind, key, delta = _decode_entry(entry)
        except (msgspec.MsgspecError, RecursionError) as problem:
            skipped.append(Skipped(index, str(problem)))
            continue
        if kind not in _JOINS:
            raise UnknownKind(f"event {dot} holds an entry of the unknown kind {kind}")
        read.append((index, _JOINS[kind], key, delta))
    for index, join, key, delta in read:
        try:
            join(dot, key, delta, view)
        except (_Malformed, InvalidField, msgspec.MsgspecError, RecursionError) as problem:
            skipped.append(Skipped(index, str(problem)))
    return sorted(skipped)


class _Malformed(Exception):
    """An entry that no origin writes."""


def _join_order(dot: Dot, order_id: str, delta: msgspec.Raw, view: View) -> None:
    check_id("order_id", order_id, _LIMITS)
    record = decode_order(delta)
    _check_written_by(dot, (*record.claims, *record.intents, *record.decisions))
    for claim in record.claims:
        _check_claim(claim)
    for decision in record.decisions:
        _check(decision.hold_until_ms >= 0, "a hold until before 1970")
        _check_units(decision.lines)
    for intent in record.intents:
        _check_units(intent.lines)
    before = view.order(order_key(order_id))
    write_order(view, order_id, before, join_orders(before, record))


def _join_row(dot: Dot, name: str, delta: msgspec.Raw, view: View) -> None:
    key = name.encode()
    check_item("stock", *split_stock_key(key), _LIMITS)
    row = _decode_row(delta)
    receivers = [to for to, _ in row.moved]
    _check(receivers == sorted(set(receivers)), "cells of moved tokens that are not sorted")
    _check(min(*(getattr(row, cell) for cell in row.__struct_fields__[:-1]), 0) == 0, "a negative cell")
    _check_units(row.moved)
    stock = view.stock_of(key)
    # Not by `put_stock`: what a peer wrote is not ours to write into a frame.
    view.stock[key] = stock.with_row(dot.replica, join_rows(stock.row(dot.replica), row))


def _join_bookings(dot: Dot, booking_id: str, delta: msgspec.Raw, view: View) -> None:
    check_id("booking_id", booking_id, _LIMITS)
    record = _decode_bookings(delta)
    _check_written_by(dot, record.bookings)
    key = order_key(booking_id)
    view.put_booking(key, join_bookings(view.bookings_of(key), record))


def _join_update(dot: Dot, order_id: str, delta: msgspec.Raw, view: View) -> None:
    check_id("order_id", order_id, _LIMITS)
    update = _decode_update(delta)
    try:
        apply_update(EMPTY_DOCUMENT, update)
    except ValueError as problem:
        raise _Malformed(str(problem)) from problem
    key = order_key(order_id)
    view.put_document(key, apply_update(view.document(key), update))


def _join_member(dot: Dot, name: str, delta: msgspec.Raw, view: View) -> None:
    member = _decode_member(delta)
    _check(member.state in set(MemberState), f"a member in the unknown state {member.state}")
    try:
        key = member_key(Dot.parse(f"{name}:0").replica)
    except ValueError as problem:
        raise _Malformed(f"not a member's name: {name!r}") from problem
    known = view.member(key)
    view.put_member(key, member if known is None else join_members(known, member))


_JOINS: Mapping[int, Callable[[Dot, str, msgspec.Raw, View], None]] = {
    EntryKind.ORDER: _join_order,
    EntryKind.STOCK: _join_row,
    EntryKind.BOOKING: _join_bookings,
    EntryKind.DOCUMENT: _join_update,
    EntryKind.MEMBER: _join_member,
}


def _check(holds: bool, problem: str) -> None:
    if not holds:
        raise _Malformed(problem)
