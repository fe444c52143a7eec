"""Putting an order into the tables: its record, and the indexes that follow it.

What stood in an index before is taken out: an index lists what the joined record says, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable

from tallystick.core.codec import encode
from tallystick.core.order.facts import Claim
from tallystick.core.order.status import ClaimStatus, OrderStatus, State
from tallystick.core.order.waiting import awaits_decision
from tallystick.core.replica.keys import expiry_key, order_key
from tallystick.core.replica.view import IndexPlace, View


def write_order(view: View, order_id: str, was: OrderStatus, after: OrderStatus) -> None:
    """Put an order that was `was` and is `after` now into the table and the indexes.

    `expiry` lists every open hold and `intents` every order that waits for a decision, whoever owns it.
    """
    key = order_key(order_id)
    view.orders[key] = encode(after.record)
    held_before = _expiries(was.claims, order_id)
    held_after = _expiries(after.claims, order_id)
    for expiry in held_before - held_after:
        view.expiry[expiry] = None
    for expiry in held_after - held_before:
        view.expiry[expiry] = b""
    place = index_place(after)
    if place:
        view.move_index(key, index_place(was), place)
    waits = awaits_decision(after)
    if waits != awaits_decision(was):
        view.intents[key] = b"" if waits else None


def write_new_order(view: View, order_id: str, payload: bytes, claim: Claim, customer: str) -> None:
    """The same for an order of which nothing was known and this one claim is all: `payload` is its record."""
    key = order_key(order_id)
    hold_until = claim.placed.hold_until_ms
    view.orders[key] = payload
    view.put_index(key, State.HELD if hold_until else State.CONFIRMED, claim.hlc, customer)
    if hold_until:
        view.expiry[expiry_key(hold_until, order_id)] = b""


def index_place(status: OrderStatus) -> IndexPlace | None:
    """Where an order belongs in the indexes; nowhere before it is placed."""
    counts = status.counts
    return IndexPlace(counts.state, counts.claim.hlc, counts.body.customer) if counts else None


def _expiries(claims: Iterable[ClaimStatus], order_id: str) -> set[bytes]:
    return {expiry_key(claim.hold_until_ms, order_id) for claim in claims if claim.state is State.HELD}
