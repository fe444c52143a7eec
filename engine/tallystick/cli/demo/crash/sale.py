"""The sale itself: shoppers, the server, the kill, the restart, and reading back what is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from tallystick.cli.demo.crash.books import CrashBooks
from tallystick.cli.demo.crash.verdict import Verdict, judge
from tallystick.cli.demo.failures import SaleFailed
from tallystick.cli.demo.story import Story
from tallystick.cli.demo.till import Till
from tallystick.cli.node_process import NodeProcess
from tallystick.cli.together import run_all, together
from tallystick.client import Client, errors
from tallystick.client.values.order import Order

SHOPPERS = 64
_CONNECTIONS = 8
_READERS = 32
_PATIENCE_S = 0.4  # how long a shopper waits for an answer; the server is gone for longer than that


@dataclass
class Sale:
    """One run of a story. Whoever watches reads the fields; nothing here prints."""

    story: Story
    books: CrashBooks = field(default_factory=CrashBooks)
    phases: list[str] = field(default_factory=lambda: ["Starting a server"])
    """What went on so far; the last is what goes on now."""
    selling_s: float = 0.0
    """Time with the doors open."""
    down_s: float = 0.0
    """Time from the kill to the server's being back."""
    down: bool = False
    _half: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.till = Till(self.books, _PATIENCE_S)

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
                    self.till.open.set()
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
        self.till.open.clear()
        self.books.server_killed()
        await node.kill()
        node = await NodeProcess.start(data, "demo", listen=node.address)
        self.down_s = perf_counter() - killed
        self.down = False
        self.phases.append("The server is back, the sale goes on")
        self.till.open.set()
        return node

    async def _shop(self, clients: list[Client]) -> None:
        waiting = iter(self.story.orders)

        async def till(client: Client) -> None:
            """One shopper after another."""
            for order in waiting:
                await self._serve(client, order)

        await run_all(till(clients[number % len(clients)]) for number in range(SHOPPERS))

    async def _serve(self, client: Client, order: Order) -> None:
        await self.till.buy(client, order)
        if self.books.answered * 2 >= len(self.story.orders):
            self._half.set()

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
