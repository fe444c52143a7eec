"""What must hold after an import, checked on what the public API answers. Pure.

Orders: every acknowledged one reads back as it was sent, less what was cancelled, and none that was refused
is there. Stock, item by item and to the unit: received − burned = available + reserved + sold. Money: the
totals read back are those sent, and what is due is that less the cancelled shares.

`alone` says that nobody else wrote at the node. Then its figures must equal ours; else they may exceed them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tallystick.cli.importing.mapping import PlannedOrder
from tallystick.cli.importing.money import cancelled_value
from tallystick.cli.importing.values import order_value
from tallystick.client.values.order import Order, OrderState
from tallystick.client.values.stock import Stock

SAME = ("customer", "currency", "adjustments", "total", "confirm_when", "details")
"""Fields of an order that nobody may have changed; lines are compared one by one."""

SAME_IN_LINE = ("sku", "location", "quantity", "untracked", "unit_price", "amount", "description")


@dataclass(repr=False)
class Audit:
    """Gathers what was read, and `problems` with it."""

    alone: bool
    received: Mapping[str, int]
    """Units that this import received, by item."""
    problems: list[str] = field(default_factory=list)
    money_sent: int = 0
    money_read: int = 0
    money_cancelled: int = 0
    money_due: int = 0
    orders_read: int = 0
    items_read: int = 0
    oversold_units: int = 0
    _sold: dict[str, int] = field(default_factory=dict)

    def check_order(self, sent: PlannedOrder, cancelled: Mapping[str, int], found: Order | None) -> None:
        """An acknowledged order, with the units of it that we cancelled."""
        due = sent.total - cancelled_value(sent.lines, cancelled)
        self.money_sent += sent.total
        self.money_cancelled += sent.total - due
        for line in sent.lines:
            if not line.untracked:
                units = line.quantity - cancelled.get(line.line_id, 0)
                self._sold[line.sku] = self._sold.get(line.sku, 0) + units
        if found is None:
            self.problems.append(f"order {sent.id}: acknowledged, and not found")
            return
        self.orders_read += 1
        self.money_read += found.total or 0
        self.money_due += found.payment.amount_due
        self.problems += [f"order {sent.id}: {what}" for what in self._order_problems(sent, cancelled, found)]
        if self.alone and found.payment.amount_due != due:
            self.problems.append(f"order {sent.id}: {found.payment.amount_due} due instead of {due}")

    def check_refused(self, order_id: str, found: Order | None) -> None:
        """A refused order: nothing of it may be stored."""
        if found is not None and found.state is not OrderState.UNPLACED:
            self.problems.append(f"order {order_id}: refused, and found as {found.state.value}")

    def check_listed(self, unlisted: Iterable[str]) -> None:
        """Acknowledged orders that the list of all orders does not have, wherever else they may be."""
        self.problems += [f"order {order_id}: not in the list of orders" for order_id in sorted(unlisted)]

    def check_stock(self, listed: Iterable[Stock]) -> None:
        """All of the node's stock, when every order has been checked."""
        unlisted = {sku for sku, units in {**self.received, **self._sold}.items() if units}
        for item in listed:
            self.items_read += 1
            here = not item.location
            if here:
                unlisted.discard(item.sku)
            self._check_item(item, self._sold.get(item.sku, 0) if here else 0)
        self.problems += [f"item {sku}: not in the list of stock" for sku in sorted(unlisted)]

    def check_money(self) -> None:
        """The sums over all orders, when every order has been checked."""
        if self.money_read != self.money_sent:
            self.problems.append(f"money: orders of {self.money_sent} sent, of {self.money_read} read back")
        if self.alone and self.money_due != self.money_sent - self.money_cancelled:
            self.problems.append(
                f"money: {self.money_sent} sent, {self.money_cancelled} cancelled, and {self.money_due} due"
            )

    def _order_problems(
        self, sent: PlannedOrder, cancelled: Mapping[str, int], found: Order
    ) -> Iterable[str]:
        expected = order_value(sent)
        for name in SAME:
            if getattr(found, name) != getattr(expected, name):
                yield f"{name} is {getattr(found, name)!r} instead of {getattr(expected, name)!r}"
        if [line.line_id for line in found.lines] != [line.line_id for line in expected.lines]:
            yield f"has lines {[line.line_id for line in found.lines]}"
            return
        for line, want in zip(found.lines, expected.lines, strict=True):
            for name in SAME_IN_LINE:
                if getattr(line, name) != getattr(want, name):
                    yield f"line {line.line_id}: another {name}: {getattr(line, name)!r}"
            ours = cancelled.get(line.line_id, 0)
            if line.cancelled_quantity < ours or (self.alone and line.cancelled_quantity > ours):
                yield f"line {line.line_id}: {line.cancelled_quantity} units cancelled instead of {ours}"
        if found.total != sum(line.amount for line in found.lines) + sum(a.amount for a in found.adjustments):
            yield f"its total of {found.total} is not the sum of its lines"
        if found.conflicts:
            yield f"is in conflict: {', '.join(conflict.kind for conflict in found.conflicts)}"
        whole = all(cancelled.get(line.line_id, 0) == line.quantity for line in sent.lines)
        state = OrderState.CANCELLED if whole else OrderState.CONFIRMED
        if self.alone and found.state is not state:
            yield f"is {found.state.value} instead of {state.value}"

    def _check_item(self, item: Stock, ours: int) -> None:
        name = f"item {item.sku}" + (f" at {item.location}" if item.location else "")
        there = item.received + item.overbooked - item.burned
        elsewhere = item.available_elsewhere.quantity if item.available_elsewhere else 0
        accounted = item.available_here + elsewhere + item.reserved + item.sold
        if there != accounted:
            self.problems.append(
                f"{name}: received {item.received} − burned {item.burned} is not available "
                f"{item.available_here} + reserved {item.reserved} + sold {item.sold}"
            )
        over = max(item.reserved + item.sold, ours) - there
        if over > 0:
            self.oversold_units += over
            self.problems.append(f"{name}: {over} units more sold than there were")
        if item.sold < ours or (self.alone and item.sold != ours):
            self.problems.append(f"{name}: {item.sold} units sold; our orders have {ours}")
        received = 0 if item.location else self.received.get(item.sku, 0)
        if item.received < received or (self.alone and item.received != received):
            self.problems.append(f"{name}: {item.received} units received; we booked in {received}")
