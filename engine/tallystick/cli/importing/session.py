"""One import from end to end: goods in, orders and cancellations, and the audit of what is there then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from typing import TypeVar

from tallystick.cli.importing.audit import Audit
from tallystick.cli.importing.display import Progress
from tallystick.cli.importing.flow import Flow
from tallystick.cli.importing.mapping import Plan, PlannedOrder
from tallystick.cli.importing.stocking import demand, receipts, stock_for
from tallystick.cli.importing.summary import Outcome
from tallystick.cli.importing.together import run_all
from tallystick.client import Client, errors
from tallystick.client.values.order import Order

_READS_AT_ONCE = 64

T = TypeVar("T")


async def import_plan(
    client: Client, plan: Plan, *, factor: Decimal, concurrency: int, own: bool, progress: Progress
) -> tuple[Outcome, Audit]:
    """Feed a plan to a node and audit it. Raises TallystickError if the node can't be reached, or fails."""
    # A node of our own that had no stock: all that will be there comes from here.
    alone = own and not await _has_stock(client)
    stock = stock_for(demand(plan.orders), factor)
    await _receive(client, stock, progress)
    flow = Flow(client, plan, concurrency, lambda done: progress.advance(done))
    progress.begin("Placing orders", len(plan.orders) + len(plan.cancellations))
    await flow.run(stock)
    audit = Audit(alone, stock)
    await _audit(client, flow, audit, progress)
    return flow.outcome, audit


async def _has_stock(client: Client) -> bool:
    async for _ in client.list_stock():
        return True
    return False


async def _receive(client: Client, stock: dict[str, int], progress: Progress) -> None:
    node = (await client.status()).node
    progress.begin("Receiving stock", len(stock))
    for receipt in receipts(stock):
        await client.receive_stock(dict(receipt.items), receipt.id, node)
        progress.advance(len(receipt.items))


async def _audit(client: Client, flow: Flow, audit: Audit, progress: Progress) -> None:
    refused = flow.outcome.refused
    progress.begin("Auditing", len(flow.accepted) + len(refused))

    async def check_accepted(order: PlannedOrder) -> None:
        found = await _read(client, order.id)
        audit.check_order(order, flow.ledger.cancelled.get(order.id, {}), found)
        progress.advance(1)

    async def check_refused(order_id: str) -> None:
        # An id that was refused because it names another order is there, and rightly so.
        if refused[order_id] != "ORDER_ID_REUSED":
            audit.check_refused(order_id, await _read(client, order_id))
        progress.advance(1)

    await _each(sorted(flow.accepted), check_accepted)
    await _each(sorted(refused), check_refused)
    audit.check_stock([item async for item in client.list_stock()])
    audit.check_money()


async def _read(client: Client, order_id: str) -> Order | None:
    try:
        return await client.get_order(order_id)
    except errors.OrderNotFound:
        return None


async def _each(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do the work for every item, several at once."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await run_all(worker() for _ in range(_READS_AT_ONCE))
