"""Pounds as the file writes them, pence as the engine counts them. Rounding is half to even, by Decimal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

CURRENCY = "GBP"
# Beyond what a quantity times a price of the format can have in digits: nothing is rounded but by `pence`.
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


@lru_cache(1 << 16)
def pence(quantity: int, price: Decimal) -> int:
    """What `quantity` units at `price` pounds cost, in whole pence."""
    exact = _EXACT.multiply(_EXACT.multiply(Decimal(quantity), price), Decimal(100))
    return int(exact.to_integral_value(ROUND_HALF_EVEN, _EXACT))


class PricedLine(Protocol):
    """A line as far as money goes."""

    @property
    def line_id(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def amount(self) -> int: ...


def cancelled_value(lines: Sequence[PricedLine], cancelled: Mapping[str, int]) -> int:
    """What the cancelled units of an order had cost, in pence: each line's share, rounded half to even."""
    return sum(
        round(Fraction(line.amount * cancelled[line.line_id], line.quantity))
        for line in lines
        if cancelled.get(line.line_id)
    )
