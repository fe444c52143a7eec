"""Where the flow takes orders and cancellations to. One node here; several regions in `regional_till`."""

from __future__ import annotations

from typing import Protocol

from tallystick.cli.importing.ledger import Part
from tallystick.cli.importing.mapping import Cancellation, PlannedOrder
from tallystick.cli.importing.reading import read_cancelled
from tallystick.cli.importing.replay import CancelledUnits
from tallystick.cli.importing.values import order_value
from tallystick.client import Client, PlacedOrder


class Till(Protocol):
    """Takes what the flow sends. Every call raises TallystickError."""

    async def place(self, order: PlannedOrder) -> PlacedOrder:
        """Place an invoice."""

    async def cancel(self, line: Cancellation, part: Part) -> None:
        """Take back a part of an order."""

    async def cancelled(self, order_id: str) -> CancelledUnits:
        """What was taken back of an order so far."""


class NodeTill:
    """Everything goes to one node."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def place(self, order: PlannedOrder) -> PlacedOrder:
        return await self._client.place_order(order_value(order))

    async def cancel(self, line: Cancellation, part: Part) -> None:
        await self._client.cancel_order(part.order_id, part.units, request_id=line.request_id)

    async def cancelled(self, order_id: str) -> CancelledUnits:
        return await read_cancelled(self._client, order_id)
