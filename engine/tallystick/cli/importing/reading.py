"""What the import reads of a node, beside the lists: orders by id, and what was cancelled of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from tallystick.cli.importing.mapping import PlannedOrder
from tallystick.cli.importing.replay import CancelledUnits, History
from tallystick.cli.together import run_all
from tallystick.client import Client, OrderNotFound
from tallystick.client.values.order import Order, OrderEventKind

_READS_AT_ONCE = 64

T = TypeVar("T")


async def read_order(client: Client, order_id: str) -> Order | None:
    """The order, if it is there."""
    try:
        return await client.get_order(order_id)
    except OrderNotFound:
        return None


async def read_cancelled(client: Client, order_id: str) -> CancelledUnits:
    """What was taken back of an order, by request id and line."""
    return {
        event.request_id: {line.line_id: line.quantity for line in event.lines}
        async for event in client.list_order_events(order_id)
        if event.kind is OrderEventKind.CANCEL_REQUESTED
    }


async def read_history(
    client: Client, orders: Iterable[PlannedOrder], tick: Callable[[int], None]
) -> History:
    """What an earlier run of the same import has placed and cancelled."""
    placed: set[str] = set()
    cancelled: dict[str, CancelledUnits] = {}

    async def look_up(order: PlannedOrder) -> None:
        found = await read_order(client, order.id)
        if found is not None and (found.customer, found.total) == (order.customer, order.total):
            placed.add(order.id)
            if any(line.cancelled_quantity for line in found.lines):
                cancelled[order.id] = await read_cancelled(client, order.id)
        tick(1)

    await for_each(orders, look_up)
    return History(placed, cancelled)


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do the work for every item, several at once."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await run_all(worker() for _ in range(_READS_AT_ONCE))
