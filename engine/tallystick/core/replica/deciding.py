"""The owner at work: after any new fact about an order, write the decisions that it calls for.

All decisions are worked out before the first write, so that a wish that must be declined is refused with
nothing done when its caller is here to hear it.
"""

from __future__ import annotations

from typing import NamedTuple

from tallystick.core.errors import InvalidField, LimitReached, Refused, WrongState
from tallystick.core.order.decisions import (
    Draft,
    confirms_by_itself,
    decide_wish,
    hold_ms,
    may_hold_again,
)
from tallystick.core.order.facts import (
    EMPTY_ORDER,
    Decision,
    DecisionKind,
    Intent,
    IntentKind,
    OrderRecord,
    join_orders,
)
from tallystick.core.order.money import Payments, sum_payments
from tallystick.core.order.rivals import decide_rivals, held_back, rivals_in_play
from tallystick.core.order.status import (
    WISHES,
    ClaimStatus,
    OrderStatus,
    State,
    fold,
    open_wishes,
)
from tallystick.core.order.waiting import is_open, payments_in, payments_of, unseen_payment
from tallystick.core.replica.listing import write_order
from tallystick.core.replica.outcome import EntryKind, Now, Outcome
from tallystick.core.replica.tokens import demand, live_lines, move_tokens
from tallystick.core.replica.view import View
from tallystick.core.stock.rights import rights

_UNSETTLED_BY_MONEY = {State.HELD, State.EXPIRED}


class Desk(NamedTuple):
    """What an owner decides with: who he is, when it is, and what makes him look.

    `asked` is the intent whose caller waits: if it must be declined, Refused is raised instead. `expiring`:
    what is due ends. `settling` says that no caller waits: what was recorded elsewhere is looked
    at, payments too that ask for another hold, and nothing is refused.
    """

    replica: int
    now: Now
    asked: Intent | None = None
    expiring: bool = False
    settling: bool = False


def finish_order(order_id: str, before: OrderRecord, delta: OrderRecord, view: View, desk: Desk) -> Outcome:
    """Join `delta` to the order, decide what is ours to decide, move the tokens, keep the indexes.

    Raises Refused, before the first write; not when settling: then a decision that finds a counter full is
    left open, and the outcome says so.
    """
    was = fold(before)
    record = join_orders(before, delta)
    # Rows are worked out before the first write: a full counter refuses the whole event.
    planned = view.fork()
    status = fold(record)
    decided: list[Decision] = []
    left_open = ""
    asked = str(desk.asked.dot) if desk.asked is not None else None
    while (step := _next_step(status, planned, desk)) is not None:
        claim, draft = step
        if draft.kind is DecisionKind.DECLINE and draft.cites == asked:
            raise refuse(draft.reason, order_id)
        decision = _decision(claim, draft, desk)
        moved = planned.fork()
        try:
            move_tokens(moved, desk.replica, claim, decision)
        except LimitReached as full:
            if not desk.settling:
                raise
            left_open = full.message
            break
        planned.adopt(moved)
        decided.append(decision)
        record = join_orders(record, OrderRecord((), (), (decision,)))
        status = fold(record)
    written = join_orders(delta, OrderRecord((), (), tuple(decided)))
    if written == EMPTY_ORDER:
        return Outcome((), order_id, record, replayed=True, left_open=left_open)
    view.adopt(planned)
    write_order(view, order_id, was, status)
    return Outcome(
        ((int(EntryKind.ORDER), order_id, written),),
        order_id,
        record,
        recorded=desk.asked is not None and is_for_others(status, desk.asked, desk.replica),
        left_open=left_open,
    )


def refuse(reason: str, order_id: str) -> Refused:
    """The refusal that says why a wish is declined."""
    if reason in ("LINE_NOT_FOUND", "QUANTITY_TOO_LARGE"):
        text = {
            "LINE_NOT_FOUND": "names a line that the order does not have",
            "QUANTITY_TOO_LARGE": "asks for more units than are left of the line",
        }[reason]
        refusal = InvalidField("lines", f"{text} (order {order_id})")
        refusal.reason = reason
        return refusal
    state = reason.removeprefix("ORDER_").lower()
    return WrongState(
        reason, f"order {order_id} is {state}: that can't be done to it any more", {"order_id": order_id}
    )


