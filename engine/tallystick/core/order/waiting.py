"""What waits for an owner: rivals to answer, wishes to decide, money that calls for a sale or another hold.

It is the same for everybody who has the same facts, whoever owns the claim: an index lists such orders, so
that nothing is forgotten that was recorded where it could not be decided.
"""

from __future__ import annotations

from tallystick.core.order.decisions import COMES_IN, confirms_by_itself, may_hold_again
from tallystick.core.order.facts import ConfirmWhen, Intent, OrderRecord, body_hash
from tallystick.core.order.money import Payments, sum_payments
from tallystick.core.order.rivals import decide_rivals
from tallystick.core.order.status import WISHES, ClaimStatus, OrderStatus, State, open_wishes, told_payments

_BY_MONEY = {ConfirmWhen.ON_AUTHORIZATION, ConfirmWhen.ON_CAPTURE}


def payments_of(record: OrderRecord, claim: ClaimStatus) -> list[Intent]:
    """Payment facts that count for this claim, oldest first."""
    return told_payments(record, body_hash(claim.claim.placed.body)) if record.intents else []


def payments_in(facts: list[Intent]) -> list[Intent]:
    """Those that brought money, or the promise of it."""
    return [fact for fact in facts if fact.payment_kind in COMES_IN]


def unseen_payment(claim: ClaimStatus, facts: list[Intent]) -> Intent | None:
    """The last payment that came in, if there are more than the claim's expiry had seen."""
    came_in = payments_in(facts)
    seen = claim.payments_seen
    return came_in[-1] if seen is not None and len(came_in) > seen else None


def is_open(status: OrderStatus, claim: ClaimStatus) -> bool:
    """Whether the claim's owner has something to decide, or will have when a rival has answered."""
    record = status.record
    if len(status.claims) > 1 and decide_rivals(claim, status.claims) is not None:
        return True
    if not record.intents or not claim.in_play:
        return False
    if open_wishes(record, claim):
        return True
    if claim.state is not State.EXPIRED and claim.body.confirm_when not in _BY_MONEY:
        return False
    facts = payments_of(record, claim)
    payments = sum_payments(facts) if facts else Payments()
    told = unseen_payment(claim, facts)
    asks = told is not None and str(told.dot) not in claim.cited and may_hold_again(claim, told, payments)
    return asks or (bool(facts) and confirms_by_itself(claim, payments))


def awaits_decision(status: OrderStatus) -> bool:
    """Whether somebody has something to decide; a wish that came before any placing waits for it."""
    if not status.claims:
        return any(intent.kind in WISHES for intent in status.record.intents)
    return any(is_open(status, claim) for claim in status.claims)
