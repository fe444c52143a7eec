"""A node in miniature, and the same import done one by one: what the flow and the audit are held against."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from tallystick.cli.importing.mapping import Plan, PlannedOrder
from tallystick.cli.importing.stocking import demand, stock_for
from tallystick.client import errors
from tallystick.client.values.node import NodeStatus, StorageStatus, WriteState
from tallystick.client.values.order import (
    LineQuantity,
    Order,
    OrderEvent,
    OrderEventKind,
    OrderState,
    PaymentSummary,
)
from tallystick.client.values.stock import Stock
from tallystick.client.values.write import Disposition, PlacedOrder, StockChange, WriteResult
from tallystick.core.order.money import share


class Shop:
    """Answers like a client of a node. Orders are decided one by one, as they came; all takes its time."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.stock: dict[str, Stock] = {}
        self.orders: dict[str, Order] = {}
        self.events: dict[str, list[OrderEvent]] = {}
        self.receipts: set[str] = set()
        self.stream = asyncio.Lock()
        self.unlisted: set[str] = set()

    async def _delay(self) -> None:
        for _ in range(self._random.randrange(8)):
            await asyncio.sleep(0)

    async def status(self) -> NodeStatus:
        return NodeStatus(
            cluster="c",
            node="n",
            region="r",
            version="0",
            start_time=None,
            storage=StorageStatus(write_state=WriteState.OPEN),
            sequence=0,
        )

    async def receive_stock(self, items: Mapping[str, int], receipt_id: str, node: str) -> StockChange:
        known = receipt_id in self.receipts
        if not known:
            self.receipts.add(receipt_id)
            for sku, units in items.items():
                self._move(sku, received=units, available_here=units, on_hand=units)
        return StockChange(stock=(), write=_write(known))

    def _move(self, sku: str, **changes: int) -> None:
        item = self.stock.get(sku) or Stock(sku=sku)
        sums = {name: getattr(item, name) + units for name, units in changes.items()}
        self.stock[sku] = msgspec.structs.replace(item, **sums)

    async def place_order(self, order: Order) -> PlacedOrder:
        known = order.id in self.orders
        async with self.stream:
            await self._delay()
            if not known:
                self._decide(order)
        await self._delay()
        return PlacedOrder(
            id=order.id,
            state=OrderState.CONFIRMED,
            place_time=None,
            hold_expire_time=None,
            lines=(),
            write=_write(known),
        )

    def _decide(self, order: Order) -> None:
        wanted: dict[str, int] = {}
        for line in order.lines:
            if not line.untracked:
                wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
        empty = Stock(sku="")
        if any(self.stock.get(sku, empty).available_here < units for sku, units in wanted.items()):
            raise errors.InsufficientStock("short")
        for sku, units in wanted.items():
            self._move(sku, available_here=-units, sold=units)
        paying = PaymentSummary(amount_due=order.total or 0)
        self.orders[order.id] = msgspec.structs.replace(order, state=OrderState.CONFIRMED, payment=paying)

    async def cancel_order(self, order_id: str, units: Mapping[str, int], *, request_id: str) -> None:
        await self._delay()
        told = self.events.setdefault(order_id, [])
        if all(event.request_id != request_id for event in told):
            told.append(_cancelled(request_id, units))
            self._take_back(self.orders[order_id], units)
        await self._delay()

    def _take_back(self, order: Order, units: Mapping[str, int]) -> None:
        lines = []
        for line in order.lines:
            cancelled = line.cancelled_quantity + units.get(line.line_id, 0)
            if cancelled > line.quantity:
                raise errors.InvalidRequest("more than is left", reason="QUANTITY_TOO_LARGE")
            if not line.untracked:
                self._move(
                    line.sku, available_here=units.get(line.line_id, 0), sold=-units.get(line.line_id, 0)
                )
            lines.append(msgspec.structs.replace(line, cancelled_quantity=cancelled))
        whole = all(line.cancelled_quantity == line.quantity for line in lines)
        due = sum(line.amount - share(line.amount, line.cancelled_quantity, line.quantity) for line in lines)
        self.orders[order.id] = msgspec.structs.replace(
            order,
            lines=lines,
            state=OrderState.CANCELLED if whole else OrderState.CONFIRMED,
            payment=PaymentSummary(amount_due=due),
        )

    async def get_order(self, order_id: str) -> Order:
        await self._delay()
        if order_id not in self.orders:
            raise errors.OrderNotFound(order_id)
        return self.orders[order_id]

    async def list_orders(self) -> AsyncIterator[Order]:
        for order_id in reversed(self.orders):
            if order_id not in self.unlisted:
                yield await self.get_order(order_id)

    async def list_stock(self, **_: Any) -> AsyncIterator[Stock]:
        for item in list(self.stock.values()):
            yield item

    async def list_order_events(self, order_id: str) -> AsyncIterator[OrderEvent]:
        for event in self.events.get(order_id, []):
            yield event


def _write(replayed: bool) -> WriteResult:
    return WriteResult(
        consistency_token=b"", replicated_to=0, disposition=Disposition.DECIDED, replayed=replayed
    )


def _cancelled(request_id: str, units: Mapping[str, int]) -> OrderEvent:
    return OrderEvent(
        dot="",
        time=None,
        actor="",
        kind=OrderEventKind.CANCEL_REQUESTED,
        request_id=request_id,
        lines=tuple(LineQuantity(line_id, count) for line_id, count in units.items()),
    )


def one_by_one(plan: Plan, factor: Any) -> tuple[set[str], dict[str, int]]:
    """The accepted orders, and the units left over of each cancellation: everything in its turn.

    Written from the issue's words, without the ledger: what is open is searched through from the newest.
    """
    free = stock_for(demand(plan.orders), factor)
    accepted: list[tuple[PlannedOrder, dict[str, int]]] = []
    left_over: dict[str, int] = {}
    for event in plan.events:
        if isinstance(event, PlannedOrder):
            wanted: dict[str, int] = {}
            for line in event.lines:
                wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity * (not line.untracked)
            if all(free.get(sku, 0) >= units for sku, units in wanted.items()):
                accepted.append((event, {line.line_id: line.quantity for line in event.lines}))
                for sku, units in wanted.items():
                    free[sku] = free.get(sku, 0) - units
            continue
        for cancellation in event.lines:
            left = cancellation.units
            for order, open_units in reversed(accepted):
                for line in reversed(order.lines):
                    if cancellation.customer and (order.customer, line.sku) == (
                        cancellation.customer,
                        cancellation.sku,
                    ):
                        units = min(left, open_units[line.line_id])
                        open_units[line.line_id] -= units
                        left -= units
                        if not line.untracked:
                            free[line.sku] += units
            if left:
                left_over[cancellation.request_id] = left
    return {order.id for order, _ in accepted}, left_over
