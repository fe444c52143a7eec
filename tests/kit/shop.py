"""An independent model of one shop: what its orders and stock must be, in plain integers and dicts.

It reads commands and shares nothing with the engine that answers them: no facts, no folds, no rows, no joins.
States and kinds are the numbers of the public contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

UNPLACED, HELD, CONFIRMED, CANCELLED, EXPIRED = 1, 2, 3, 4, 5
NAMES = {HELD: "HELD", CONFIRMED: "CONFIRMED", CANCELLED: "CANCELLED", EXPIRED: "EXPIRED"}
ON_AUTHORIZATION, ON_CAPTURE, BY_HAND = 2, 3, 4
PARTIAL = 2
AUTHORIZED, CAPTURED, VOIDED, _FAILED, REFUNDED, CHARGED_BACK = range(1, 7)
DEFAULT_HOLD_MS = 900_000

DONE, AGAIN = "done", "again"


class No(Exception):
    """A refusal and its reason."""

    def __init__(self, reason: str, shortages: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.shortages = shortages


@dataclass
class Item:
    """One stock item, in units."""

    received: int = 0
    burned: int = 0
    over: int = 0
    limit: int = 0
    held: int = 0
    sold: int = 0
    owing: int = 0

    @property
    def free(self) -> int:
        return self.received + self.over - self.burned - self.held - self.sold

    def settle(self) -> None:
        """What is free pays goods that are owed, then overbooking that is to go."""
        paid = min(self.owing, self.free)
        self.owing -= paid
        self.burned += paid
        self.over -= max(0, min(self.over - self.limit, self.free))


@dataclass
class Order:
    """One order id; `body` is None until it is placed."""

    body: Any = None
    state: int = UNPLACED
    until: int = 0
    gone: dict[str, int] = field(default_factory=dict)
    said: dict[tuple[str, str], Any] = field(default_factory=dict)
    early: list[tuple[tuple[str, int], ...]] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)

    def live(self) -> dict[str, int]:
        return {line.line_id: line.quantity - self.gone.get(line.line_id, 0) for line in self.body.lines}

    @property
    def price(self) -> int:
        """What still stands costs: each cancelled share is rounded half to even, by decimal arithmetic."""
        total = sum(line.amount for line in self.body.lines) + sum(a.amount for a in self.body.adjustments)
        for line in self.body.lines:
            part = Decimal(line.amount) * self.gone.get(line.line_id, 0) / line.quantity
            total -= int(part.quantize(Decimal(1), ROUND_HALF_EVEN))
        return int(max(total, 0))

    @property
    def due(self) -> int:
        return self.price if self.state in (HELD, CONFIRMED) else 0

    def told(self, kind: int) -> int:
        payments = (said for (what, _), said in self.said.items() if what == "pay")
        return sum(amount for told, amount, _ in payments if told == kind)

    @property
    def kept(self) -> int:
        return self.told(CAPTURED) - self.told(REFUNDED) - self.told(CHARGED_BACK)

    @property
    def secured(self) -> int:
        promised = self.told(AUTHORIZED) - self.told(VOIDED) - self.told(CAPTURED)
        return self.kept + max(0, promised)

    @property
    def refund_due(self) -> int:
        return max(0, self.kept - self.due)

    @property
    def paid_enough(self) -> bool:
        when = self.body.confirm_when
        return (when == ON_AUTHORIZATION and self.secured >= self.price) or (
            when == ON_CAPTURE and self.kept >= self.price
        )


class Shop:
    """What one replica that owns everything must answer."""

    def __init__(self, history_max: int) -> None:
        self.history_max = history_max
        self.items: dict[tuple[str, str], Item] = {}
        self.orders: dict[str, Order] = {}
        self.booked: dict[str, Any] = {}

    def item(self, sku: str, location: str) -> Item:
        return self.items.setdefault((sku, location), Item())

    # ---------------------------------------------------------------------------------------------- placing

    def place(self, command: Any, now: int) -> str:
        order = self.orders.get(command.order_id) or Order()
        body = command.body
        if order.body is not None:
            if order.body != body:
                raise No("ORDER_ID_REUSED")
            return AGAIN
        tracked = [line for line in body.lines if not line.untracked]
        if () in order.early:
            short = {line.line_id: line.quantity for line in tracked}
        else:
            short = self._short(tracked, body.shortage_mode)
        held = body.confirm_when in (ON_AUTHORIZATION, ON_CAPTURE, BY_HAND)
        order.body, order.gone, order.details = body, short, dict(body.details)
        order.state = HELD if held else CONFIRMED
        order.until = now + (body.hold_ms or DEFAULT_HOLD_MS) if held else 0
        self._take(order, order.live())
        self.orders[command.order_id] = order
        for wish in order.early:
            try:
                self._cancel(order, wish)
            except No:
                continue  # recorded long ago: nobody is there to hear it
        self._confirm_by_itself(order)
        return DONE

    def _short(self, tracked: list[Any], mode: int) -> dict[str, int]:
        """What each line can't have. Two lines of one item share what there is, in their order."""
        asked: dict[tuple[str, str], int] = {}
        for line in tracked:
            name = line.sku, line.location
            asked[name] = asked.get(name, 0) + line.quantity
        free = {name: self.items.get(name, Item()).free for name in asked}
        lacking = [(*name, asked[name], free[name]) for name in asked if free[name] < asked[name]]
        if lacking and (mode != PARTIAL or not any(free.values())):
            raise No("INSUFFICIENT_STOCK", lacking)
        short = {}
        for line in tracked:
            given = min(line.quantity, free[line.sku, line.location])
            free[line.sku, line.location] -= given
            if given < line.quantity:
                short[line.line_id] = line.quantity - given
        return short

    def _take(self, order: Order, units: dict[str, int]) -> None:
        for line in order.body.lines:
            if not line.untracked and units.get(line.line_id, 0):
                item = self.item(line.sku, line.location)
                if order.state == HELD:
                    item.held += units[line.line_id]
                else:
                    item.sold += units[line.line_id]

    def _let_go(self, order: Order, units: dict[str, int]) -> None:
        """Free units of lines: of one item all at once, then what became free pays what is missing."""
        if order.state in (HELD, CONFIRMED):
            self._take(order, {line_id: -count for line_id, count in units.items()})
        for line in order.body.lines:
            if not line.untracked and units.get(line.line_id, 0):
                self.item(line.sku, line.location).settle()

    # ------------------------------------------------------------------------------------------ what follows

    def _wish(self, command: Any, kind: str, content: Any) -> tuple[Order, bool]:
        """(the order, whether this request was recorded before)."""
        order = self.orders.get(command.order_id)
        if order is None or (order.body is None and kind != "cancel"):
            if kind != "cancel":
                raise No("ORDER_NOT_FOUND")
            order = Order()
        known = order.said.get((kind, command.request_id))
        if known is not None and known != content:
            raise No("REQUEST_ID_REUSED")
        return order, known is not None

    def _keep(self, command: Any, order: Order, kind: str, content: Any) -> None:
        self._check_room(order)
        order.said[kind, command.request_id] = content
        self.orders[command.order_id] = order

    def _check_room(self, order: Order) -> None:
        if len(order.said) >= self.history_max:
            raise No("HISTORY_FULL")

    def confirm(self, command: Any, now: int) -> str:
        order, known = self._wish(command, "confirm", ())
        if known or order.state == CONFIRMED:
            return AGAIN
        self._check_room(order)
        if order.state != HELD:
            raise No(f"ORDER_{NAMES[order.state]}")
        self._keep(command, order, "confirm", ())
        self._sell(order)
        return DONE

    def _sell(self, order: Order) -> None:
        self._take(order, {line_id: -count for line_id, count in order.live().items()})
        order.state = CONFIRMED
        self._take(order, order.live())

    def _confirm_by_itself(self, order: Order) -> None:
        if order.state == HELD and order.paid_enough:
            self._sell(order)

    def extend(self, command: Any, now: int) -> str:
        order, known = self._wish(command, "extend", command.hold_ms)
        if known:
            return AGAIN
        self._check_room(order)
        if order.state != HELD:
            raise No(f"ORDER_{NAMES[order.state]}")
        self._keep(command, order, "extend", command.hold_ms)
        order.until = now + (command.hold_ms or DEFAULT_HOLD_MS)
        return DONE

    def pay(self, command: Any, now: int) -> str:
        content = (command.kind, command.amount, command.reference)
        placed = self.orders.get(command.order_id)
        if placed and placed.body and command.currency not in ("", placed.body.currency):
            raise No("CURRENCY_MISMATCH")
        order, known = self._wish(command, "pay", content)
        if known:
            return AGAIN
        self._keep(command, order, "pay", content)
        self._confirm_by_itself(order)
        if order.state == EXPIRED and command.kind in (AUTHORIZED, CAPTURED):
            self._hold_again(order, now)
        return DONE

    def _hold_again(self, order: Order, now: int) -> None:
        by_hand = order.body.confirm_when == BY_HAND and order.kept >= order.price > 0
        if not (by_hand or order.paid_enough):
            return
        live = order.live()
        tracked = [line for line in order.body.lines if not line.untracked]
        for name in {(line.sku, line.location) for line in tracked}:
            wanted = sum(live[line.line_id] for line in tracked if (line.sku, line.location) == name)
            if wanted > self.items.get(name, Item()).free:
                return
        order.state, order.until = HELD, now + (order.body.hold_ms or DEFAULT_HOLD_MS)
        self._take(order, live)
        self._confirm_by_itself(order)

    def cancel(self, command: Any, now: int) -> str:
        lines = tuple(sorted(command.lines))
        order, known = self._wish(command, "cancel", (lines, command.reason))
        if known or (not lines and order.state == CANCELLED):
            return AGAIN
        self._check_room(order)
        if order.body is None:
            order.early.append(lines)
        else:
            self._cancel(order, lines)
        self._keep(command, order, "cancel", (lines, command.reason))
        if order.body is not None:
            self._confirm_by_itself(order)
        return DONE

    def _cancel(self, order: Order, lines: Iterable[tuple[str, int]]) -> None:
        live = order.live()
        if order.state == CANCELLED or (lines and order.state == EXPIRED):
            raise No(f"ORDER_{NAMES[order.state]}")
        units = {}
        for line_id, count in lines:
            if line_id not in live:
                raise No("LINE_NOT_FOUND")
            if count > live[line_id] or live[line_id] == 0:
                raise No("QUANTITY_TOO_LARGE")
            units[line_id] = count or live[line_id]
        if not lines or all(count == units.get(line_id, 0) for line_id, count in live.items()):
            self._let_go(order, live)
            order.state = CANCELLED
        else:
            self._let_go(order, units)
            for line_id, count in units.items():
                order.gone[line_id] = order.gone.get(line_id, 0) + count

    def expire(self, command: Any, now: int) -> str:
        order = self.orders.get(command.order_id)
        if order is None or order.state != HELD or order.until > now:
            return AGAIN
        self._let_go(order, order.live())
        order.state = EXPIRED
        return DONE

    def edit(self, command: Any, now: int) -> str:
        content = (dict(command.changes), set(command.replaced))
        order, known = self._wish(command, "edit", content)
        if known:
            return AGAIN
        if not command.changes and not command.replaced:
            raise No("INVALID_FIELD")
        self._keep(command, order, "edit", content)
        kept = {k: v for k, v in order.details.items() if not k.startswith(tuple(command.replaced) or "\0")}
        order.details = {**kept, **{key: value or "" for key, value in command.changes.items()}}
        return DONE

    # ------------------------------------------------------------------------------------------------- stock

    def _book(self, booking_id: str, content: Any) -> bool:
        known = self.booked.setdefault(booking_id, content)
        if known != content:
            raise No("REQUEST_ID_REUSED")
        return known is not content

    def receive(self, command: Any, now: int) -> str:
        if self._book(command.booking_id, ("receive", command.items, "")):
            return AGAIN
        for sku, location, units in command.items:
            self.item(sku, location).received += units
            self.item(sku, location).settle()
        return DONE

    def adjust(self, command: Any, now: int) -> str:
        if self._book(command.booking_id, ("adjust", command.items, command.reason)):
            return AGAIN
        for sku, location, units in command.items:
            item = self.item(sku, location)
            burned = min(max(0, -units), item.free)
            item.received += max(0, units)
            item.burned += burned
            item.owing += max(0, -units) - burned
            item.settle()
        return DONE

    def set_overbooking(self, command: Any, now: int) -> str:
        if self._book(command.booking_id, ("policy", command.sku, command.location, command.limit)):
            return AGAIN
        item = self.item(command.sku, command.location)
        item.limit = command.limit
        item.over = max(item.over, item.limit)
        item.settle()
        return DONE
