"""The owner at work: after any new fact about an order, write the decisions that it calls for.

All decisions are worked out before the first write, so that a wish that must be declined is refused with
nothing done when its caller is here to hear it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tallystick.core.clock import Dot
from tallystick.core.codec import encode
from tallystick.core.errors import InvalidField, Refused, WrongState
from tallystick.core.order.decisions import (
    Draft,
    confirms_by_itself,
    decide_wish,
    hold_ms,
    may_hold_again,
)
from tallystick.core.order.facts import (
    Decision,
    DecisionKind,
    Intent,
    IntentKind,
    OrderRecord,
    join_orders,
)
from tallystick.core.order.status import ClaimStatus, OrderStatus, State, fold, open_wishes
from tallystick.core.replica.keys import expiry_key, order_key
from tallystick.core.replica.outcome import EntryKind, Now, Outcome
from tallystick.core.replica.tokens import demand, live_lines, move_tokens
from tallystick.core.replica.view import IndexPlace, View
from tallystick.core.stock.rights import rights

if TYPE_CHECKING:
    from tallystick.core.replica.step import Replica

Steps = list[tuple[ClaimStatus, Decision]]
"""Decisions with the claim as it was before each."""

NOTHING_FIRST: Mapping[Dot, Draft] = {}


def finish_order(
    replica: Replica,
    order_id: str,
    before: OrderRecord,
    delta: OrderRecord,
    now: Now,
    view: View,
    *,
    asked: Intent | None = None,
    first: Mapping[Dot, Draft] = NOTHING_FIRST,
) -> Outcome:
    """Join `delta` to the order, decide what is ours to decide, move the tokens, keep the indexes.

    `asked` is the intent whose caller waits: if it must be declined, Refused is raised instead. `first`
    has decisions to begin with, by claim (the sweeper's).
    """
    record = join_orders(before, delta)
    steps: Steps = []
    for status in fold(record).claims:
        if status.owner == replica.replica:
            record = _decide(replica, order_id, record, status, now, view, asked, first, steps)
    # Rows are worked out before the first write: a full counter refuses the whole event.
    planned = view.fork()
    for status, decision in steps:
        move_tokens(planned, replica.replica, status, decision)
    view.adopt(planned)
    written = join_orders(delta, OrderRecord((), (), tuple(decision for _, decision in steps)))
    after = write_order(view, order_id, before, record)
    recorded = asked is not None and bool(record.claims) and not _owns_one(after, replica.replica)
    return Outcome(((int(EntryKind.ORDER), order_id, written),), order_id, record, recorded=recorded)


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


def _decide(
    replica: Replica,
    order_id: str,
    record: OrderRecord,
    status: ClaimStatus,
    now: Now,
    view: View,
    asked: Intent | None,
    first: Mapping[Dot, Draft],
    steps: Steps,
) -> OrderRecord:
    """Write one claim's decisions until nothing is left to decide; answers the record with them."""
    dot = status.dot
    draft = first.get(dot) or _next_draft(replica, record, status, now, view, asked)
    while draft is not None:
        if draft.kind is DecisionKind.DECLINE and asked is not None and draft.cites == str(asked.dot):
            raise refuse(draft.reason, order_id)
        decision = Decision(
            dot.replica,
            dot.seq,
            status.decided + 1,
            int(draft.kind),
            replica.replica,
            now.seq,
            now.hlc,
            draft.cites,
            draft.lines,
            draft.hold_until_ms,
            draft.reason,
        )
        steps.append((status, decision))
        record = join_orders(record, OrderRecord((), (), (decision,)))
        status = next(claim for claim in fold(record).claims if claim.dot == dot)
        draft = _next_draft(replica, record, status, now, view, asked)
    return record


def _next_draft(
    replica: Replica, record: OrderRecord, status: ClaimStatus, now: Now, view: View, asked: Intent | None
) -> Draft | None:
    for wish in open_wishes(record, status):
        return decide_wish(status, wish, now.ms)
    payments = fold(record).payments
    if confirms_by_itself(status, payments):
        return Draft(DecisionKind.CONFIRM)
    told = asked if asked is not None and asked.kind == IntentKind.PAYMENT else None
    if told and str(told.dot) not in status.cited and may_hold_again(status, told, payments):
        units = demand(status.body, live_lines(status))
        if all(rights(view.stock_of(key), replica.replica) >= count for key, count in units.items()):
            return Draft(DecisionKind.HOLD_AGAIN, str(told.dot), hold_until_ms=now.ms + hold_ms(status))
    return None


def write_order(view: View, order_id: str, before: OrderRecord, record: OrderRecord) -> OrderStatus:
    """Put an order that was `before` and is `record` now into the table and the indexes; answers its status.

    `expiry` lists every open hold, whoever owns it; `intents` the orders that have wishes and no placing.
    """
    key = order_key(order_id)
    view.orders[key] = encode(record)
    was, after = fold(before), fold(record)
    held_before = _expiries(was.claims, order_id)
    held_after = _expiries(after.claims, order_id)
    for expiry in held_before - held_after:
        view.expiry[expiry] = None
    for expiry in held_after - held_before:
        view.expiry[expiry] = b""
    place = index_place(after)
    if place:
        view.move_index(key, index_place(was), place)
        if not was.counts and before.intents:
            view.intents[key] = None
    elif record.intents:
        view.intents[key] = b""
    return after


def index_place(status: OrderStatus) -> IndexPlace | None:
    """Where an order belongs in the indexes; nowhere before it is placed."""
    counts = status.counts
    return IndexPlace(counts.state, counts.claim.hlc, counts.body.customer) if counts else None


def _expiries(claims: Iterable[ClaimStatus], order_id: str) -> set[bytes]:
    return {expiry_key(claim.hold_until_ms, order_id) for claim in claims if claim.state is State.HELD}


def _owns_one(status: OrderStatus, replica: int) -> bool:
    return any(claim.owner == replica for claim in status.claims)
