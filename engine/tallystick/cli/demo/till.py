"""A till: one order after another is placed, and what comes of it goes into the books."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tallystick.cli.demo.books import Books, Settled
from tallystick.client import Client, errors
from tallystick.client.values.order import Order

_CALM_S = 20.0  # how long a shopper waits who was already let down once


@dataclass
class Till:
    """Whoever owns it clears `open` while the server is known to be gone."""

    books: Books
    patience_s: float
    """How long a shopper waits for an answer."""
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def buy(self, client: Client, order: Order) -> None:
        """Place it; afterwards the books have it as acknowledged or refused."""
        await self.open.wait()
        try:
            await self._place(client, order, self.patience_s)
        except errors.OutcomeUnknown:
            self.books.lose_sight(order)
            await self.open.wait()
            await self._settle(client, order)
        except errors.Unavailable:
            # It never left this side: the same shopper simply comes again.
            await self.open.wait()
            await self._place(client, order, _CALM_S)

    async def _place(self, client: Client, order: Order, timeout: float) -> None:
        try:
            await client.place_order(order, timeout=timeout)
        except errors.InsufficientStock as refusal:
            self.books.refuse(order, refusal.shortages)
        else:
            self.books.acknowledge(order)

    async def _settle(self, client: Client, order: Order) -> None:
        """The answer was lost: the order's id tells whether the order was."""
        if await client.resolve(order.id, timeout=_CALM_S):
            self.books.settle(order, Settled.PLACED)
            self.books.acknowledge(order)
        else:
            self.books.settle(order, Settled.SENT_AGAIN)
            await self._place(client, order, _CALM_S)
