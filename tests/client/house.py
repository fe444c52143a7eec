"""A house of nodes that die and come back, and a crowd that places orders all the while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from tallystick import Client, InsufficientStock, Line, Order, OutcomeUnknown, PlacedOrder
from tests.nodes import Node, start_node

WORKERS = 256
Answer = PlacedOrder | InsufficientStock | OutcomeUnknown
T = TypeVar("T")


class House:
    """Where nodes are started: in threads, as starting blocks; all of them are gone in the end."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self._root = root
        self._stack = stack

    async def start(self, name: str, listen: str = "127.0.0.1:0", region: str = "eu") -> Node:
        starting = start_node(self._root / name, listen=listen, region=region)
        return await asyncio.to_thread(self._stack.enter_context, starting)


def order(sku: str) -> Order:
    return Order(currency="EUR", lines=[Line(sku, 1, amount=100)])


async def at_once(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do the work of all items, WORKERS at a time."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))


async def place_all(client: Client, orders: list[Order], halfway: Callable[[], None]) -> dict[str, Answer]:
    """Place all orders; `halfway` is called once, when half of them are answered."""
    answers: dict[str, Answer] = {}

    async def place(each: Order) -> None:
        try:
            answers[each.id] = await client.place_order(each)
        except (InsufficientStock, OutcomeUnknown) as error:
            answers[each.id] = error
        if len(answers) == len(orders) // 2:
            halfway()

    await at_once(orders, place)
    assert answers.keys() == {each.id for each in orders}
    return answers
