"""What writes answer."""

from __future__ import annotations

import enum
from datetime import datetime

from tallystick.client.values.base import Value
from tallystick.client.values.order import Line, Order, OrderState
from tallystick.client.values.stock import Stock


class Disposition(enum.StrEnum):
    """How far a write has come."""

    DECIDED = "decided"
    """The node that was asked holds the right and has decided."""
    RECORDED = "recorded"
    """The wish is recorded; the owner of the order's claim decides it."""
    UNKNOWN = "unknown"


class WriteResult(Value, frozen=True, kw_only=True):
    """What every answer to a write says beside the thing written."""

    consistency_token: bytes
    """Hand it to a read, with this client or another, to see at least this write."""
    replicated_to: int
    """How many other members have the write on disk as well."""
    disposition: Disposition
    replayed: bool
    """The same request had been answered before; nothing was written now."""


class PlacedOrder(Value, frozen=True, kw_only=True):
    """The answer to placing: what the engine decided, without what the caller sent."""

    id: str
    state: OrderState
    place_time: datetime | None
    hold_expire_time: datetime | None
    """While HELD: when the hold is let go."""
    lines: tuple[Line, ...]
    """Lines set aside otherwise than asked, with their allocations; usually none."""
    write: WriteResult


class OrderChange(Value, frozen=True, kw_only=True):
    """The answer to a write about an order: the order after it."""

    order: Order
    write: WriteResult


class StockChange(Value, frozen=True, kw_only=True):
    """The answer to a write of stock: the items after it."""

    stock: tuple[Stock, ...]
    write: WriteResult


class Shortage(Value, frozen=True, kw_only=True):
    """Why an order could not have an item."""

    sku: str
    location: str
    asked: int
    available_here: int
    available_elsewhere: int
    """As far as the node knew, at `as_of`."""
    as_of: datetime | None = None
    unreachable_regions: tuple[str, ...] = ()
    """Regions that could not be asked."""
    suggested_region: str = ""
    """Where to try."""
