"""What the owner of a claim decides: the rules, free of where the facts came from.

`next_decision` looks at one folded claim and answers the next step of its chain, or None when nothing is
left to decide. The owner calls it until then; each answer is written and folded in before the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tallystick.core.limits import HOLD_MS_DEFAULT
from tallystick.core.order.facts import (
    ConfirmWhen,
    DecisionKind,
    Intent,
    IntentKind,
    LineQuantities,
    PaymentKind,
)
from tallystick.core.order.money import Payments
from tallystick.core.order.status import TRANSITIONS, ClaimStatus, State

UNSHIPPED = {State.HELD, State.CONFIRMED}
COMES_IN = {PaymentKind.AUTHORIZED, PaymentKind.CAPTURED}


class Draft(NamedTuple):
    """A decision before it has a number and a dot."""

    kind: DecisionKind
    cites: str = ""
    lines: LineQuantities = ()
    hold_until_ms: int = 0
    reason: str = ""
    keep: str = ""
    payments: int | None = None


def hold_ms(status: ClaimStatus) -> int:
    """How long this claim's holds last."""
    return status.body.hold_ms or HOLD_MS_DEFAULT


def decide_wish(status: ClaimStatus, wish: Intent, now_ms: int) -> Draft:
    """The owner's answer to a wish: what was asked, or a DECLINE that says why not."""
    cites = str(wish.dot)
    if wish.kind == IntentKind.CANCEL:
        return _decide_cancel(status, wish, cites)
    if status.state is not State.HELD:
        return Draft(DecisionKind.DECLINE, cites, reason=f"ORDER_{status.state.name}")
    if wish.kind == IntentKind.EXTEND:
        return Draft(DecisionKind.EXTEND, cites, hold_until_ms=now_ms + (wish.hold_ms or HOLD_MS_DEFAULT))
    return Draft(DecisionKind.CONFIRM, cites)


def confirms_by_itself(status: ClaimStatus, payments: Payments) -> bool:
    """Whether a held claim becomes a sale by the money alone."""
    if status.state is not State.HELD:
        return False
    return _paid_enough(status, payments)


def may_hold_again(status: ClaimStatus, told: Intent, payments: Payments) -> bool:
    """Whether a payment that came after the hold had expired asks for another: enough was paid for it.

    Money that goes back, or did not come, asks for nothing.
    """
    if status.state is not State.EXPIRED or told.payment_kind not in COMES_IN:
        return False
    if status.body.confirm_when == ConfirmWhen.BY_HAND:
        return payments.kept >= status.price > 0
    return _paid_enough(status, payments)


def _paid_enough(status: ClaimStatus, payments: Payments) -> bool:
    match status.body.confirm_when:
        case ConfirmWhen.ON_AUTHORIZATION:
            return payments.secured >= status.price
        case ConfirmWhen.ON_CAPTURE:
            return payments.kept >= status.price
        case _:
            return False


def _decide_cancel(status: ClaimStatus, wish: Intent, cites: str) -> Draft:
    if (status.state, DecisionKind.CANCEL) not in TRANSITIONS:
        return Draft(DecisionKind.DECLINE, cites, reason=f"ORDER_{status.state.name}")
    if not wish.lines:
        return Draft(DecisionKind.CANCEL, cites, reason=wish.reason)
    if status.state not in UNSHIPPED:
        return Draft(DecisionKind.DECLINE, cites, reason=f"ORDER_{status.state.name}")
    live = {line.line_id: status.live_units(line.line_id, line.quantity) for line in status.body.lines}
    lines: dict[str, int] = {}
    for line_id, units in wish.lines:
        problem = _line_problem(live, line_id, units)
        if problem:
            return Draft(DecisionKind.DECLINE, cites, reason=problem)
        lines[line_id] = units or live[line_id]
    if all(units == lines.get(line_id, 0) for line_id, units in live.items()):
        return Draft(DecisionKind.CANCEL, cites, reason=wish.reason)
    return Draft(DecisionKind.REDUCE, cites, tuple(sorted(lines.items())), reason=wish.reason)


def _line_problem(live: Mapping[str, int], line_id: str, units: int) -> str:
    if line_id not in live:
        return "LINE_NOT_FOUND"
    if units > live[line_id] or not live[line_id]:
        return "QUANTITY_TOO_LARGE"
    return ""
