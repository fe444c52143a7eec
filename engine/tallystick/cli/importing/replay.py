"""What an earlier run of the same import has left behind, and what it must have refused. Pure.

A refusal is not stored, so a second run would ask again, and could be given what a cancellation has freed
since: no replay, but another history. Only later cancellations of an item that the order could be short of
can make that difference, and each of those waited until the order was decided. So if one of them was made and
the order is not there, it was refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from tallystick.cli.importing.mapping import Plan

CancelledUnits = Mapping[str, Mapping[str, int]]
"""What was taken back of an order: units by request id and line."""


@dataclass(frozen=True)
class History:
    """What is at the node already: orders by id, and what was cancelled of each."""

    placed: AbstractSet[str] = frozenset()
    cancelled: Mapping[str, CancelledUnits] = field(default_factory=dict)


def refused_before(plan: Plan, scarce: Sequence[Collection[str]], history: History) -> set[str]:
    """The orders that an earlier run was refused; `scarce` has the items that each may be short of."""
    made = {request_id for units in history.cancelled.values() for request_id in units}
    last_freed = {each.sku: each.seq for each in plan.cancellations if each.request_id in made}
    return {
        order.id
        for order, items in zip(plan.orders, scarce, strict=True)
        if order.id not in history.placed and any(last_freed.get(sku, -1) > order.seq for sku in items)
    }
