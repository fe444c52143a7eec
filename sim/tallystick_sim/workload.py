"""What shops do, as one table of habits: each draws calls of its kind. A run has some of them, mixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from tallystick.core.members import node_name
from tallystick.core.order.facts import Body, ConfirmWhen, Line, PaymentKind, ShortageMode
from tallystick.core.replica import commands
from tallystick.core.replica.commands import Command
from tallystick_sim.calls import Wishes
from tallystick_sim.cluster import replica_of
from tallystick_sim.plan import BEGIN_MS, Read, Request, Size

STOCKED_MS = 1_500.0
"""When goods come in first: all are linked by then, mostly."""
PRICE = 100
_HOLDS_MS = (10_000, 15_000, 40_000)
_BY_HAND, _ON_CAPTURE = int(ConfirmWhen.BY_HAND), int(ConfirmWhen.ON_CAPTURE)
_ON_AUTHORIZATION = int(ConfirmWhen.ON_AUTHORIZATION)


class Shop:
    """Draws the calls of one run."""

    def __init__(self, random: Random, size: Size, *, swapped: bool) -> None:
        self.random = random
        self.nodes = size.nodes
        self.until_ms = (size.seconds - size.healing) * 1000
        self.skus = tuple(f"item-{number}" for number in range(random.choice((1, 2, 4, 8, 20))))
        self.hot = random.randrange(size.nodes)
        """The node that is asked most, where some are asked more than others."""
        self.calls: list[tuple[float, int, Command | Read, Wishes]] = []
        self._swapped = swapped
        self._count = 0
        self._patience = random.choice((500.0, 1_500.0, 4_000.0))

    # ------------------------------------------------------------------------------------------------- calls

    def ask(self, at_ms: float, node: int, command: Command | Read) -> None:
        """Somebody asks a node for something at that time."""
        random = self.random
        wishes = Wishes(
            random.choice((self._patience, self._patience, 6_000.0)),
            random.choice((0, 0, 0, 1, 2)),
            tokens=random.random() < 0.8,
            decision=random.random() < 0.2,
        )
        self.calls.append((round(at_ms, 2), node, command, wishes))

    def name(self, kind: str) -> str:
        """A name that nothing else has. Ids of orders do not come in the order of time."""
        self._count += 1
        return f"{kind}-{self.random.getrandbits(16):04x}-{self._count}"

    def time(self) -> float:
        """Some time while things go wrong."""
        return self.random.uniform(BEGIN_MS, self.until_ms)

    def node(self) -> int:
        """Any node."""
        return self.random.randrange(self.nodes)

    def node_name(self, node: int) -> str:
        """As requests name it."""
        return node_name(self.replica(node))

    def replica(self, node: int) -> int:
        """Its id."""
        return replica_of(node, swapped=self._swapped)

    def lines(self, most: int = 1, units: int = 3) -> tuple[Line, ...]:
        """What somebody buys."""
        skus = self.random.sample(self.skus, min(len(self.skus), self.random.randint(1, most)))
        drawn = [(sku, self.random.randint(1, units)) for sku in skus]
        return tuple(Line(str(at), sku, n, amount=PRICE * n) for at, (sku, n) in enumerate(drawn, 1))

    def place(
        self, at_ms: float, node: int, lines: tuple[Line, ...], when: int = 0, **more: object
    ) -> tuple[str, Body]:
        """Place an order, and look at it later."""
        name = self.name("o")
        body = Body("EUR", lines, confirm_when=when, **more)  # type: ignore[arg-type]
        self.ask(at_ms, node, commands.PlaceOrder(name, body))
        if self.random.random() < 0.3:
            self.read(at_ms, name)
        return name, body

    def read(self, after_ms: float, order_id: str) -> None:
        """Look at an order, at any node."""
        self.ask(self.soon(after_ms), self.node(), Read(order_id))

    def soon(self, at_ms: float, most_ms: float = 3_000.0) -> float:
        """A little later: sometimes at once, sometimes after the next failure."""
        return at_ms + self.random.choice((0.0, 1.0, 30.0, most_ms)) * self.random.random()

    def near(self, node: int) -> int:
        """Mostly the same node."""
        return node if self.random.random() < 0.7 else self.node()

    def receive(self, at_ms: float, node: int, sku: str, units: int) -> None:
        """Goods come in."""
        self.ask(
            at_ms, node, commands.ReceiveStock(self.name("r"), self.node_name(node), ((sku, "", units),))
        )


# --------------------------------------------------------------------------------------------------- habits


def even(shop: Shop, orders: int) -> None:
    """The same everywhere, confirmed at once."""
    for _ in range(orders):
        shop.place(shop.time(), shop.node(), shop.lines())


def skewed(shop: Shop, orders: int) -> None:
    """Most of it at one node, and of few items: tokens have to travel."""
    for _ in range(orders):
        node = shop.hot if shop.random.random() < 0.8 else shop.node()
        sku = shop.skus[min(int(shop.random.expovariate(0.7)), len(shop.skus) - 1)]
        units = shop.random.randint(1, 3)
        shop.place(shop.time(), node, (Line("1", sku, units, amount=PRICE * units),))


def flash_sale(shop: Shop, orders: int) -> None:
    """Everybody wants one item in the same seconds."""
    begins, sku = shop.time(), shop.random.choice(shop.skus)
    for _ in range(orders):
        at = begins + shop.random.uniform(0, 3_000)
        shop.place(at, shop.node(), (Line("1", sku, 1, amount=PRICE),))


def baskets(shop: Shop, orders: int) -> None:
    """Orders of several lines are held, and then paid, confirmed by hand, extended or forgotten."""
    random = shop.random
    for _ in range(orders):
        at, node = shop.time(), shop.node()
        when = random.choice((_BY_HAND, _BY_HAND, _ON_CAPTURE, _ON_AUTHORIZATION))
        mode = random.choice((0, 0, int(ShortageMode.PARTIAL)))
        hold = random.choice(_HOLDS_MS)
        lines = shop.lines(most=4)
        name, body = shop.place(at, node, lines, when, hold_ms=hold, shortage_mode=mode)
        later = shop.soon(at, 1.3 * hold)
        if random.random() < 0.2:
            shop.ask(later, shop.near(node), commands.ExtendHold(name, shop.name("x"), 10_000))
        if when == _BY_HAND and random.random() < 0.7:
            shop.ask(shop.soon(later), shop.near(node), commands.ConfirmOrder(name, shop.name("w")))
        elif random.random() < 0.8:
            kind = int(PaymentKind.AUTHORIZED if when == _ON_AUTHORIZATION else PaymentKind.CAPTURED)
            paid = commands.RecordPayment(name, shop.name("p"), kind, body.total)
            shop.ask(shop.soon(later), shop.near(node), paid)


def cancel_storm(shop: Shop, orders: int) -> None:
    """Orders are placed, and then cancelled: whole or in part, at once, twice, elsewhere or beforehand."""
    random, begins = shop.random, shop.time()
    for _ in range(orders):
        at, node = shop.time(), shop.node()
        name, body = shop.place(at, node, shop.lines(most=2), random.choice((0, _BY_HAND)))
        if random.random() < 0.8:
            when = random.choice((begins + random.uniform(0, 2_000), shop.soon(at), at - 200))
            line = random.choice(body.lines)
            lines = ((line.line_id, random.choice((0, 1))),) if random.random() < 0.3 else ()
            cancel = commands.CancelOrder(name, shop.name("c"), lines)
            for _ in range(random.choice((1, 1, 2))):
                shop.ask(when, shop.near(node), cancel)
                when = shop.soon(when)


def edits(shop: Shop, orders: int) -> None:
    """Details are changed in several places at once."""
    random = shop.random
    for _ in range(orders):
        at, node = shop.time(), shop.node()
        name, _ = shop.place(at, node, shop.lines(), details={"note": "ring twice"})
        for _ in range(random.randint(1, 3)):
            edit = shop.name("e")
            changes = {f"tags.{edit}": "1", "note": random.choice(("ring thrice", "", edit))}
            shop.ask(shop.soon(at), shop.near(node), commands.EditOrder(name, edit, changes))


def failover(shop: Shop, orders: int) -> None:
    """A client that hears nothing sends the same again, to the same node or another: rivals."""
    random = shop.random
    for _ in range(orders):
        at, node = shop.time(), shop.node()
        when = random.choice((0, 0, _BY_HAND))
        name, body = shop.place(at, node, shop.lines(most=2), when, hold_ms=10_000 if when else 0)
        for _ in range(random.choice((1, 1, 2))):
            at, node = shop.soon(at), shop.node()
            if random.random() < 0.04:
                body = Body("EUR", shop.lines(), confirm_when=when)
            shop.ask(at, node, commands.PlaceOrder(name, body))
        if random.random() < 0.5:
            wish: Command = commands.ConfirmOrder(name, shop.name("w"))
            if random.random() < 0.6:
                wish = commands.CancelOrder(name, shop.name("c"))
            shop.ask(shop.soon(at), shop.node(), wish)


def stock_takes(shop: Shop, orders: int) -> None:
    """Goods come in and are found to be missing, tokens are moved by hand, overbooking goes up and down."""
    random = shop.random
    for _ in range(orders):
        shop.place(shop.time(), shop.node(), shop.lines())
    for _ in range(max(3, orders // 8)):
        at, node, sku = shop.time(), shop.node(), random.choice(shop.skus)
        name, units = shop.node_name(node), random.choice((-6, -2, -1, 3))
        to = (node + random.randrange(1, shop.nodes)) % shop.nodes
        bookings: tuple[Command, ...] = (
            commands.AdjustStock(shop.name("a"), name, ((sku, "", units),), "counted"),
            commands.MoveTokens(shop.name("m"), name, shop.replica(to), ((sku, "", random.randint(1, 4)),)),
            commands.SetOverbooking(shop.name("b"), name, sku, "", random.choice((0, 2, 5))),
        )
        for booking in random.choices(bookings, (4, 2, 1)):
            shop.ask(at, node, booking)
            if random.random() < 0.2:
                shop.ask(shop.soon(at), node, booking)
            if isinstance(booking, commands.SetOverbooking):
                _set_again(shop, at, node, booking)


def _set_again(shop: Shop, at_ms: float, node: int, booking: commands.SetOverbooking) -> None:
    """Overbooking that was set goes down or up again, by chance of its own: all other draws are as they were
    before runs had this."""
    own = Random(booking.booking_id)
    other = booking._replace(booking_id=f"{booking.booking_id}-again", limit=own.choice((0, 1, 5)))
    shop.calls.append((round(at_ms + own.uniform(500, 10_000), 2), node, other, Wishes()))


HABITS: Mapping[str, Callable[[Shop, int], None]] = {
    "even": even,
    "skewed": skewed,
    "flash_sale": flash_sale,
    "baskets": baskets,
    "cancel_storm": cancel_storm,
    "edits": edits,
    "failover": failover,
    "stock_takes": stock_takes,
}


def draw_habits(random: Random, wanted: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Which habits a run has."""
    return wanted or tuple(sorted(random.sample([*HABITS], random.randint(2, 4))))


def draw_requests(
    random: Random, size: Size, habits: tuple[str, ...], *, swapped: bool
) -> tuple[Request, ...]:
    """All calls of a run, by time: goods come in, some of them later, and about `size.orders` orders."""
    shop = Shop(random, size, swapped=swapped)
    for habit in habits:
        HABITS[habit](shop, size.orders // len(habits))
    # A little more or less than is asked for, so that there are shortages, and not only shortages.
    plenty = random.choice((0.5, 0.9, 1.5, 3.0))
    each = 1 + int(plenty * size.orders * 2 / len(shop.skus) / size.nodes)
    for sku in shop.skus:
        for node in range(size.nodes):
            units = each if random.random() < 0.7 else random.randrange(2 * each)
            if units:
                shop.receive(STOCKED_MS + random.uniform(0, 500), node, sku, units)
        if random.random() < 0.3:
            shop.receive(shop.time(), shop.node(), sku, 1 + each // 2)
    calls = sorted(shop.calls, key=lambda call: call[:2])
    return tuple(Request(number, *call) for number, call in enumerate(calls, 1))
