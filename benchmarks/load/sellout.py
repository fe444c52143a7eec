"""A sale until nothing is left: `python -m benchmarks.load.sellout SPEC`, and which refusals were false.

Orders of one unit come at a steady pace, more of them at some nodes than at others, for items that the shops
believe to be in stock. All nodes reach each other, so an order may be refused only if its item is sold out.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

import msgspec
import uvloop

from tallystick import Client, InsufficientStock, Line, Order
from tallystick.client.ids import new_id

_DEADLINE_S = 30.0
_PRICE = 1_299


class SellOut(msgspec.Struct, frozen=True, kw_only=True):
    """One sale."""

    targets: tuple[str, ...]
    weights: tuple[float, ...]
    """How much of the demand comes to each."""
    items: tuple[str, ...]
    units: int
    """Of each item, all nodes together."""
    per_s: float
    """Orders a second, all nodes together."""
    seconds_max: float
    seed: int = 1


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    accepted: int
    refused: int
    false_refusals: int
    sold_before: int
    """Units that were sold before the first false refusal; all that were sold if there was none."""
    seconds: float


class Attempt(NamedTuple):
    """One order of one unit: for what, from when to when, and whether it was accepted."""

    item: str
    sent: float
    answered: float
    accepted: bool


def judge(attempts: Sequence[Attempt], units: int) -> tuple[list[Attempt], int]:
    """The refusals that were false, in the order of time; and units sold before the first of them.

    A refusal is false if units were left that no order took that had been sent by then: whoever looks at all
    nodes at once would have found one. That is never said of one that was right.
    """
    taken: dict[str, list[float]] = {}
    for each in attempts:
        if each.accepted:
            taken.setdefault(each.item, []).append(each.sent)
    false = sorted(
        (
            each
            for each in attempts
            if not each.accepted and sum(sent < each.answered for sent in taken.get(each.item, ())) < units
        ),
        key=lambda each: each.answered,
    )
    first = false[0].answered if false else float("inf")
    return false, sum(each.accepted and each.answered <= first for each in attempts)


class _Sale:
    """One run of it."""

    def __init__(self, spec: SellOut, clients: Sequence[Client]) -> None:
        self._spec = spec
        self._clients = clients
        self._draw = random.Random(spec.seed)
        self._sold: Counter[str] = Counter()
        self._left = list(spec.items)
        self.attempts: list[Attempt] = []

    async def run(self) -> float:
        spec, begun = self._spec, perf_counter()
        async with asyncio.TaskGroup() as tasks:
            number = 0
            while self._left and perf_counter() - begun < spec.seconds_max:
                await asyncio.sleep(max(0.0, begun + number / spec.per_s - perf_counter()))
                number += 1
                if self._left:
                    (client,) = self._draw.choices(self._clients, spec.weights)
                    tasks.create_task(self._buy(client, self._draw.choice(self._left)))
        return perf_counter() - begun

    async def _buy(self, client: Client, item: str) -> None:
        order = Order(
            id=new_id(),
            customer="customer",
            currency="EUR",
            lines=[Line(item, 1, _PRICE, _PRICE)],
            total=_PRICE,
        )
        sent, accepted = perf_counter(), True
        try:
            await client.place_order(order)
        except InsufficientStock:
            accepted = False
        self.attempts.append(Attempt(item, sent, perf_counter(), accepted))
        if accepted:
            self._sold[item] += 1
            if self._sold[item] == self._spec.units:
                self._left.remove(item)


async def _run(spec: SellOut) -> Sold:
    clients = [Client(target, timeout=_DEADLINE_S) for target in spec.targets]
    try:
        for client in clients:
            await client.status()
        sale = _Sale(spec, clients)
        seconds = await sale.run()
    finally:
        for client in clients:
            await client.close()
    false, before = judge(sale.attempts, spec.units)
    accepted = sum(each.accepted for each in sale.attempts)
    return Sold(
        accepted=accepted,
        refused=len(sale.attempts) - accepted,
        false_refusals=len(false),
        sold_before=before,
        seconds=seconds,
    )


if __name__ == "__main__":
    print(msgspec.json.encode(uvloop.run(_run(msgspec.json.decode(sys.argv[1], type=SellOut)))).decode())
