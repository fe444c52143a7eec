"""A shop's day as a sequence of commands: everything that can be asked of a node, some of it refused."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tallystick.core.members import node_name
from tallystick.core.order.facts import (
    Adjustment,
    AdjustmentKind,
    Body,
    ConfirmWhen,
    Line,
    PaymentKind,
    ShortageMode,
)
from tallystick.core.replica import commands
from tallystick.core.replica.commands import Command
from tallystick.node.identity import Identity
from tests.node.driving import IDENTITY, Clock

SKUS = ("tea", "milk", "salt", "日本茶")
PLACES = ("", "shelf")
CUSTOMERS = ("", "ann", "annie", "bob")
_NOTES = ("ring twice", "ring thrice", "leave it at the door", "")
_CONFIRM_WHEN = (0, int(ConfirmWhen.BY_HAND), int(ConfirmWhen.ON_CAPTURE), int(ConfirmWhen.ON_AUTHORIZATION))


class Day:
    """Draws commands. The same seed gives the same day."""

    def __init__(self, seed: int, clock: Clock, identity: Identity = IDENTITY) -> None:
        self._random = Random(seed)
        self._clock = clock
        self._node = node_name(identity.replica)
        self._orders: list[str] = []
        self._count = 0

    def commands(self, count: int) -> Iterator[Command]:
        """First goods, then trade; the clock goes on meanwhile."""
        for sku in SKUS:
            for place in PLACES:
                yield commands.ReceiveStock(self._name("r"), self._node, ((sku, place, 40),), "dock")
        draws = (
            [self._place] * 6 + [self._wish] * 5 + [self._money] * 2 + [self._edit, self._book, self._sweep]
        )
        for _ in range(count):
            self._clock.ms += self._random.choice((0, 0, 1, 400, 2_000))
            yield self._random.choice(draws)()

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"

    def _some_order(self) -> str:
        return self._random.choice(self._orders) if self._orders else "nobody's"

    def _place(self) -> Command:
        random = self._random
        if self._orders and random.random() < 0.05:
            name = self._some_order()
        else:
            name = f"{random.randrange(1 << 32):08x}"
            self._orders.append(name)
        lines = tuple(
            Line(
                str(number),
                random.choice(SKUS),
                random.randint(1, 4),
                random.choice(PLACES),
                random.random() < 0.1,
                100,
                100 * number,
                random.choice(("", "fresh")),
            )
            for number in range(1, random.randint(2, 4))
        )
        body = Body(
            "EUR",
            lines,
            random.choice(CUSTOMERS),
            (Adjustment("post", int(AdjustmentKind.SHIPPING), 50),) if random.random() < 0.3 else (),
            random.choice(
                (0, int(ConfirmWhen.BY_HAND), int(ConfirmWhen.ON_CAPTURE), int(ConfirmWhen.ON_AUTHORIZATION))
            ),
            random.choice((0, 10_000, 60_000)),
            random.choice((0, int(ShortageMode.PARTIAL))),
            {"note": random.choice(_NOTES), "attributes.lane": "7"} if random.random() < 0.3 else {},
        )
        return commands.PlaceOrder(name, body, random.choice(("", "web")))

    def _wish(self) -> Command:
        random, order = self._random, self._some_order()
        request = self._name("w") if random.random() < 0.9 else "w-again"
        match random.randrange(5):
            case 0 | 1:
                return commands.ConfirmOrder(order, request)
            case 2:
                return commands.ExtendHold(order, request, random.choice((0, 10_000, 90_000)), "desk")
            case 3:
                return commands.CancelOrder(order, request, (("1", random.choice((0, 1, 2))),), "some")
            case _:
                early = f"early-{random.randrange(1 << 32):08x}"
                if random.random() < 0.3:
                    self._orders.append(early)
                    order = early
                return commands.CancelOrder(order, request, (), "all")

    def _money(self) -> Command:
        kind = self._random.choice(list(PaymentKind))
        amount = self._random.choice((50, 100, 150, 350, 600))
        return commands.RecordPayment(self._some_order(), self._name("p"), int(kind), amount, reference="psp")

    def _edit(self) -> Command:
        random = self._random
        changes = {"note": random.choice(_NOTES), "tags.gift": "1", "phone": random.choice(("1", None))}
        replaced = random.choice(((), ("tags.",), ("attributes.",)))
        return commands.EditOrder(self._some_order(), self._name("e"), changes, replaced)

    def _book(self) -> Command:
        random = self._random
        sku, place = random.choice(SKUS), random.choice(PLACES)
        match random.randrange(3):
            case 0:
                return commands.ReceiveStock(
                    self._name("r"), self._node, ((sku, place, random.randint(1, 9)),)
                )
            case 1:
                units = random.choice((-6, -2, 3))
                return commands.AdjustStock(self._name("a"), self._node, ((sku, place, units),), "counted")
            case _:
                return commands.SetOverbooking(self._name("o"), self._node, sku, place, random.randint(0, 5))

    def _sweep(self) -> Command:
        return commands.ExpireHold(self._some_order())


def body(units: int, sku: str = "tea", **fields: object) -> Body:
    return Body("EUR", (Line("1", sku, units, amount=100 * units),), **fields)  # type: ignore[arg-type]


def sale(order_id: str, units: int, sku: str = "tea") -> commands.PlaceOrder:
    return commands.PlaceOrder(order_id, body(units, sku))


def hold(order_id: str, units: int, hold_ms: int = 10_000) -> commands.PlaceOrder:
    return commands.PlaceOrder(order_id, body(units, confirm_when=int(ConfirmWhen.BY_HAND), hold_ms=hold_ms))
