"""SDK calls: one client a node, `in_flight` tasks that each place an order and wait, as a web shop does."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from itertools import cycle
from time import perf_counter

import msgspec

from benchmarks.load.meter import Meter
from benchmarks.load.spec import Report, Spec
from benchmarks.workload import bodies
from tallystick import (
    Address,
    Adjustment,
    AdjustmentKind,
    Client,
    Details,
    Line,
    Order,
    OrderState,
    TallystickError,
)
from tallystick.client.ids import new_id
from tallystick.v1 import order_pb2

_BODIES = 4_000
_DEADLINE_S = 30.0
_IDS_KEPT = 1_000


async def run(spec: Spec) -> Report:
    """Load the nodes until the meter has seen enough."""
    orders = order_values(spec)
    placed_ids: deque[str] = deque(maxlen=_IDS_KEPT)
    async with clients_of(spec) as clients:
        meter = Meter(spec)
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                for _ in range(spec.in_flight):
                    tasks.create_task(_caller(client, orders, meter, placed_ids))
    return meter.report(built_late=0, last_ids=list(placed_ids))


@contextlib.asynccontextmanager
async def clients_of(spec: Spec) -> AsyncIterator[list[Client]]:
    """A client for each node, connected."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(target, timeout=_DEADLINE_S)) for target in spec.targets
        ]
        for client in clients:
            await client.status()
        yield clients


def order_values(spec: Spec) -> Iterator[Order]:
    """Orders without end; each is to be given an id of its own."""
    return cycle([order_value(message) for message in bodies(spec.shape, spec.seed, _BODIES)])


async def place(client: Client, order: Order, meter: Meter, sent_at: float) -> str | None:
    """Place one under a new id; tell the meter, from `sent_at` on. None: it was refused."""
    # The id is drawn on the clock, as its user's would be; the rest of the value is ready.
    order = msgspec.structs.replace(order, id=new_id())
    try:
        placed = await client.place_order(order)
    except TallystickError as error:
        meter.refused(type(error).__name__)
        return None
    if placed.state is not OrderState.CONFIRMED or placed.write.replayed:
        raise ValueError(f"not the answer to a new order: {placed}")
    meter.answered(1, sent_at)
    return placed.id


async def _caller(client: Client, orders: Iterator[Order], meter: Meter, placed_ids: deque[str]) -> None:
    while meter.running:
        order_id = await place(client, next(orders), meter, perf_counter())
        if order_id is not None:
            placed_ids.append(order_id)


def order_value(message: order_pb2.Order) -> Order:
    """The same order as the value that a user of the SDK would make."""
    address = message.details.shipping_address
    return Order(
        customer=message.customer,
        currency=message.currency,
        lines=[Line(each.sku, each.quantity, each.amount, each.unit_price) for each in message.lines],
        adjustments=[
            Adjustment(each.adjustment_id, AdjustmentKind.SHIPPING, each.amount)
            for each in message.adjustments
        ],
        total=message.total,
        details=Details(
            shipping_address=Address(
                name=address.name,
                street=address.street,
                city=address.city,
                postal_code=address.postal_code,
                country=address.country,
            ),
            email=message.details.email,
            note=message.details.note,
        ),
    )
