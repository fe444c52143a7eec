"""Changes of an order that is there: each records what its caller asks or tells as an intent, and the owner
decides it in the same step if that is this replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallystick.core.codec import encode
from tallystick.core.errors import IdReused, InvalidField, LimitReached, NotFound, StaleEtag
from tallystick.core.limits import CELL_MAX, Limits
from tallystick.core.order.document import edit, etag, show
from tallystick.core.order.facts import (
    EMPTY_ORDER,
    Intent,
    IntentKind,
    OrderRecord,
    PaymentKind,
    body_hash,
)
from tallystick.core.order.others import OrderName, fold_alone, fold_named
from tallystick.core.order.status import WISHES, OrderStatus, State
from tallystick.core.order.validate import (
    check_details,
    check_groups,
    check_hold,
    check_id,
    check_line_quantities,
    check_text,
)
from tallystick.core.replica.commands import (
    CancelOrder,
    ConfirmOrder,
    EditOrder,
    ExpireHold,
    ExtendHold,
    OrderWrite,
    RecordPayment,
)
from tallystick.core.replica.deciding import Desk, finish_order, is_for_others
from tallystick.core.replica.keys import order_key
from tallystick.core.replica.outcome import EntryKind, Now, Outcome
from tallystick.core.replica.view import View

if TYPE_CHECKING:
    from tallystick.core.replica.step import Replica


def confirm_order(replica: Replica, command: ConfirmOrder, now: Now, view: View) -> Outcome:
    """Turn a hold into a sale; a sale stays one."""
    status = _order(replica, command, view, "request_id")
    wish = _intent(replica, command, now, status, IntentKind.CONFIRM)
    return (
        _replay(command, status, wish)
        or _unless(command, status, State.CONFIRMED)
        or _record(replica, command, status, wish, now, view)
    )


def extend_hold(replica: Replica, command: ExtendHold, now: Now, view: View) -> Outcome:
    """Give a hold more time."""
    check_hold("hold", command.hold_ms, replica.limits)
    status = _order(replica, command, view, "request_id")
    wish = _intent(replica, command, now, status, IntentKind.EXTEND, hold_ms=command.hold_ms)
    return _replay(command, status, wish) or _record(replica, command, status, wish, now, view)


def record_payment(replica: Replica, command: RecordPayment, now: Now, view: View) -> Outcome:
    """Keep a fact about money, and decide what follows from it."""
    if command.kind not in set(PaymentKind):
        raise InvalidField("payment.kind", "must say what happened to the money")
    if not 0 < command.amount <= CELL_MAX:
        raise InvalidField("payment.amount", f"must be 1 to {CELL_MAX} minor units")
    check_text("payment.reference", command.reference, replica.limits.text_bytes_max)
    status = _order(replica, command, view, "payment.payment_id")
    currency = status.counts.body.currency if status.counts else ""
    if command.currency not in ("", currency):
        refusal = InvalidField("payment.currency", f"is {command.currency}, the order's is {currency}")
        refusal.reason = "CURRENCY_MISMATCH"
        raise refusal
    fact = _intent(
        replica,
        command,
        now,
        status,
        IntentKind.PAYMENT,
        payment_kind=command.kind,
        amount=command.amount,
        reference=command.reference,
    )
    return _replay(command, status, fact) or _record(replica, command, status, fact, now, view)


def cancel_order(replica: Replica, command: CancelOrder, now: Now, view: View) -> Outcome:
    """Cancel all of an order or part of it; of one that was not placed yet, all that will come."""
    check_line_quantities(command.lines, replica.limits)
    check_text("reason", command.reason, replica.limits.text_bytes_max)
    status = _order(replica, command, view, "request_id", must_exist=False)
    lines = tuple(sorted(command.lines))
    wish = _intent(replica, command, now, status, IntentKind.CANCEL, lines=lines, reason=command.reason)
    done = _unless(command, status, State.CANCELLED) if not lines else None
    return _replay(command, status, wish) or done or _record(replica, command, status, wish, now, view)


def edit_order(replica: Replica, command: EditOrder, now: Now, view: View) -> Outcome:
    """Change the order's document."""
    check_details("details", command.changes, replica.limits)
    check_groups("update_mask", command.replaced)
    status = _order(replica, command, view, "request_id")
    if OrderName.parse(command.order_id).dot:
        raise InvalidField("order_id", "names an order beside the one that has the id: it keeps its details")
    key = order_key(command.order_id)
    document = view.document(key)
    placed = status.counts.body.details if status.counts else {}
    # What the caller names, not what that clears today: a retry finds other keys there.
    fields = tuple(sorted({*command.changes, *command.replaced}))
    # The values by their hash: another edit under the same id would else pass for this one.
    values = body_hash(encode(dict(command.changes))).hex()
    fact = _intent(replica, command, now, status, IntentKind.EDIT, fields=fields, reference=values)
    replayed = _replay(command, status, fact)
    if replayed:
        return replayed
    shown = show(document, placed)
    changes = dict(command.changes)
    for group in command.replaced:
        changes |= {name: None for name in shown if name.startswith(group) and name not in changes}
    if not fields:
        raise InvalidField("details", "changes nothing: set a field, or name one in update_mask")
    if command.etag not in ("", etag(shown)):
        raise StaleEtag(
            "ETAG_MISMATCH",
            "the details were edited since: read the order, merge, try again with its etag",
            {"etag": etag(shown)},
        )
    edited = edit(document, placed, changes, replica.client_id)
    if len(edited.record.state) > replica.limits.document_bytes_max:
        raise LimitReached(
            "DOCUMENT_FULL",
            f"the details of order {command.order_id} were edited too often; they stay as they are",
            {"order_id": command.order_id},
        )
    check_details("details", show(edited.record, placed), replica.limits)
    outcome = _record(replica, command, status, fact, now, view)
    view.put_document(key, edited.record)
    entry = (int(EntryKind.DOCUMENT), command.order_id, edited.delta)
    return outcome._replace(entries=(*outcome.entries, entry))


