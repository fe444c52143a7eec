"""What can be asked of a replica. Each command is one event: it happens whole or is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tallystick.core.order.facts import Body, LineQuantities
from tallystick.core.stock.receipts import Items


class PlaceOrder(NamedTuple):
    """Hold or sell the stock of an order."""

    order_id: str
    body: Body
    actor: str = ""
    total: int | None = None
    """What the caller says it costs, to be checked."""


class ConfirmOrder(NamedTuple):
    """Turn a hold into a sale."""

    order_id: str
    request_id: str
    actor: str = ""


class ExtendHold(NamedTuple):
    """Give a hold `hold_ms` from now; 0 for the default."""

    order_id: str
    request_id: str
    hold_ms: int = 0
    actor: str = ""


class RecordPayment(NamedTuple):
    """Tell what happened to money. The payment id is the request id."""

    order_id: str
    request_id: str
    kind: int
    amount: int
    currency: str = ""
    reference: str = ""
    actor: str = ""


class CancelOrder(NamedTuple):
    """Cancel all, or `lines` (0 units: all that is left of the line)."""

    order_id: str
    request_id: str
    lines: LineQuantities = ()
    reason: str = ""
    actor: str = ""


class EditOrder(NamedTuple):
    """Change details: flat key → value, None to clear. A group in `replaced` ("tags.", "attributes.",
    "shipping_address.", "billing_address.") loses all keys that are not in `changes`."""

    order_id: str
    request_id: str
    changes: Mapping[str, str | None]
    replaced: tuple[str, ...] = ()
    etag: str = ""
    actor: str = ""


class ExpireHold(NamedTuple):
    """The owner's sweeper: let the order's hold go if its time is over."""

    order_id: str


class Settle(NamedTuple):
    """The owner at work: decide what was recorded elsewhere about the order, rivals included."""

    order_id: str


class ReceiveStock(NamedTuple):
    """Book goods in at `node`."""

    booking_id: str
    node: str
    items: Items
    actor: str = ""


class AdjustStock(NamedTuple):
    """Correct stock at `node`, up or down."""

    booking_id: str
    node: str
    items: Items
    reason: str = ""
    actor: str = ""


class SetOverbooking(NamedTuple):
    """Let `node` sell `limit` units beyond what was received."""

    booking_id: str
    node: str
    sku: str
    location: str
    limit: int
    actor: str = ""


class Found(NamedTuple):
    """The first event of a cluster: its founder is a member."""

    region: str


OrderWrite = ConfirmOrder | ExtendHold | RecordPayment | CancelOrder | EditOrder
StockWrite = ReceiveStock | AdjustStock | SetOverbooking
Command = PlaceOrder | OrderWrite | StockWrite | ExpireHold | Settle | Found
