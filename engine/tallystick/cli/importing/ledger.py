"""Which orders a cancellation hits: that customer's newest open units of the item. Pure.

Open is what an *accepted* order has and no earlier cancellation took. Orders may be entered in any sequence;
a cancellation sees those that stand before it in the file, so it must wait until they are decided.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tallystick.cli.importing.mapping import Cancellation, OrderLine, PlannedOrder

ItemOfCustomer = tuple[str, str]
"""(customer, sku)."""


class Part(NamedTuple):
    """What a cancellation takes back of one order: units by line id, in the order's lines."""

    order_id: str
    units: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.units.values())


@dataclass(order=True, slots=True)
class _Open:
    """One order line that may be cancelled yet; sorted oldest first, within an order by line."""

    seq: int
    index: int
    order_id: str = field(compare=False)
    line_id: str = field(compare=False)
    units: int = field(compare=False)


class Ledger:
    """Open units by customer and item, for the items that some cancellation names."""

    def __init__(self, cancellations: Iterable[Cancellation]) -> None:
        self._wanted: Container[ItemOfCustomer] = {(c.customer, c.sku) for c in cancellations if c.customer}
        self._open: dict[ItemOfCustomer, list[_Open]] = {}
        self._done: dict[str, list[Part]] = {}
        self.cancelled: dict[str, dict[str, int]] = {}
        """Units taken back so far, by order and line."""

    def wants(self, order: PlannedOrder) -> bool:
        """Whether some cancellation in the file may be about this order."""
        return any((order.customer, line.sku) in self._wanted for line in order.lines)

    def accept(self, order: PlannedOrder, done: Mapping[str, Mapping[str, int]] | None = None) -> None:
        """Enter an accepted order. `done`: what an earlier run took of it, by request id and line."""
        for index, line in enumerate(order.lines):
            key = order.customer, line.sku
            if key in self._wanted:
                entry = _Open(order.seq, index, order.id, line.line_id, line.quantity)
                insort(self._open.setdefault(key, []), entry)
        for request_id, units in (done or {}).items():
            self._done.setdefault(request_id, []).append(Part(order.id, units))

    def match(self, cancellation: Cancellation) -> tuple[list[Part], int]:
        """Take the units from the newest open lines; answers what to cancel, and the units left over.

        What an earlier run of the same file has cancelled for this line comes first, as it was: the same
        request again, which the node knows, and not a second one elsewhere.
        """
        entries = self._open.get((cancellation.customer, cancellation.sku), [])
        before = [entry for entry in entries if entry.seq < cancellation.seq]
        left = cancellation.units
        taken: dict[str, dict[str, int]] = {}
        done = {part.order_id: part.units for part in self._done.get(cancellation.request_id, ())}
        for entry in before:
            units = min(left, entry.units, done.get(entry.order_id, {}).get(entry.line_id, 0))
            left -= self._take(taken, entry, units)
        for entry in reversed(before):
            if entry.order_id not in done:
                left -= self._take(taken, entry, min(left, entry.units))
        return [Part(order_id, units) for order_id, units in taken.items()], left

    def undo(self, cancellation: Cancellation, part: Part) -> None:
        """The node refused this part: its units are as before."""
        for entry in self._open.get((cancellation.customer, cancellation.sku), []):
            if entry.order_id == part.order_id and entry.line_id in part.units:
                entry.units += part.units[entry.line_id]
                self.cancelled[entry.order_id][entry.line_id] -= part.units[entry.line_id]

    def _take(self, taken: dict[str, dict[str, int]], entry: _Open, units: int) -> int:
        if units:
            entry.units -= units
            lines = self.cancelled.setdefault(entry.order_id, {})
            lines[entry.line_id] = lines.get(entry.line_id, 0) + units
            taken.setdefault(entry.order_id, {})[entry.line_id] = units
        return units

    def open_units(self, order: PlannedOrder, line: OrderLine) -> int:
        """What stands of a line of an accepted order."""
        return line.quantity - self.cancelled.get(order.id, {}).get(line.line_id, 0)
