"""What an order is: a fold over its facts, written as one table.

The fold is total. Every set of facts, however it came together, has one status and a list of conflicts,
usually empty; equal sets have equal status, whatever order they arrived in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

import msgspec

from tallystick.core.clock import Dot
from tallystick.core.order.facts import (
    Body,
    Claim,
    Conflict,
    Decision,
    DecisionKind,
    Intent,
    IntentKind,
    OrderRecord,
    body_hash,
    decode_body,
)
from tallystick.core.order.money import NO_PAYMENTS, Payments, amount_due, sum_payments


class State(IntEnum):
    """The states of a claim; the numbers are those of the public contract."""

    UNPLACED = 1
    HELD = 2
    CONFIRMED = 3
    CANCELLED = 4
    EXPIRED = 5
    RELEASED = 6
    SHIPPED = 7
    DELIVERED = 8
    RETURNED = 9
    DUPLICATE = 10


TRANSITIONS: Mapping[tuple[State, DecisionKind], State] = {
    (State.HELD, DecisionKind.CONFIRM): State.CONFIRMED,
    (State.HELD, DecisionKind.EXTEND): State.HELD,
    (State.HELD, DecisionKind.REDUCE): State.HELD,
    (State.HELD, DecisionKind.CANCEL): State.CANCELLED,
    (State.HELD, DecisionKind.EXPIRE): State.EXPIRED,
    (State.HELD, DecisionKind.DUPLICATE): State.DUPLICATE,
    (State.CONFIRMED, DecisionKind.REDUCE): State.CONFIRMED,
    (State.CONFIRMED, DecisionKind.CANCEL): State.CANCELLED,
    (State.CONFIRMED, DecisionKind.DUPLICATE): State.DUPLICATE,
    (State.EXPIRED, DecisionKind.HOLD_AGAIN): State.HELD,
    (State.EXPIRED, DecisionKind.CANCEL): State.CANCELLED,
    (State.EXPIRED, DecisionKind.DUPLICATE): State.DUPLICATE,
    (State.CANCELLED, DecisionKind.DUPLICATE): State.DUPLICATE,
    (State.DUPLICATE, DecisionKind.KEPT): State.EXPIRED,
}
"""(state, decision) → state. A decision that is not here changes nothing and is a conflict."""

STATELESS = {DecisionKind.DECLINE, DecisionKind.KEPT, DecisionKind.HAND_OVER}
"""Decisions that are in place in every state and leave it, if the table says nothing else."""

LIVE = {State.HELD, State.CONFIRMED, State.RELEASED, State.SHIPPED, State.DELIVERED}
"""States in which a claim has tokens, or used them up."""

STRENGTH: Mapping[State, int] = {
    State.DUPLICATE: -1,
    State.HELD: 1,
    State.CONFIRMED: 2,
    State.RELEASED: 3,
    State.SHIPPED: 3,
    State.DELIVERED: 3,
}
"""How far a claim has come: of rivals the strongest stands, of equals the lowest. States that are not here
have ended: 0."""


class ClaimStatus(msgspec.Struct, frozen=True):
    """One claim, folded. `cancelled` are units by line id, those never had included; `cited` the dots of
    intents and rivals that its decisions answer, as text; `declined` why, by dot, of wishes that were; `kept`
    is the dot of the claim that a DUPLICATE keeps, as text; `payments_seen` how many payments had come in
    when it expired last."""

    claim: Claim
    body: Body
    state: State
    owner: int
    hold_until_ms: int
    cancelled: Mapping[str, int]
    decided: int
    cited: frozenset[str]
    kept: str
    updated_hlc: int
    declined: Mapping[str, str]
    payments_seen: int | None

    @property
    def dot(self) -> Dot:
        return self.claim.dot

    @property
    def strength(self) -> int:
        """How far it has come, for rivals: 0 if it ended, below 0 if it yielded."""
        return STRENGTH.get(self.state, 0)

    @property
    def in_play(self) -> bool:
        """Whether it has not yielded to a rival."""
        return self.state is not State.DUPLICATE

    def live_units(self, line_id: str, quantity: int) -> int:
        """Units of a line that still stand."""
        return max(0, quantity - self.cancelled.get(line_id, 0))

    @property
    def due(self) -> int:
        """What the customer owes for what still stands, in minor units."""
        return amount_due(self.body, self.cancelled) if self.state in LIVE else 0

    @property
    def price(self) -> int:
        """What the lines that were not cancelled cost, whatever became of the claim."""
        return amount_due(self.body, self.cancelled)


class OrderStatus(msgspec.Struct, frozen=True):
    """One order id, folded. `counts` is the claim that stands for the order; None if nothing was placed."""

    record: OrderRecord
    claims: tuple[ClaimStatus, ...]
    counts: ClaimStatus | None
    payments: Payments
    conflicts: tuple[Conflict, ...]
    updated_hlc: int

    @property
    def state(self) -> State:
        return self.counts.state if self.counts else State.UNPLACED

    @property
    def refund_due(self) -> int:
        """Money that is in beyond what is due."""
        return max(0, self.payments.kept - (self.counts.due if self.counts else 0))

    @property
    def declined(self) -> tuple[tuple[Intent, str], ...]:
        """Wishes that the owner could not fulfil, and why."""
        reasons = self.counts.declined if self.counts else {}
        told = ((intent, reasons.get(str(intent.dot), "")) for intent in self.record.intents if reasons)
        return tuple((i, why) for i, why in told if why and _FULFILLED.get(i.kind) != why)


def fold(record: OrderRecord) -> OrderStatus:
    """The status of an order."""
    conflicts: list[Conflict] = []
    claims = tuple(_fold_claim(claim, record.decisions, conflicts) for claim in record.claims)
    counts = _claim_that_counts(claims, conflicts)
    payments = NO_PAYMENTS
    if record.intents:
        name = body_hash(counts.claim.placed.body) if counts else b""
        payments = sum_payments(told_payments(record, name))
        _find_mismatches(record, name, conflicts)
    stamps = [c.updated_hlc for c in claims] + [i.hlc for i in record.intents]
    return OrderStatus(record, claims, counts, payments, tuple(conflicts), max(stamps, default=0))


def open_wishes(record: OrderRecord, status: ClaimStatus) -> list[Intent]:
    """Intents that want a decision on this claim and have none yet, oldest first.

    A request that was sent to two nodes is one wish: one decision answers both. A claim that yielded answers
    no more: the one it yielded to does.
    """
    wishes = [i for i in record.intents if i.kind in WISHES] if status.in_play else []
    if not wishes:
        return []
    name = body_hash(status.claim.placed.body)
    wishes = [i for i in wishes if i.body_hash in (b"", name)]
    answered = {(i.kind, i.request_id) for i in wishes if str(i.dot) in status.cited}
    first: dict[tuple[int, str], Intent] = {}
    for wish in sorted(wishes, key=lambda i: (i.hlc, i.dot)):
        if (wish.kind, wish.request_id) not in answered:
            first.setdefault((wish.kind, wish.request_id), wish)
    return list(first.values())


def told_payments(record: OrderRecord, name: bytes) -> list[Intent]:
    """Payment facts about the body of this name, oldest first: of one that was told twice the first."""
    told: dict[str, Intent] = {}
    for fact in sorted(record.intents, key=lambda i: (i.hlc, i.dot)):
        if fact.kind == IntentKind.PAYMENT and fact.body_hash in (b"", name):
            told.setdefault(fact.request_id, fact)
    return list(told.values())


_DECISIONS = frozenset(DecisionKind)
WISHES = {IntentKind.CANCEL, IntentKind.CONFIRM, IntentKind.EXTEND}
"""Intents that an owner answers, each with a decision that cites it."""
_FULFILLED: Mapping[int, str] = {
    IntentKind.CANCEL: "ORDER_CANCELLED",
    IntentKind.CONFIRM: "ORDER_CONFIRMED",
}
"""The reason for which a wish was declined that had come true already."""


def _fold_claim(claim: Claim, decisions: Iterable[Decision], conflicts: list[Conflict]) -> ClaimStatus:
    placed = claim.placed
    body = decode_body(placed.body)
    state = State.HELD if placed.hold_until_ms else State.CONFIRMED
    owner, hold_until, kept, updated, number = claim.replica, placed.hold_until_ms, "", claim.hlc, 0
    cancelled = dict(placed.short)
    cited: set[str] = set()
    declined: dict[str, str] = {}
    payments_seen: int | None = None
    for decision in _chain(claim, decisions, conflicts):
        # An answer is an answer, even one out of place: what it cites is not open any more.
        number, updated = decision.number, max(updated, decision.hlc)
        if decision.cites:
            cited.add(decision.cites)
        after = _after(state, decision, claim)
        if after is None:
            conflicts.append(_misplaced(claim, state, decision.kind))
            continue
        state = after
        if decision.kind == DecisionKind.REDUCE:
            for line_id, units in decision.lines:
                cancelled[line_id] = cancelled.get(line_id, 0) + units
        elif decision.kind == DecisionKind.DECLINE:
            declined[decision.cites] = decision.reason
        elif decision.kind == DecisionKind.EXPIRE:
            payments_seen = decision.payments
        hold_until = decision.hold_until_ms or hold_until
        owner = decision.next_owner or owner
        kept = decision.keep or kept
    return ClaimStatus(
        claim,
        body,
        state,
        owner,
        hold_until,
        cancelled,
        number,
        frozenset(cited),
        kept,
        updated,
        declined,
        payments_seen,
    )


def _after(state: State, decision: Decision, claim: Claim) -> State | None:
    """The state after a decision; None if it has no place in this one, or is unknown to this version."""
    kind = decision.kind
    if kind not in _DECISIONS or (kind == DecisionKind.DUPLICATE and decision.keep == str(claim.dot)):
        return state if kind in _DECISIONS else None
    return TRANSITIONS.get((state, DecisionKind(kind)), state if kind in STATELESS else None)


def _chain(claim: Claim, decisions: Iterable[Decision], conflicts: list[Conflict]) -> list[Decision]:
    """The claim's decisions by number; of two with one number the one with the lower dot."""
    chain: list[Decision] = []
    if not decisions:
        return chain
    dot = claim.dot
    for decision in sorted((d for d in decisions if d.claim == dot), key=lambda d: d.key):
        if chain and decision.number == chain[-1].number:
            conflicts.append(
                Conflict("DECIDED_TWICE", f"two decisions number {decision.number} on one claim", (dot,))
            )
        elif decision.number == len(chain) + 1:
            chain.append(decision)
        else:
            conflicts.append(
                Conflict("DECISION_MISSING", f"a decision before number {decision.number} is missing", (dot,))
            )
    return chain


