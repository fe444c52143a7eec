"""The sale itself: shoppers, the server, the kill, the restart, and reading back what is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import click

from tallystick.cli.demo.books import Books, Settled
from tallystick.cli.demo.story import Story
from tallystick.cli.demo.verdict import Verdict, judge
from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.node_process import NodeProcess
from tallystick.cli.together import run_all, together
from tallystick.client import Client, errors
from tallystick.client.values.order import Order

SHOPPERS = 64
_CONNECTIONS = 8
_READERS = 32
_PATIENCE_S = 0.4  # how long a shopper waits for an answer; the server is gone for longer than that
_CALM_S = 20.0


class SaleFailed(click.ClickException):
    """The sale could not be played to its end."""

    exit_code = ExitCode.NODE_FAULT


@dataclass
class Sale:
    """One run of a story. Whoever watches reads the fields; nothing here prints."""

    story: Story
    books: Books = field(default_factory=Books)
    phases: list[str] = field(default_factory=lambda: ["Starting a server"])
    """What went on so far; the last is what goes on now."""
    selling_s: float = 0.0
    """Time with the doors open."""
    down_s: float = 0.0
    """Time from the kill to the server's being back."""
    down: bool = False
    _half: asyncio.Event = field(default_factory=asyncio.Event)
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, directory: Path) -> Verdict:
        """Play it from beginning to end on a data directory."""
        data = directory / "shop"
        node = await NodeProcess.start(data, "demo")
        try:
            async with _clients(node.address) as clients:
                self.phases.append("Receiving the goods")
                stock = {article.sku: article.stock for article in self.story.articles}
                await clients[0].receive_stock(stock, "demo-delivery")
                self.phases.append("The sale is on")
                started = perf_counter()
                async with together() as group:
                    group.create_task(self._shop(clients))
                    self._open.set()
                    await self._half.wait()
                    node = await self._crash(node, data)
                self.selling_s = perf_counter() - started - self.down_s
                self.phases.append("Asking the server for every order")
                return await self._audit(clients)
        except errors.TallystickError as error:
            raise SaleFailed(f"{error}; the server's last words: {node.last_words()}") from error
        finally:
            await node.stop()

    async def _crash(self, node: NodeProcess, data: Path) -> NodeProcess:
        """kill -9, and a start on the same disk and address."""
        self.phases.append("kill -9: the server is gone; starting it again on the same disk")
        killed = perf_counter()
        self.down = True
        self._open.clear()
        self.books.server_killed()
        await node.kill()
        node = await NodeProcess.start(data, "demo", listen=node.address)
        self.down_s = perf_counter() - killed
        self.down = False
        self.phases.append("The server is back, the sale goes on")
        self._open.set()
        return node

    async def _shop(self, clients: list[Client]) -> None:
        waiting = iter(self.story.orders)

        async def till(client: Client) -> None:
            """One shopper after another."""
            for order in waiting:
                await self._serve(client, order)

        await run_all(till(clients[number % len(clients)]) for number in range(SHOPPERS))

    async def _serve(self, client: Client, order: Order) -> None:
        await self._open.wait()
        await self._buy(client, order)
        if self.books.answered * 2 >= len(self.story.orders):
            self._half.set()

    async def _buy(self, client: Client, order: Order) -> None:
        try:
            await self._place(client, order, _PATIENCE_S)
        except errors.OutcomeUnknown:
            self.books.lose_sight(order)
            await self._open.wait()
            await self._settle(client, order)
        except errors.Unavailable:
            # It never left this side: the same shopper simply comes again.
            await self._open.wait()
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

    async def _audit(self, clients: list[Client]) -> Verdict:
        """Look up every order by its id, the refused ones too, and count the stock."""
        found: dict[str, Order] = {}
        waiting = iter(self.story.orders)

        async def reader(client: Client) -> None:
            for order in waiting:
                there = await client.resolve(order.id)
                if there:
                    found[order.id] = there

        await run_all(reader(clients[number % len(clients)]) for number in range(_READERS))
        stock = [item async for item in clients[0].list_stock()]
        return judge(self.story, self.books, found, stock)


@asynccontextmanager
async def _clients(address: str) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Client(address, actor=f"till-{number}"))
            for number in range(_CONNECTIONS)
        ]
