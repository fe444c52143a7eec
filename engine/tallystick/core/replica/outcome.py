"""What a step answers: what to write into the frame, and what to tell the caller."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

from tallystick.core.order.facts import EMPTY_ORDER, OrderRecord
from tallystick.core.stock.rights import Stock


class EntryKind(IntEnum):
    """The kinds of frame entries; the delta of each is a small state of the same lattice.

    A new kind is written only after every member has announced that it knows it.
    """

    ORDER = 1
    STOCK = 2
    BOOKING = 3
    DOCUMENT = 4
    MEMBER = 5


Moved = tuple[tuple[bytes, int, int], ...]
"""(stock key, to which replica, units)."""

Entry = tuple[int, str, Any]
"""(kind, key, delta)."""


class Now(NamedTuple):
    """When a step happens: milliseconds since 1970, the commit's HLC, the sequence number of this event."""

    ms: int
    hlc: int
    seq: int


class Outcome(NamedTuple):
    """The result of one event. One that `writes` nothing took no sequence number: nothing was left to do.

    `recorded` says that it is not decided: the owner is somebody else, or a rival has to answer first.
    `moved` has the tokens that went to other replicas by a grant, a move, a split receipt or a rebalancing;
    `settled` the units that paid what was missing, when that was all there was to do. Both change stock rows
    alone, which the frame gets with its last event. `left_open` says why a decision that is due could not be
    written (settling).
    """

    entries: tuple[Entry, ...] = ()
    order_id: str = ""
    record: OrderRecord = EMPTY_ORDER
    stock: tuple[tuple[bytes, Stock], ...] = ()
    replayed: bool = False
    recorded: bool = False
    moved: Moved = ()
    settled: int = 0
    left_open: str = ""

    @property
    def writes(self) -> bool:
        """Whether this is an event: something to be sealed into a frame, with or without entries."""
        return bool(self.entries or self.moved or self.settled)
