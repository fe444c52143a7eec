"""What was booked at one node under an id: kept for ever, so that goods are never counted twice."""

from __future__ import annotations

from enum import IntEnum

from tallystick.core.clock import Dot
from tallystick.core.codec import Record


class BookingKind(IntEnum):
    """What a booking did."""

    RECEIVE = 1
    ADJUST = 2
    POLICY = 3


Items = tuple[tuple[str, str, int], ...]
"""(sku, location, units) as they were sent."""


class Booking(
    Record,
    frozen=True,
    rename={
        "kind": "k",
        "replica": "r",
        "seq": "q",
        "hlc": "t",
        "items": "i",
        "reason": "w",
        "actor": "a",
    },
):
    """One receipt, adjustment or policy change, at the replica that wrote it."""

    kind: int
    replica: int
    seq: int
    hlc: int
    items: Items
    reason: str = ""
    actor: str = ""

    @property
    def dot(self) -> Dot:
        return Dot(self.replica, self.seq)

    def says_same(self, other: Booking) -> bool:
        """Whether both book the same, whoever sent them and when."""
        return (self.kind, self.items, self.reason) == (other.kind, other.items, other.reason)


class BookingRecord(Record, frozen=True, rename={"bookings": "b"}):
    """All that was booked under one id, sorted by dot; more than one only if nodes could not know."""

    bookings: tuple[Booking, ...] = ()


EMPTY_BOOKINGS = BookingRecord()


def join_bookings(left: BookingRecord, right: BookingRecord) -> BookingRecord:
    """Union."""
    facts = {booking.dot: booking for booking in (*left.bookings, *right.bookings)}
    return BookingRecord(tuple(facts[dot] for dot in sorted(facts)))
