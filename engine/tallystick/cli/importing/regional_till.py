"""Every invoice goes to its region, as `regions` says; a cut decides what is waited for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

from tallystick.cli.importing.ledger import Part
from tallystick.cli.importing.mapping import Cancellation, PlannedOrder
from tallystick.cli.importing.reading import read_cancelled
from tallystick.cli.importing.regions import Sides, region_of
from tallystick.cli.importing.replay import CancelledUnits
from tallystick.cli.importing.values import order_value
from tallystick.client import Client, Disposition, OrderChange, OrderState, PlacedOrder


class RegionalTill:
    """A till in every region.

    An order is owned where it was placed. A cancellation that comes in elsewhere waits for what the owner
    decides, if he can be reached; if not, it is recorded, and its units count as taken back: the audit
    shows whether the owner has heard of it in the end.
    """

    def __init__(self, clients: Mapping[str, Client], orders: Iterable[PlannedOrder]) -> None:
        self._clients = clients
        self._regions = tuple(clients)
        self._owner = {order.id: region_of(order.country, order.id, self._regions) for order in orders}
        self._apart: Sides | None = None
        self._is_cut = False
        self._waiting: set[asyncio.Task[OrderChange]] = set()
        self.accepted_during_cut: Counter[str] = Counter()
        """By region: orders that were sent and accepted while the cut lasted."""
        self.recorded = 0
        """Cancellations that their order's owner was to decide later."""

    async def part(self, sides: Sides) -> None:
        """The cut is about to come: from now on nobody waits for the other side. Returns when nobody does."""
        self._apart = sides
        if self._waiting:
            await asyncio.wait(self._waiting)
        self._is_cut = True

    def heal(self) -> None:
        """The cut is over; the sides have yet to hear of each other."""
        self._is_cut = False

    def join(self) -> None:
        """All have heard of what happened meanwhile: owners are waited for again."""
        self._apart = None

    async def place(self, order: PlannedOrder) -> PlacedOrder:
        region, was_cut = self._owner[order.id], self._is_cut
        placed = await self._clients[region].place_order(order_value(order))
        if was_cut and self._is_cut:
            self.accepted_during_cut[region] += 1
        return placed

    async def cancel(self, line: Cancellation, part: Part) -> None:
        here, owner = region_of(line.row.country, line.row.invoice, self._regions), self._owner[part.order_id]
        waits = here != owner and not (self._apart and self._apart.part(here, owner))
        call = asyncio.create_task(
            self._clients[here].cancel_order(
                part.order_id, part.units, request_id=line.request_id, wait_for_decision=waits
            )
        )
        if waits:
            self._waiting.add(call)
            call.add_done_callback(self._waiting.discard)
        change = await call
        # Of an order that is not known here yet, a wish is recorded as well.
        is_open = change.write.disposition is Disposition.RECORDED
        self.recorded += is_open or change.order.state is OrderState.UNPLACED

    async def cancelled(self, order_id: str) -> CancelledUnits:
        return await read_cancelled(self._clients[self._owner[order_id]], order_id)