def expire_hold(replica: Replica, command: ExpireHold, now: Now, view: View) -> Outcome:
    """Let go of a hold whose time is over: of claims that are this replica's, on its own clock."""
    record = view.order(order_key(command.order_id))
    desk = Desk(replica.replica, now, expiring=True)
    return finish_order(command.order_id, record, EMPTY_ORDER, view, desk)


def _order(
    replica: Replica, command: OrderWrite, view: View, id_field: str, *, must_exist: bool = True
) -> OrderStatus:
    """The order a command names. Raises NotFound, and InvalidField for ids that can't be."""
    name = OrderName.parse(command.order_id)
    check_id("order_id", name.order_id, replica.limits)
    check_id(id_field, command.request_id, replica.limits)
    check_text("actor", command.actor, replica.limits.customer_bytes_max)
    status = fold_named(view.order(order_key(name.order_id)), name.dot)
    if status is None or (must_exist and not status.claims):
        raise NotFound(
            "ORDER_NOT_FOUND",
            f"no order {command.order_id} is known here",
            {"order_id": command.order_id},
        )
    return status


def _intent(
    replica: Replica, command: OrderWrite, now: Now, status: OrderStatus, kind: IntentKind, **said: object
) -> Intent:
    name = body_hash(status.counts.claim.placed.body) if status.counts else b""
    return Intent(
        int(kind),
        command.request_id,
        replica.replica,
        now.seq,
        now.hlc,
        command.actor,
        name,
        **said,  # type: ignore[arg-type]
    )


def _replay(command: OrderWrite, status: OrderStatus, intent: Intent) -> Outcome | None:
    """The answer to a request that was recorded before; it may still wait for the order's owner.

    Raises IdReused if it said something else.
    """
    for known in status.record.intents:
        # Another customer's order under this id has request ids of its own.
        about_this = known.body_hash in (b"", intent.body_hash)
        if about_this and (known.kind, known.request_id) == (intent.kind, intent.request_id):
            if not known.says_same(intent):
                raise IdReused(
                    "REQUEST_ID_REUSED",
                    f"{intent.request_id} was used before for something else; draw a new id",
                    {"request_id": intent.request_id},
                )
            waits = known.kind in WISHES and is_for_others(status, intent, intent.replica)
            return Outcome((), command.order_id, status.record, recorded=waits, replayed=True)
    return None


def _unless(command: OrderWrite, status: OrderStatus, state: State) -> Outcome | None:
    """The answer to a wish that is fulfilled already, by another request: nothing is left to write."""
    return Outcome((), command.order_id, status.record, replayed=True) if status.state is state else None


def _check_room(limits: Limits, order_id: str, known: OrderRecord, intent: Intent, view: View) -> None:
    """Raises LimitReached for a fact too many. Money that moved and the end of the order find room longer."""
    facts = len(known.intents)
    last = intent.kind == IntentKind.PAYMENT or (intent.kind == IntentKind.CANCEL and not intent.lines)
    bytes_max = limits.record_bytes_max * (2 if last else 1)
    size = len(view.order_bytes(order_key(order_id)) or b"")
    facts_max = limits.history_max if known.claims else min(limits.early_wishes_max, limits.history_max)
    if facts >= facts_max or size > bytes_max:
        raise LimitReached(
            "HISTORY_FULL",
            f"order {order_id} has {facts} facts in {size} bytes, the most it may",
            {"order_id": order_id},
        )


def _record(
    replica: Replica, command: OrderWrite, status: OrderStatus, intent: Intent, now: Now, view: View
) -> Outcome:
    """Write the intent and what follows from it. Raises LimitReached, and Refused for a wish that must be
    declined."""
    order_id, dot = OrderName.parse(command.order_id)
    known = status.record if dot is None else view.order(order_key(order_id))
    _check_room(replica.limits, order_id, known, intent, view)
    desk = Desk(replica.replica, now, intent)
    outcome = finish_order(order_id, known, OrderRecord((), (intent,)), view, desk)
    if dot is None:
        return outcome
    after = fold_alone(outcome.record, intent.body_hash)
    recorded = is_for_others(after, intent, replica.replica)
    return outcome._replace(order_id=command.order_id, record=after.record, recorded=recorded)
