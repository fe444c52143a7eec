"""Orders: what is asked for, and what became of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import msgspec

from tallystick.client.ids import new_id
from tallystick.client.values.base import Value


class ConfirmWhen(enum.StrEnum):
    """What turns a held order into a sale."""

    ON_PLACING = "on_placing"
    ON_AUTHORIZATION = "on_authorization"
    ON_CAPTURE = "on_capture"
    """When captures reach the total."""
    BY_HAND = "by_hand"
    """By `confirm_order` alone: a checkout hold."""
    UNKNOWN = "unknown"


class ShortageMode(enum.StrEnum):
    """What placing does when stock is short."""

    ALL_OR_NONE = "all_or_none"
    """Every line in full, or a refusal."""
    PARTIAL = "partial"
    """What there is; refused only when no tracked unit is there at all."""
    UNKNOWN = "unknown"


class OrderState(enum.StrEnum):
    """Where an order stands."""

    UNPLACED = "unplaced"
    """Known by an early cancellation alone; no placing has arrived."""
    HELD = "held"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RELEASED = "released"
    """To a warehouse: a cancellation becomes a return from here on."""
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    DUPLICATE = "duplicate"
    """A rival claim that another claim of the same id has won over."""
    UNKNOWN = "unknown"


class AdjustmentKind(enum.StrEnum):
    """Why a total is not the sum of its lines."""

    DISCOUNT = "discount"
    TAX = "tax"
    SHIPPING = "shipping"
    FEE = "fee"
    ROUNDING = "rounding"
    UNKNOWN = "unknown"


class PaymentKind(enum.StrEnum):
    """What a payment provider said."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    FAILED = "failed"
    REFUNDED = "refunded"
    CHARGED_BACK = "charged_back"
    UNKNOWN = "unknown"


class Allocation(Value, frozen=True):
    """Units set aside for a line, and where they lie."""

    location: str
    region: str
    quantity: int


class Line(Value, frozen=True):
    """One line of an order: `Line("TEA", 2, amount=1800)`. The last five fields are the engine's answer."""

    sku: str
    quantity: int
    amount: int = 0
    """What the line costs, in minor units: authoritative."""
    unit_price: int = 0
    """For the record only."""
    location: str = ""
    """The stock it is to come from."""
    line_id: str = ""
    """Unique in the order; by position, "1", "2", …, if none is given."""
    untracked: bool = False
    """True for what takes no stock: postage, services."""
    description: str = ""

    allocations: tuple[Allocation, ...] = ()
    cancelled_quantity: int = 0
    released_quantity: int = 0
    shipped_quantity: int = 0
    returned_quantity: int = 0


class Adjustment(Value, frozen=True):
    """A part of the total that belongs to no line; discounts are negative."""

    adjustment_id: str
    kind: AdjustmentKind
    amount: int
    description: str = ""


class Address(Value, frozen=True, kw_only=True):
    """A postal address."""

    name: str = ""
    organization: str = ""
    street: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    """ISO 3166, two capital letters, by convention."""


class Details(Value, frozen=True, kw_only=True):
    """What people edit together; concurrent edits merge. Never money, quantity or state."""

    shipping_address: Address | None = None
    billing_address: Address | None = None
    email: str = ""
    phone: str = ""
    note: str = ""
    tags: AbstractSet[str] = frozenset()
    attributes: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        self._freeze("tags", frozenset)


class Payment(Value, frozen=True, kw_only=True):
    """A fact about money. Recording the same `payment_id` again is the same fact, never a second one."""

    kind: PaymentKind
    amount: int
    """More than 0, in the order's minor units."""
    payment_id: str = msgspec.field(default_factory=new_id)
    currency: str = ""
    """Checked against the order's if given."""
    reference: str = ""
    """The provider's name for it."""


class PaymentSummary(Value, frozen=True, kw_only=True):
    """Where the money of an order stands, in its minor units."""

    authorized: int = 0
    """Neither voided nor captured."""
    captured: int = 0
    refunded: int = 0
    charged_back: int = 0
    amount_due: int = 0
    """What the customer owes for what still stands."""
    refund_due: int = 0
    """Captured beyond that and not yet given back: somebody must refund it."""


class Claim(Value, frozen=True, kw_only=True):
    """One placing of an order id, at one node."""

    dot: str
    state: OrderState
    place_time: datetime | None
    owner: str
    """The node that decides on it."""
    region: str


class Conflict(Value, frozen=True, kw_only=True):
    """What came together and no rule could settle alone."""

    kind: str
    """A stable word, for programs."""
    description: str
    claims: tuple[str, ...] = ()


class Order(Value, frozen=True, kw_only=True):
    """An order. `id` to `details` are the caller's, all that follows is the engine's answer.

    The id is drawn when the value is made, and it is what makes placing safe to repeat: placing the same
    value again never takes stock twice.
    """

    currency: str
    """ISO 4217. Every amount of the order is in minor units of it."""
    lines: Sequence[Line]
    id: str = msgspec.field(default_factory=new_id)
    """1 to 64 of [A-Za-z0-9._~-]."""
    customer: str = ""
    adjustments: Sequence[Adjustment] = ()
    total: int | None = None
    """The sum of line amounts and adjustments; refused if it is given and wrong."""
    confirm_when: ConfirmWhen = ConfirmWhen.ON_PLACING
    hold: timedelta | None = None
    """How long stock is held for an order that is not confirmed: the engine's default if None."""
    shortage_mode: ShortageMode = ShortageMode.ALL_OR_NONE
    details: Details = Details()

    state: OrderState = OrderState.UNKNOWN
    place_time: datetime | None = None
    update_time: datetime | None = None
    hold_expire_time: datetime | None = None
    """While HELD: when the hold is let go."""
    payment: PaymentSummary = PaymentSummary()
    claims: tuple[Claim, ...] = ()
    """Every placing of this id; normally one."""
    conflicts: tuple[Conflict, ...] = ()
    etag: str = ""
    """Changes with every edit of `details`."""

    def __post_init__(self) -> None:
        self._freeze("lines", tuple)
        self._freeze("adjustments", tuple)


class OrderEventKind(enum.StrEnum):
    """What happened."""

    PLACED = "placed"
    PAYMENT_RECORDED = "payment_recorded"
    CANCEL_REQUESTED = "cancel_requested"
    CONFIRM_REQUESTED = "confirm_requested"
    EXTENSION_REQUESTED = "extension_requested"
    EDITED = "edited"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    HOLD_EXTENDED = "hold_extended"
    HELD_AGAIN = "held_again"
    """Paid after the hold had expired, and stock could be held once more."""
    DECLINED = "declined"
    """What was asked could not be done: `reason` says why."""
    DUPLICATE = "duplicate"
    KEPT = "kept"
    HANDED_OVER = "handed_over"
    UNKNOWN = "unknown"


class LineQuantity(Value, frozen=True):
    """So many units of a line; 0 is all that is left of it."""

    line_id: str
    quantity: int = 0


class OrderEvent(Value, frozen=True, kw_only=True):
    """One fact or decision in an order's history."""

    dot: str
    """Replica id and sequence number; unique in the cluster."""
    time: datetime | None
    actor: str
    kind: OrderEventKind
    claim: str = ""
    """The claim that a decision is about."""
    number: int = 0
    """The place of a decision in the claim's chain."""
    request_id: str = ""
    """The caller's id of what was asked."""
    lines: tuple[LineQuantity, ...] = ()
    payment: Payment | None = None
    reason: str = ""
    hold_expire_time: datetime | None = None
    fields: tuple[str, ...] = ()
    """Of an edit: what it touched."""
