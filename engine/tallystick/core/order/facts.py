"""What is recorded about an order: its placings (claims), wishes and tellings (intents), decisions.

    OrderRecord
    ├── claims      one for each `placed` fact; normally one
    ├── intents     facts by anyone: paid, please cancel, please confirm, edited, …
    └── decisions   one chain for each claim, numbered from 1, written by the claim's owner

All three are sets that only grow, named by dots. Two copies of a record join by union, and what an event adds
to it is a small record of the same kind: state, delta and join are one type (Almeida et al., *Delta State
Replicated Data Types*, 2018). What the order *is* folds from the facts (`status`). Field names on disk are
short because there are millions of them.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from hashlib import blake2b
from typing import Any, NamedTuple, TypeVar

import msgspec

from tallystick.core.clock import Dot
from tallystick.core.codec import Record

F = TypeVar("F")


class ConfirmWhen(IntEnum):
    """What turns a held order into a sale."""

    ON_PLACING = 1
    ON_AUTHORIZATION = 2
    ON_CAPTURE = 3
    BY_HAND = 4


class ShortageMode(IntEnum):
    """What placing does when stock is short."""

    ALL_OR_NONE = 1
    PARTIAL = 2


class PaymentKind(IntEnum):
    """What happened to money."""

    AUTHORIZED = 1
    CAPTURED = 2
    VOIDED = 3
    FAILED = 4
    REFUNDED = 5
    CHARGED_BACK = 6


class AdjustmentKind(IntEnum):
    """What a part of the total that belongs to no line is."""

    DISCOUNT = 1
    TAX = 2
    SHIPPING = 3
    FEE = 4
    ROUNDING = 5


class IntentKind(IntEnum):
    """A fact that anyone may record about an order."""

    PAYMENT = 1
    CANCEL = 2
    CONFIRM = 3
    EXTEND = 4
    EDIT = 5


class DecisionKind(IntEnum):
    """What only the owner of a claim may write."""

    CONFIRM = 1
    EXTEND = 2
    CANCEL = 3
    REDUCE = 4
    EXPIRE = 5
    HOLD_AGAIN = 6
    DECLINE = 7
    DUPLICATE = 8
    KEPT = 9
    HAND_OVER = 10


class Line(
    Record,
    frozen=True,
    rename={
        "line_id": "i",
        "sku": "s",
        "quantity": "q",
        "location": "l",
        "untracked": "x",
        "unit_price": "u",
        "amount": "a",
        "description": "d",
    },
):
    """One line of an order. Money in minor units of the order's currency."""

    line_id: str
    sku: str
    quantity: int
    location: str = ""
    untracked: bool = False
    unit_price: int = 0
    amount: int = 0
    description: str = ""


class Adjustment(
    Record, frozen=True, rename={"adjustment_id": "i", "kind": "k", "amount": "a", "description": "d"}
):
    """Part of the total that belongs to no line."""

    adjustment_id: str
    kind: int
    amount: int
    description: str = ""


class Body(
    Record,
    frozen=True,
    rename={
        "currency": "c",
        "lines": "l",
        "customer": "u",
        "adjustments": "a",
        "confirm_when": "w",
        "hold_ms": "h",
        "shortage_mode": "m",
        "details": "d",
    },
):
    """All that the caller says when placing. Two placings are the same order iff their bodies are equal.

    `confirm_when`, `hold_ms` and `shortage_mode` are 0 for their defaults: on placing, 15 minutes, all or
    none. `details` has flat keys ("note", "shipping_address.city", "tags.x", "attributes.y").
    """

    currency: str
    lines: tuple[Line, ...]
    customer: str = ""
    adjustments: tuple[Adjustment, ...] = ()
    confirm_when: int = 0
    hold_ms: int = 0
    shortage_mode: int = 0
    details: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def total(self) -> int:
        """What the order costs, in minor units."""
        total = 0
        for line in self.lines:
            total += line.amount
        for adjustment in self.adjustments:
            total += adjustment.amount
        return total


class BodyCustomer(Record, frozen=True, rename={"customer": "u"}):
    """Of a body, who buys: what an index needs."""

    customer: str = ""


LineQuantities = tuple[tuple[str, int], ...]
"""Line id → units, sorted by line id."""


class Placed(
    Record,
    frozen=True,
    rename={"body": "b", "actor": "a", "hold_until_ms": "h", "short": "s"},
):
    """The fact of placing. `hold_until_ms` is 0 if nothing is held (confirmed on placing); `short` names
    what could not be had, when the caller chose partial acceptance."""

    body: msgspec.Raw
    actor: str = ""
    hold_until_ms: int = 0
    short: LineQuantities = ()