def _claim_that_counts(claims: tuple[ClaimStatus, ...], conflicts: list[Conflict]) -> ClaimStatus | None:
    """Of rivals the one in play that came furthest, of equals the lowest. Of several bodies under one id the
    lowest that lives; else the lowest."""
    if len(claims) < 2:
        return claims[0] if claims else None
    ranked = sorted(claims, key=lambda c: c.claim.rank)
    dots = tuple(c.dot for c in ranked)
    bodies = dict.fromkeys(bytes(c.claim.placed.body) for c in ranked)
    if len(bodies) > 1:
        conflicts.append(Conflict("BODY_MISMATCH", "one order id was placed with different contents", dots))
    if sum(c.state in LIVE for c in ranked) > 1:
        conflicts.append(Conflict("RIVAL_CLAIMS", "one order id was placed more than once", dots))
    # `max` answers the first of equals.
    standing = [
        max((c for c in ranked if bytes(c.claim.placed.body) == body), key=lambda c: c.strength)
        for body in bodies
    ]
    return next((c for c in sorted(standing, key=lambda c: c.claim.rank) if c.state in LIVE), standing[0])


def _find_mismatches(record: OrderRecord, name: bytes, conflicts: list[Conflict]) -> None:
    """One request id that was used at two nodes for two things: the first counts, the other is told."""
    told: dict[tuple[int, str], Intent] = {}
    for intent in sorted(record.intents, key=lambda i: (i.hlc, i.dot)):
        if intent.body_hash not in (b"", name):
            continue
        first = told.setdefault((intent.kind, intent.request_id), intent)
        if first is not intent and not first.says_same(intent):
            paid = intent.kind == IntentKind.PAYMENT
            kind, what = ("PAYMENT_MISMATCH", "payment") if paid else ("REQUEST_MISMATCH", "request")
            conflicts.append(Conflict(kind, f"{what} {intent.request_id} was told in two ways", ()))


def _misplaced(claim: Claim, state: State, kind: int) -> Conflict:
    if kind not in _DECISIONS:
        return Conflict("UNKNOWN_DECISION", f"a decision of kind {kind}: a newer version's?", (claim.dot,))
    name = DecisionKind(kind).name
    return Conflict("OUT_OF_PLACE", f"{name} of a claim that is {state.name}", (claim.dot,))
