"""What must hold over several regions, when each was audited by itself. Pure.

Each region has answered like a node alone (`audit`): it knows every order, whoever took it, and the sums of
all stock. Together they must say the same of every item, and what each may still sell must come to what is
left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tallystick.cli.importing.audit import Audit
from tallystick.client.values.stock import Stock

Item = tuple[str, str]
"""(sku, location)."""

SUMS = ("received", "burned", "overbooked", "reserved", "sold")
"""What every region must say alike of an item."""


@dataclass(frozen=True)
class Regional:
    """What is told of several regions beside the outcome and the audit."""

    regions: tuple[str, ...]
    accepted_during_cut: Mapping[str, int]
    recorded: int
    """Cancellations that were recorded, and decided when their order's owner heard of them."""
    digests_equal: bool
    seconds_to_converge: float | None
    """Until all had what anyone had when the cut healed, or when the orders were over; None: never."""


def joint_audit(audits: Mapping[str, Audit], together: Iterable[str]) -> Audit:
    """One audit of all regions: each one's problems, by its name, and those that show `together`.

    Of what was read it tells what all regions have; of what is oversold the most that one of them says.
    """
    each = list(audits.values())
    joint = Audit(alone=True, received=each[0].received)
    joint.problems += [f"{region}: {what}" for region, audit in audits.items() for what in audit.problems]
    joint.problems += together
    joint.money_sent, joint.money_cancelled = each[0].money_sent, each[0].money_cancelled
    joint.money_read = min(audit.money_read for audit in each)
    joint.money_due = min(audit.money_due for audit in each)
    joint.orders_read = min(audit.orders_read for audit in each)
    joint.items_read = min(audit.items_read for audit in each)
    joint.oversold_units = max(audit.oversold_units for audit in each)
    return joint


def stock_problems(shelves: Mapping[str, Sequence[Stock]]) -> list[str]:
    """What the regions' stock says of each other: the same sums, and nothing that may be sold twice."""
    items: dict[Item, dict[str, Stock]] = {}
    for region, shelf in shelves.items():
        for item in shelf:
            items.setdefault((item.sku, item.location), {})[region] = item
    problems = []
    for (sku, location), said in sorted(items.items()):
        name = f"item {sku}" + (f" at {location}" if location else "")
        problems += [f"{name}: {what}" for what in _item_problems(said, len(shelves))]
    return problems


def _item_problems(said: Mapping[str, Stock], regions: int) -> Iterable[str]:
    if len(said) != regions:
        yield f"known in {', '.join(said)} alone"
        return
    for sum_name in SUMS:
        told = {region: getattr(item, sum_name) for region, item in said.items()}
        if len(set(told.values())) != 1:
            yield f"{sum_name} is {told}"
            return
    any_of = next(iter(said.values()))
    there = any_of.received + any_of.overbooked - any_of.burned
    available = sum(item.available_here for item in said.values())
    if there != available + any_of.reserved + any_of.sold:
        yield (
            f"received {any_of.received} − burned {any_of.burned} is not available {available} (over all "
            f"regions) + reserved {any_of.reserved} + sold {any_of.sold}"
        )