class Decision(
    Record,
    frozen=True,
    rename={
        "claim_replica": "x",
        "claim_seq": "y",
        "number": "n",
        "kind": "k",
        "replica": "r",
        "seq": "q",
        "hlc": "t",
        "cites": "c",
        "lines": "l",
        "hold_until_ms": "h",
        "reason": "w",
        "keep": "p",
        "next_owner": "o",
        "payments": "m",
    },
):
    """One step of the chain of the claim (`claim_replica`, `claim_seq`).

    `cites` is the dot of the intent or of the rival claim that it answers, as text; `lines` the units of a
    REDUCE; `keep` the dot of the claim that a DUPLICATE keeps: its own while it asks the cited one to yield;
    `next_owner` the replica of a HAND_OVER; `payments` how many had come in when an EXPIRE was written, None
    where that was not counted yet.
    """

    claim_replica: int
    claim_seq: int
    number: int
    kind: int
    replica: int
    seq: int
    hlc: int
    cites: str = ""
    lines: LineQuantities = ()
    hold_until_ms: int = 0
    reason: str = ""
    keep: str = ""
    next_owner: int = 0
    payments: int | None = None

    @property
    def dot(self) -> Dot:
        return Dot(self.replica, self.seq)

    @property
    def claim(self) -> Dot:
        """The claim that it is about."""
        return Dot(self.claim_replica, self.claim_seq)

    @property
    def key(self) -> tuple[int, int, int, int, int]:
        """Its name in the set: the claim, the place in the chain, the writer."""
        return self.claim_replica, self.claim_seq, self.number, self.replica, self.seq


class Intent(
    Record,
    frozen=True,
    rename={
        "kind": "k",
        "request_id": "i",
        "replica": "r",
        "seq": "q",
        "hlc": "t",
        "actor": "a",
        "body_hash": "b",
        "lines": "l",
        "reason": "w",
        "payment_kind": "m",
        "amount": "p",
        "reference": "f",
        "hold_ms": "h",
        "fields": "e",
    },
):
    """A fact that somebody recorded. It counts for every claim whose body has `body_hash`; an empty hash
    (a cancellation that came before any placing) for all."""

    kind: int
    request_id: str
    replica: int
    seq: int
    hlc: int
    actor: str = ""
    body_hash: bytes = b""
    lines: LineQuantities = ()
    reason: str = ""
    payment_kind: int = 0
    amount: int = 0
    reference: str = ""
    hold_ms: int = 0
    fields: tuple[str, ...] = ()

    @property
    def dot(self) -> Dot:
        return Dot(self.replica, self.seq)

    def says_same(self, other: Intent) -> bool:
        """Whether both ask or tell the same, whoever recorded them and when."""
        return _wish(self) == _wish(other)


class Claim(Record, frozen=True, rename={"replica": "r", "seq": "q", "hlc": "t", "placed": "p"}):
    """One placing of an order id."""

    replica: int
    seq: int
    hlc: int
    placed: Placed

    @property
    def dot(self) -> Dot:
        return Dot(self.replica, self.seq)

    @property
    def rank(self) -> tuple[int, int, int]:
        """The order of rivals: the lower decides."""
        return self.hlc, self.replica, self.seq


class OrderRecord(Record, frozen=True, rename={"claims": "c", "intents": "i", "decisions": "d"}):
    """Everything known about one order id, or what one event adds to that. Each set is sorted by key."""

    claims: tuple[Claim, ...] = ()
    intents: tuple[Intent, ...] = ()
    decisions: tuple[Decision, ...] = ()

    def claim(self, dot: Dot) -> Claim | None:
        """The claim with this dot."""
        return next((claim for claim in self.claims if claim.dot == dot), None)


EMPTY_ORDER = OrderRecord()

decode_body = msgspec.msgpack.Decoder(Body).decode
decode_customer = msgspec.msgpack.Decoder(BodyCustomer).decode
decode_order = msgspec.msgpack.Decoder(OrderRecord).decode


def body_hash(body: bytes | msgspec.Raw) -> bytes:
    """The name of a body, for facts that are about it: BLAKE2b-128."""
    return blake2b(bytes(body), digest_size=16).digest()


class Conflict(NamedTuple):
    """What came together that no rule could settle alone."""

    kind: str
    description: str
    claims: tuple[Dot, ...]


def join_orders(left: OrderRecord, right: OrderRecord) -> OrderRecord:
    """Union, set by set."""
    if left == right:
        return left
    return OrderRecord(
        _union(left.claims, right.claims, lambda claim: claim.dot),
        _union(left.intents, right.intents, lambda intent: (intent.dot, intent.kind, intent.request_id)),
        _union(left.decisions, right.decisions, lambda decision: decision.key),
    )


def _union(left: tuple[F, ...], right: tuple[F, ...], key: Callable[[F], Any]) -> tuple[F, ...]:
    if not right:
        return left
    facts = {key(fact): fact for fact in (*left, *right)}
    return tuple(facts[name] for name in sorted(facts))


def _wish(intent: Intent) -> tuple[Any, ...]:
    return (
        intent.kind,
        intent.request_id,
        intent.lines,
        intent.reason,
        intent.payment_kind,
        intent.amount,
        intent.reference,
        intent.hold_ms,
        intent.fields,
    )
