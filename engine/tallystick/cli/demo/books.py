"""What the shoppers were told, order by order. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from tallystick.client.values.order import Order
from tallystick.client.values.write import Shortage


class Settled(enum.Enum):
    """What an order without an answer turned out to be, when it was looked up by its id."""

    PLACED = "placed"
    SENT_AGAIN = "sent again"


@dataclass
class Books:
    """Every order is in at most one of `acknowledged` and `refused`; when the sale is over, in one."""

    acknowledged: dict[str, Order] = field(default_factory=dict)
    refused: dict[str, tuple[Shortage, ...]] = field(default_factory=dict)
    unknown: dict[str, Settled | None] = field(default_factory=dict)
    """Orders that got no answer, and what became of them."""
    problems: list[str] = field(default_factory=list)
    """Answers that no order should get."""

    @property
    def answered(self) -> int:
        return len(self.acknowledged) + len(self.refused)

    def acknowledge(self, order: Order) -> None:
        self._answer(order)
        self.acknowledged[order.id] = order

    def refuse(self, order: Order, shortages: tuple[Shortage, ...]) -> None:
        self._answer(order)
        self.refused[order.id] = shortages

    def lose_sight(self, order: Order) -> None:
        """No answer came: it may be placed, or not."""
        self.unknown.setdefault(order.id, None)

    def settle(self, order: Order, settled: Settled) -> None:
        """Its id was looked up."""
        self.unknown[order.id] = settled

    def count_unknown(self, settled: Settled | None) -> int:
        return sum(outcome is settled for outcome in self.unknown.values())

    def _answer(self, order: Order) -> None:
        if order.id in self.acknowledged or order.id in self.refused:
            self.problems.append(f"order {order.id} was answered twice")
