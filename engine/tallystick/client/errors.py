"""What can go wrong, as a tree.

TallystickError
├─ DefiniteError                it did not happen
│  ├─ InvalidRequest            it breaks a rule of the contract; `field` says where
│  ├─ NotFound
│  │  ├─ OrderNotFound
│  │  ├─ LineNotFound
│  │  └─ StockNotFound
│  ├─ IdReused                  the id was used for something else
│  │  ├─ OrderIdReused
│  │  └─ RequestIdReused
│  ├─ InsufficientStock         `shortages` says what is short, and where there may be more
│  ├─ PreconditionFailed
│  │  ├─ OrderCancelled
│  │  ├─ OrderExpired
│  │  ├─ OrderLocked            what was asked comes too late: the order has been released
│  │  ├─ LimitReached           a counter or the order's history is full
│  │  └─ EtagMismatch
│  ├─ WrongNode                 stock is written at the node it names; `node` answered
│  ├─ StorageFull               the node refuses writes until its disk has room
│  ├─ Unavailable               nobody took it within the deadline
│  │  ├─ Overloaded             too many calls at the node
│  │  ├─ BehindToken            the node has not seen yet what the consistency token names
│  │  └─ ClientClosed
│  ├─ NodeFault                 the node failed, and knows that nothing happened
│  └─ NotServed                 the node is older than the call that was made
└─ IndefiniteError
   └─ OutcomeUnknown            it may have happened: retry under `request_id`, or `resolve` the order

The client retries by itself, under the same id and within the deadline, whatever a retry may mend. An error
that it raises is final for that call. A reason that this version has not learnt is a plain DefiniteError, or
OutcomeUnknown, as the node says.
"""

from __future__ import annotations

from collections.abc import Mapping

from tallystick.client.values.write import Shortage


class TallystickError(Exception):
    """The base of all errors of the SDK.

    `reason` is the node's stable word (such as "INSUFFICIENT_STOCK"), empty if no node gave one; `metadata`
    is what it said for programs to act on.
    """

    def __init__(self, message: str, *, reason: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata: Mapping[str, str] = metadata or {}


class DefiniteError(TallystickError):
    """What was asked did not happen."""


class InvalidRequest(DefiniteError):
    """The request breaks a rule of the contract."""

    @property
    def field(self) -> str:
        """The path of the field at fault, such as "lines[3].quantity"; may be empty."""
        return self.metadata.get("field", "")


class NotFound(DefiniteError):
    """Something named in the request is not there."""


class OrderNotFound(NotFound):
    """No order has this id, at the node that answered."""


class LineNotFound(NotFound):
    """The order has no line with this id."""


class StockNotFound(NotFound):
    """No stock was ever received for this item."""


class IdReused(DefiniteError):
    """An id names one thing; this one names another already."""


class OrderIdReused(IdReused):
    """Another order, with another content, was placed under this id."""


class RequestIdReused(IdReused):
    """Another request, with another content, was made under this id."""


class InsufficientStock(DefiniteError):
    """There is not enough to sell. Nothing was stored, so the order's id stays free."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "INSUFFICIENT_STOCK",
        metadata: Mapping[str, str] | None = None,
        shortages: tuple[Shortage, ...] = (),
        retry_delay_s: float = 0.0,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.shortages = shortages
        """One for each item that is short."""
        self.retry_delay_s = retry_delay_s
        """When asking again may be worth it; 0 if the node did not say."""


class PreconditionFailed(DefiniteError):
    """The order is not, or no longer, in a state that allows this."""


class OrderCancelled(PreconditionFailed):
    """The order is cancelled."""


class OrderExpired(PreconditionFailed):
    """The hold has expired, and its stock is free."""


class OrderLocked(PreconditionFailed):
    """The order has been released to a warehouse."""


class LimitReached(PreconditionFailed):
    """It would go beyond what one counter, or one order's history, may hold."""


class EtagMismatch(PreconditionFailed):
    """Somebody edited the order since the etag was read."""


class WrongNode(DefiniteError):
    """A write of stock arrived at another node than it names."""

    @property
    def node(self) -> str:
        """The node that answered."""
        return self.metadata.get("node", "")


class StorageFull(DefiniteError):
    """The node refuses writes until its disk has room; reads go on."""


class Unavailable(DefiniteError):
    """No node took the request within the deadline."""


class Overloaded(Unavailable):
    """The node had too many calls in flight for the whole of the deadline."""


class BehindToken(Unavailable):
    """The node has not seen, within the deadline, what the consistency token names."""


class ClientClosed(Unavailable):
    """The client was closed before the request was sent."""


class NodeFault(DefiniteError):
    """The node failed on a fault of its own, and says that nothing happened."""


class NotServed(DefiniteError):
    """The node does not know the call: its version is older, or it is no node of Tallystick."""


class IndefiniteError(TallystickError):
    """What was asked may have happened."""


class OutcomeUnknown(IndefiniteError):
    """A write was sent, and no answer says what became of it.

    Repeat it with the same content under the same id, which is safe for as long as one likes; or ask
    `resolve(order_id)`; or cancel the order, which counts even if the placing arrives afterwards. What the
    last attempt met is the `__cause__`.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        order_id: str = "",
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.request_id = request_id
        """The id to repeat it under: of the order for placing, of the receipt or payment, of the request."""
        self.order_id = order_id
        """The order that it is about; empty for writes of stock."""
