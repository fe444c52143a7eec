"""What is received before the first order, and from which order on an item can run short. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from tallystick.cli.importing.mapping import PlannedOrder

_ITEMS_A_RECEIPT = 1_000


class Receipt(NamedTuple):
    """Goods to book in under one id."""

    id: str
    items: tuple[tuple[str, int], ...]


def demand(orders: Iterable[PlannedOrder]) -> dict[str, int]:
    """Units of each stock item that the orders ask for."""
    units: dict[str, int] = {}
    for order in orders:
        for line in order.lines:
            if not line.untracked:
                units[line.sku] = units.get(line.sku, 0) + line.quantity
    return units


def stock_for(asked: Mapping[str, int], factor: Decimal) -> dict[str, int]:
    """floor(factor × demand) of each item; items of which that is nothing are left out."""
    units = {sku: math.floor(factor * count) for sku, count in asked.items()}
    return {sku: count for sku, count in units.items() if count}


def receipts(stock: Mapping[str, int]) -> list[Receipt]:
    """The stock as receipts. Their ids come from what is in them: the same import again is the same goods."""
    items = sorted(stock.items())
    name = hashlib.sha256(repr(items).encode()).hexdigest()[:16]
    starts = range(0, len(items), _ITEMS_A_RECEIPT)
    return [Receipt(f"import-{name}-{at}", tuple(items[at : at + _ITEMS_A_RECEIPT])) for at in starts]


def scarce_items(orders: Iterable[PlannedOrder], stock: Mapping[str, int]) -> list[frozenset[str]]:
    """For each order, the items that may be gone when it comes.

    Up to the order at which everything asked of an item exceeds what was received, none is refused for it,
    whatever is decided first. From there on the sequence of orders and cancellations matters.
    """
    asked: dict[str, int] = {}
    scarce = []
    for order in orders:
        for line in order.lines:
            if not line.untracked:
                asked[line.sku] = asked.get(line.sku, 0) + line.quantity
        scarce.append(
            frozenset(
                line.sku
                for line in order.lines
                if not line.untracked and asked[line.sku] > stock.get(line.sku, 0)
            )
        )
    return scarce
