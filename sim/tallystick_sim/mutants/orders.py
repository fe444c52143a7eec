"""Wrong about orders: claims, wishes, decisions, rivals, documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from tallystick.core.order import facts, waiting
from tallystick.core.order.decisions import Draft
from tallystick.core.order.document import DocumentRecord, DocumentUpdate
from tallystick.core.order.facts import DecisionKind, Intent, IntentKind, OrderRecord
from tallystick.core.order.rivals import rivals_in_play
from tallystick.core.order.status import ClaimStatus, OrderStatus
from tallystick.core.replica import apply, change, deciding, listing, place
from tallystick.core.replica.deciding import Desk
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.view import View
from tallystick.node.sweeper import Sweeper
from tallystick_sim.mutants.patching import Mutant, always, both, swap
from tallystick_sim.run import Patch


def _expires_any(right: Any) -> Any:
    def next_step(status: OrderStatus, view: View, desk: Desk) -> tuple[ClaimStatus, Draft] | None:
        for claim in status.claims if desk.expiring else ():
            draft = deciding._next_draft(status, claim, view, desk)
            if draft is not None and draft.kind is DecisionKind.EXPIRE:
                return claim, draft
        step: tuple[ClaimStatus, Draft] | None = right(status, view, desk)
        return step

    return next_step


def _rivals(wrong: Any) -> Patch:
    """For owners, and for what waits for them."""
    return both(swap(deciding, "decide_rivals", wrong), swap(waiting, "decide_rivals", wrong))


def _yields_to_all(_: Any) -> Any:
    def decide_rivals(claim: ClaimStatus, claims: Iterable[ClaimStatus]) -> Draft | None:
        rivals = rivals_in_play(claim, claims) if claim.in_play else []
        kept = str(rivals[0].dot) if rivals else ""
        return Draft(DecisionKind.DUPLICATE, kept, keep=kept) if rivals else None

    return decide_rivals


def _joins_no_intent(right: Any) -> Any:
    def join(left: OrderRecord, added: OrderRecord) -> OrderRecord:
        joined: OrderRecord = right(left, replace(added, intents=()))
        return joined

    return join


def _in_order_of_arrival(_: Any) -> Any:
    def union(left: Any, right: Any, key: Any) -> Any:
        return tuple({key(fact): fact for fact in (*left, *right)}.values())

    return union


def _confirms_anything(right: Any) -> Any:
    def decide(claim: ClaimStatus, wish: Intent, now_ms: int) -> Any:
        confirms = wish.kind == IntentKind.CONFIRM
        return Draft(DecisionKind.CONFIRM, str(wish.dot)) if confirms else right(claim, wish, now_ms)

    return decide


def _takes_turns(right: Any) -> Any:
    read, join = right[EntryKind.DOCUMENT]
    waits: dict[tuple[int, bytes], DocumentUpdate] = {}

    def later(view: View, event: Any, key: bytes, update: DocumentUpdate) -> None:
        place = id(view._source), key
        if place not in waits:
            waits[place] = update
            return
        join(view, event, key, update)
        join(view, event, key, waits.pop(place))

    return {**right, EntryKind.DOCUMENT: (read, later)}


def _notes_and_forgets(right: Any) -> Any:
    def apply_update(record: DocumentRecord, delta: DocumentUpdate) -> DocumentRecord:
        after: DocumentRecord = right(record, delta)
        return replace(after, state=record.state) if record.state else after

    return apply_update


ORDERS = (
    Mutant(
        "places-again",
        "an id that is known is placed once more",
        2,
        swap(place, "decode_order", always(None)),
    ),
    Mutant(
        "expires-anothers-hold",
        "a hold whose time is over is ended by whoever sees it first",
        3,
        swap(deciding, "_next_step", _expires_any),
    ),
    Mutant(
        "forgets-when-holds-end",
        "no hold ends by itself",
        3,
        swap(Sweeper, "due", always([])),
    ),
    Mutant(
        "keeps-both-rivals",
        "an order that was placed at two nodes stays two",
        3,
        _rivals(always(None)),
    ),
    Mutant(
        "sells-beside-a-rival",
        "holds end and become sales while a rival has not answered",
        7,
        swap(deciding, "held_back", always(frozenset())),
    ),
    Mutant(
        "yields-to-all-rivals",
        "of two claims each gives way to the other",
        3,
        _rivals(_yields_to_all),
    ),
    Mutant(
        "forgets-an-intent",
        "a wish that was recorded elsewhere is stored, and its owner never looks at it",
        2,
        both(
            swap(apply, "may_settle", always(False)),
            swap(listing, "awaits_decision", always(False)),
        ),
    ),
    Mutant(
        "loses-an-intent",
        "wishes and payments that were recorded elsewhere are not joined",
        1,
        swap(apply, "join_orders", _joins_no_intent),
    ),
    Mutant(
        "keeps-facts-as-they-came",
        "sets of facts are stored in the order in which they arrived",
        2,
        swap(facts, "_union", _in_order_of_arrival),
    ),
    Mutant(
        "confirms-what-has-ended",
        "an order that was cancelled, or has expired, is confirmed all the same",
        4,
        swap(deciding, "decide_wish", _confirms_anything),
    ),
    Mutant(
        "edits-out-of-order",
        "of two edits of one document that come in a frame each, the second is joined first",
        1,
        swap(apply, "_KINDS", _takes_turns),
    ),
    Mutant(
        "notes-an-edit-and-forgets-it",
        "an edit's name is kept, and what it says is not",
        1,
        swap(apply, "apply_update", _notes_and_forgets),
    ),
    Mutant(
        "edits-under-one-name",
        "all processes edit documents under one client id",
        4,
        swap(
            change,
            "edit",
            lambda right: lambda record, placed, changes, _: right(record, placed, changes, 7),
        ),
    ),
)