def may_settle(status: OrderStatus, me: int) -> bool:
    """Whether `settle_order` could find something to write."""
    return any(claim.owner == me and _is_to_be_seen(status, claim) for claim in status.claims)


def _is_to_be_seen(status: OrderStatus, claim: ClaimStatus) -> bool:
    """Open; or held beside others, one of which may have kept it from ending and yields now: the sweeper has
    come by already."""
    return is_open(status, claim) or (len(status.claims) > 1 and claim.state is State.HELD)


def _next_step(status: OrderStatus, view: View, desk: Desk) -> tuple[ClaimStatus, Draft] | None:
    """A claim of ours and the next decision on it; None when nothing is left to decide."""
    for claim in status.claims:
        if claim.owner == desk.replica:
            draft = _next_draft(status, claim, view, desk)
            if draft is not None:
                return claim, draft
    return None


def _next_draft(status: OrderStatus, claim: ClaimStatus, view: View, desk: Desk) -> Draft | None:
    """Rivals come first, then what callers wish, then what the money says, then the clock."""
    rivals = rivals_in_play(claim, status.claims) if len(status.claims) > 1 else []
    answer = decide_rivals(claim, status.claims) if len(status.claims) > 1 else None
    if answer is not None or not claim.in_play:
        return answer
    waits = held_back(rivals)
    for wish in open_wishes(status.record, claim):
        draft = decide_wish(claim, wish, desk.now.ms)
        if draft.kind not in waits:
            return draft
    if claim.state not in _UNSETTLED_BY_MONEY:
        return None
    facts = payments_of(status.record, claim)
    payments = sum_payments(facts) if facts else Payments()
    if DecisionKind.CONFIRM not in waits and confirms_by_itself(claim, payments):
        return Draft(DecisionKind.CONFIRM)
    told = unseen_payment(claim, facts) if desk.settling else _told(desk)
    if told is not None and str(told.dot) not in claim.cited and may_hold_again(claim, told, payments):
        return None if DecisionKind.HOLD_AGAIN in waits else _hold_again(claim, told, view, desk)
    due = claim.state is State.HELD and claim.hold_until_ms <= desk.now.ms
    if desk.expiring and due and DecisionKind.EXPIRE not in waits:
        return Draft(DecisionKind.EXPIRE, payments=len(payments_in(facts)))
    return None


def _told(desk: Desk) -> Intent | None:
    """The payment whose caller waits."""
    return desk.asked if desk.asked is not None and desk.asked.kind == IntentKind.PAYMENT else None


def _hold_again(claim: ClaimStatus, told: Intent, view: View, desk: Desk) -> Draft | None:
    """Another hold for a paid order, if its units can be had here."""
    units = demand(claim.body, live_lines(claim))
    if any(rights(view.stock_of(key), desk.replica) < count for key, count in units.items()):
        return None
    until = desk.now.ms + hold_ms(claim)
    return Draft(DecisionKind.HOLD_AGAIN, str(told.dot), hold_until_ms=until)


def _decision(claim: ClaimStatus, draft: Draft, desk: Desk) -> Decision:
    dot, now = claim.dot, desk.now
    return Decision(
        dot.replica,
        dot.seq,
        claim.decided + 1,
        int(draft.kind),
        desk.replica,
        now.seq,
        now.hlc,
        draft.cites,
        draft.lines,
        draft.hold_until_ms,
        draft.reason,
        draft.keep,
        payments=draft.payments,
    )


def is_for_others(status: OrderStatus, asked: Intent, me: int) -> bool:
    """Whether what was asked is for another owner to decide, or for us later: a rival has to answer first."""
    counts = status.counts
    if counts is None or asked.kind == IntentKind.EDIT:
        return False
    if asked.kind in WISHES:
        name = (asked.kind, asked.request_id)
        return any((wish.kind, wish.request_id) == name for wish in open_wishes(status.record, counts))
    return counts.owner != me
