"""Stock, in the words of shops."""

from __future__ import annotations

from datetime import datetime

from tallystick.client.values.base import Value


class StockQuantity(Value, frozen=True):
    """So many units of an item. Receiving: more than 0. Adjusting: up or down."""

    sku: str
    quantity: int
    location: str = ""


class AvailableElsewhere(Value, frozen=True, kw_only=True):
    """What other nodes may sell, as far as this one has heard."""

    quantity: int
    as_of: datetime | None


class Stock(Value, frozen=True, kw_only=True):
    """One stock item. Sums over all members unless it says "here"."""

    sku: str
    location: str = ""
    on_hand: int = 0
    """In the building."""
    reserved: int = 0
    """Held for orders that are not confirmed."""
    sold: int = 0
    """Confirmed and not cancelled since, shipped or not."""
    available_here: int = 0
    """What the node that answered may still sell."""
    available_elsewhere: AvailableElsewhere | None = None
    owed: int = 0
    """Sold and missing: to be settled by what comes in or is freed."""
    backordered: int = 0
    received: int = 0
    burned: int = 0
    """Ever written off."""
    overbooked: int = 0
    """Units that may be sold beyond what was received."""
    overbooking_limit_here: int = 0
    shipped: int = 0


class NodeTokens(Value, frozen=True, kw_only=True):
    """What one node may sell of an item."""

    node: str
    region: str
    quantity: int
    demand: float = 0.0
    """Units a second that it is asked for, as it last said."""
    runway_seconds: float | None = None
    """How long that lasts if the node is cut off now; None if nobody asks."""


class ItemTokens(Value, frozen=True, kw_only=True):
    """Who may sell a stock item: every member that has not ended."""

    sku: str
    location: str = ""
    nodes: tuple[NodeTokens, ...] = ()
