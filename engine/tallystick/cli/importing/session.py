"""One import from end to end: goods in, orders and cancellations, and the audit of what is there then."""

from __future__ import annotations

from decimal import Decimal

from tallystick.cli.importing.audit import Audit
from tallystick.cli.importing.display import Progress
from tallystick.cli.importing.flow import Flow
from tallystick.cli.importing.mapping import Plan, PlannedOrder
from tallystick.cli.importing.reading import for_each, read_history, read_order
from tallystick.cli.importing.replay import History
from tallystick.cli.importing.stocking import demand, receipts, stock_for
from tallystick.cli.importing.summary import Outcome
from tallystick.cli.importing.till import NodeTill
from tallystick.client import Client, Order


async def import_plan(
    client: Client, plan: Plan, *, factor: Decimal, concurrency: int, own: bool, progress: Progress
) -> tuple[Outcome, Audit]:
    """Feed a plan to a node and audit it. Raises TallystickError if the node can't be reached, or fails."""
    # A node of our own that had no stock: all that will be there comes from here.
    alone = own and not await _has_stock(client)
    stock = stock_for(demand(plan.orders), factor)
    history = History()
    if await _receive(client, stock, progress):
        progress.begin("Looking back", len(plan.orders))
        history = await read_history(client, plan.orders, progress.advance)
    flow = Flow(NodeTill(client), plan, history, concurrency, progress.advance)
    progress.begin("Placing orders", len(plan.orders) + len(plan.cancellations))
    await flow.run(stock)
    audit = Audit(alone, stock)
    await audit_orders(client, flow, audit, own=own, progress=progress)
    audit.check_stock([item async for item in client.list_stock()])
    audit.check_money()
    return flow.outcome, audit


async def _has_stock(client: Client) -> bool:
    async for _ in client.list_stock():
        return True
    return False


async def _receive(client: Client, stock: dict[str, int], progress: Progress) -> bool:
    """Book the stock in. True if all of it had been, by an earlier run of the same import."""
    node = (await client.status()).node
    progress.begin("Receiving stock", len(stock))
    replayed = []
    for receipt in receipts(stock):
        change = await client.receive_stock(dict(receipt.items), receipt.id, node)
        replayed.append(change.write.replayed)
        progress.advance(len(receipt.items))
    return bool(replayed) and all(replayed)


async def audit_orders(
    client: Client, flow: Flow, audit: Audit, *, own: bool, progress: Progress, phase: str = "Auditing"
) -> None:
    """Read all orders back: in one list if the node is our own, else each by its id."""
    accepted = {order.id: order for order in flow.accepted}
    # An id that was refused because it names another order is there, and rightly so.
    refused = {each for each, reason in flow.outcome.refused.items() if reason != "ORDER_ID_REUSED"}
    progress.begin(phase, len(accepted) + len(refused) * (not own))

    def check(order: PlannedOrder, found: Order | None) -> None:
        audit.check_order(order, flow.ledger.cancelled.get(order.id, {}), found)
        progress.advance(1)

    async def check_by_id(order: PlannedOrder) -> None:
        check(order, await read_order(client, order.id))

    async def check_refused_by_id(order_id: str) -> None:
        audit.check_refused(order_id, await read_order(client, order_id))
        progress.advance(1)

    if own:
        async for found in client.list_orders():
            order = accepted.pop(found.id, None)
            if order:
                check(order, found)
            elif found.id in refused:
                audit.check_refused(found.id, found)
        audit.check_listed(accepted)
    else:
        await for_each(refused, check_refused_by_id)
    await for_each(accepted.values(), check_by_id)
