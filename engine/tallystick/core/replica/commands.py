"""What can be asked of a replica. Each command is one event: it happens whole or is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tallystick.core.order.facts import Body, LineQuantities
from tallystick.core.stock.receipts import Items, Split


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
    """Book goods in at `node`. Their tokens stay there, or are shared over members by `split`'s weights."""

    booking_id: str
    node: str
    items: Items
    actor: str = ""
    split: Split = ()


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


class MoveTokens(NamedTuple):
    """An operator's transfer of tokens from `node` to the replica `to`."""

    booking_id: str
    node: str
    to: int
    items: Items
    actor: str = ""


class GrantTokens(NamedTuple):
    """The replica `asker` has orders waiting for `asked` units: give it what can be spared, and leave `keep`
    here, which orders of our own take that wait."""

    asker: int
    sku: str
    location: str
    asked: int
    keep: int = 0


class Rebalance(NamedTuple):
    """What the rebalancer would move now: (sku, location, to, units)."""

    moves: tuple[tuple[str, str, int, int], ...]


class SettleStock(NamedTuple):
    """Tokens came in from a peer while goods are owed here, or overbooking waits to go: pay with them."""

    sku: str
    location: str


class Found(NamedTuple):
    """The first event of a cluster: its founder is a member. `secret` signs its invitations."""

    region: str
    address: str = ""
    secret: bytes = b""


class Admit(NamedTuple):
    """Let `replica` in, on an invitation whose signature was checked and whose nonce is used up by this."""

    replica: int
    region: str
    address: str
    nonce: str


class SettleIn(NamedTuple):
    """This node has all that the others have, and is reached at `address`."""

    address: str


OrderWrite = ConfirmOrder | ExtendHold | RecordPayment | CancelOrder | EditOrder
StockWrite = ReceiveStock | AdjustStock | SetOverbooking | MoveTokens
TokenWrite = GrantTokens | Rebalance | SettleStock
MemberWrite = Found | Admit | SettleIn
OwnWrite = ExpireHold | Settle | TokenWrite | MemberWrite
"""What nodes do of themselves: no caller waits for it."""
Command = PlaceOrder | OrderWrite | StockWrite | OwnWrite
