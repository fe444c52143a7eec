"""Who buys what in the sale: all of it from one seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tallystick.client.values.order import ConfirmWhen, Line, Order

CURRENCY = "EUR"


class Article(NamedTuple):
    """Something on sale. `price` in cents; `stock` units are received before the doors open."""

    sku: str
    name: str
    price: int
    stock: int


class Offer(NamedTuple):
    """`weight`: how many want it; `share`: how much of what is asked for there will be."""

    sku: str
    name: str
    price: int
    weight: int
    share: float


OFFERS = (
    Offer("LAMP", "Brass reading lamp", 8900, 8, 0.55),
    Offer("CHAIR", "Oak dining chair", 14900, 6, 0.70),
    Offer("MUG", "Stoneware mug", 1900, 10, 0.90),
    Offer("KETTLE", "Enamel kettle", 5900, 7, 0.40),
    Offer("RUG", "Wool rug", 24900, 3, 0.65),
    Offer("CLOCK", "Station clock", 7900, 5, 0.80),
    Offer("VASE", "Hand-blown vase", 3900, 4, 1.10),
    Offer("PIANO", "The last piano", 199900, 1, 0.0),
)

_RESERVING = 0.12  # of the orders only reserve: the shopper is still at the checkout


class Story(NamedTuple):
    """A sale: the articles, and the orders as the shoppers bring them."""

    articles: tuple[Article, ...]
    orders: tuple[Order, ...]

    @property
    def asked(self) -> dict[str, int]:
        """Units asked for, by article."""
        return units_of(self.orders)


def units_of(orders: Iterable[Order]) -> dict[str, int]:
    """Units in the lines of orders, by sku."""
    units: dict[str, int] = {}
    for order in orders:
        for line in order.lines:
            units[line.sku] = units.get(line.sku, 0) + line.quantity
    return units


def tell(seed: int, count: int) -> Story:
    """The story of a seed: the same articles, stock and orders every time."""
    chance = random.Random(seed)
    orders = tuple(order_of(chance, f"demo-{seed}-{number:06}") for number in range(1, count + 1))
    return Story(articles_for(orders), orders)


def articles_for(orders: Iterable[Order]) -> tuple[Article, ...]:
    """What is put on sale for these orders: of most articles less than is asked for."""
    asked = units_of(orders)
    return tuple(
        # One of the most wanted: a single unit for everybody.
        Article(offer.sku, offer.name, offer.price, max(1, int(asked.get(offer.sku, 0) * offer.share)))
        for offer in OFFERS
    )


def order_of(chance: random.Random, order_id: str, taste: Mapping[str, float] | None = None) -> Order:
    """What a shopper puts into the basket. `taste`: how much more or less wanted an article is here."""
    weights = [offer.weight * (taste or {}).get(offer.sku, 1) for offer in OFFERS]
    wanted = {offer.sku: offer for offer in chance.choices(OFFERS, weights, k=chance.choice((1, 1, 2, 3)))}
    lines = []
    for offer in wanted.values():
        quantity = chance.choice((1, 1, 1, 2, 3)) if offer.share else 1
        lines.append(Line(offer.sku, quantity, amount=quantity * offer.price, unit_price=offer.price))
    reserving = chance.random() < _RESERVING
    return Order(
        id=order_id,
        customer=f"shopper-{chance.randrange(10_000):04}",
        currency=CURRENCY,
        lines=lines,
        total=sum(line.amount for line in lines),
        confirm_when=ConfirmWhen.BY_HAND if reserving else ConfirmWhen.ON_PLACING,
    )
