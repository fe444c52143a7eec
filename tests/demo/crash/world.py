"""A sale that went well, as books and as a server's answers: tests break one thing in it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tallystick.cli.demo.books import Settled
from tallystick.cli.demo.crash.books import CrashBooks
from tallystick.cli.demo.crash.verdict import Verdict, judge
from tallystick.cli.demo.story import Story, tell, units_of
from tallystick.client.values.order import ConfirmWhen, Order, OrderState
from tallystick.client.values.stock import Stock
from tallystick.client.values.write import Shortage


@dataclass
class World:
    """What the shoppers know, and what the server says."""

    story: Story
    books: CrashBooks
    found: dict[str, Order]
    stock: dict[str, Stock]

    def verdict(self) -> Verdict:
        return judge(self.story, self.books, self.found, self.stock.values())

    def broken(self) -> list[str]:
        """The promises that did not hold."""
        return [promise.name for promise in self.verdict().promises if not promise.held]

    def change_stock(self, sku: str, **changes: int) -> None:
        item = self.stock[sku]
        sums = {name: getattr(item, name) + units for name, units in changes.items()}
        self.stock[sku] = msgspec.structs.replace(item, **sums)


def good_world(count: int = 300) -> World:
    """Orders are served in their turn; the server is killed after half of them, with three under way."""
    story = tell(1, count)
    world = World(
        story,
        CrashBooks(),
        {},
        {
            each.sku: Stock(sku=each.sku, received=each.stock, available_here=each.stock)
            for each in story.articles
        },
    )
    for place, order in enumerate(story.orders):
        if place == count // 2:
            world.books.server_killed()
        if place in range(count // 2, count // 2 + 3):
            world.books.lose_sight(order)
            world.books.settle(order, Settled.SENT_AGAIN)
        serve(world, order)
    return world


def serve(world: World, order: Order) -> None:
    wanted = units_of([order])
    short = [sku for sku, units in wanted.items() if world.stock[sku].available_here < units]
    if short:
        world.books.refuse(
            order,
            tuple(
                Shortage(
                    sku=sku,
                    location="",
                    asked=wanted[sku],
                    available_here=world.stock[sku].available_here,
                    available_elsewhere=0,
                )
                for sku in short
            ),
        )
        return
    held = order.confirm_when is ConfirmWhen.BY_HAND
    for sku, units in wanted.items():
        world.change_stock(sku, available_here=-units, **{"reserved" if held else "sold": units})
    state = OrderState.HELD if held else OrderState.CONFIRMED
    world.found[order.id] = msgspec.structs.replace(order, state=state)
    world.books.acknowledge(order)
