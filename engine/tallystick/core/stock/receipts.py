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
    MOVE = 4


Split = tuple[tuple[int, int], ...]
"""(replica id, weight), sorted: by what shares the tokens of a receipt go to members."""

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
        "to": "o",
        "split": "s",
    },
):
    """One receipt, adjustment, policy change or move of tokens, at the replica that wrote it.

    `to` is the replica that a move went to; `split` how a receipt's tokens were shared, empty if all stayed.
    """

    kind: int
    replica: int
    seq: int
    hlc: int
    items: Items
    reason: str = ""
    actor: str = ""
    to: int = 0
    split: Split = ()

    @property
    def dot(self) -> Dot:
        return Dot(self.replica, self.seq)

    def says_same(self, other: Booking) -> bool:
        """Whether both book the same, whoever sent them and when."""
        return self._content == other._content

    @property
    def _content(self) -> tuple[int, Items, str, int, Split]:
        return self.kind, self.items, self.reason, self.to, self.split


class BookingRecord(Record, frozen=True, rename={"bookings": "b"}):
    """All that was booked under one id, sorted by dot; more than one only if nodes could not know."""

    bookings: tuple[Booking, ...] = ()


EMPTY_BOOKINGS = BookingRecord()


def join_bookings(left: BookingRecord, right: BookingRecord) -> BookingRecord:
    """Union."""
    facts = {booking.dot: booking for booking in (*left.bookings, *right.bookings)}
    return BookingRecord(tuple(facts[dot] for dot in sorted(facts)))
