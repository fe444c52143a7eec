"""Two customers, one id: the orders under an id that do not stand for it.

An id that was placed with different bodies, at nodes that had not heard of each other, is two orders. One
`counts` for the id (`status.fold`); each other one is visible as `id@dot`, by the dot of any of its claims,
with a state, payments and a refund of its own, and in conflict for all to see.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from tallystick.core.clock import Dot
from tallystick.core.order.facts import OrderRecord, body_hash
from tallystick.core.order.status import OrderStatus, fold


class OrderName(NamedTuple):
    """An order id and, for one that does not stand for it, the dot of a claim of its own."""

    order_id: str
    dot: Dot | None = None

    def __str__(self) -> str:
        return f"{self.order_id}@{self.dot}" if self.dot else self.order_id

    @classmethod
    def parse(cls, text: str) -> OrderName:
        """Read what `str` wrote; what has no dot after an @ is all id."""
        order_id, at, dot = text.rpartition("@")
        try:
            return cls(order_id, Dot.parse(dot)) if at else cls(text)
        except ValueError:
            return cls(text)


def fold_named(record: OrderRecord, dot: Dot | None) -> OrderStatus | None:
    """The status of the order that has the claim `dot`, without a dot of the one that counts.

    None if there is no such claim.
    """
    if dot is None:
        return fold(record)
    claim = record.claim(dot)
    return None if claim is None else fold_alone(record, body_hash(claim.placed.body))


def fold_alone(record: OrderRecord, body_name: bytes) -> OrderStatus:
    """The status of the order with the body of this name (`body_hash`), as if it had the id alone."""
    mismatch = tuple(conflict for conflict in fold(record).conflicts if conflict.kind == "BODY_MISMATCH")
    alone = fold(narrow(record, body_name))
    return replace(alone, conflicts=mismatch + alone.conflicts)


def other_orders(order_id: str, record: OrderRecord) -> list[tuple[OrderName, OrderStatus]]:
    """The orders under the id that do not stand for it, the lowest first, each named by its lowest claim."""
    counts = fold(record).counts if len(record.claims) > 1 else None
    if counts is None:
        return []
    seen = {body_hash(counts.claim.placed.body)}
    others = []
    for claim in sorted(record.claims, key=lambda claim: claim.rank):
        name = body_hash(claim.placed.body)
        if name not in seen:
            seen.add(name)
            others.append((OrderName(order_id, claim.dot), fold_alone(record, name)))
    return others


def narrow(record: OrderRecord, body_name: bytes) -> OrderRecord:
    """What is known about the order with this body alone: cancellations that came before all are for each."""
    claims = tuple(claim for claim in record.claims if body_hash(claim.placed.body) == body_name)
    dots = {claim.dot for claim in claims}
    return OrderRecord(
        claims,
        tuple(intent for intent in record.intents if intent.body_hash in (b"", body_name)),
        tuple(decision for decision in record.decisions if decision.claim in dots),
    )
