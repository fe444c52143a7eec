"""What a client remembers of a node that may die at any moment: what it was told, and what it was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tallystick.node.identity import decode_token
from tallystick.v1 import order_pb2

HELD = order_pb2.ORDER_STATE_HELD
CONFIRMED = order_pb2.ORDER_STATE_CONFIRMED
CANCELLED = order_pb2.ORDER_STATE_CANCELLED


@dataclass(frozen=True)
class Wish:
    """One change that was asked for: its kind, its id, and what it says."""

    kind: str
    request_id: str
    value: Any = None


@dataclass
class Known:
    """One order, as its client knows it.

    `full`: exactly what it must be. Without it, `placed` is what the node said when it took the order, if it
    did. `wish`: asked, and the answer never came; "place" stands for the placing itself. `done`: the wish was
    found to be fulfilled.
    """

    asked: order_pb2.Order
    placed: order_pb2.Order | None = None
    full: order_pb2.Order | None = None
    wish: Wish | None = None
    done: bool = False
    refused: bool = False


@dataclass
class Ledger:
    """Everything that one client knows."""

    orders: dict[str, Known] = field(default_factory=dict)
    received: Counter[str] = field(default_factory=Counter)
    receipt: tuple[str, str, int] | None = None
    """A receipt whose answer never came: id, sku, units."""
    token: bytes = b""
    acknowledged: int = 0

    def heard(self, token: bytes) -> None:
        """A write was acknowledged. Answers may overtake each other: the latest token counts."""
        self.acknowledged += 1
        if not self.token or _sequence(token) > _sequence(self.token):
            self.token = token

    def settle(self, touched: Iterable[str], found: Mapping[str, order_pb2.Order]) -> Iterator[str]:
        """Compare orders with what was found after a crash, and believe what was found of those whose answers
        never came: there as a whole, or not at all. Tells what there was."""
        for name in touched:
            known, now = self.orders[name], found.get(name)
            if known.refused:
                assert now is None, f"{name} was refused, and is there"
                yield "refused"
            elif known.full is not None:
                assert now is not None, f"{name} was acknowledged, and is gone"
                yield _settle_changed(known, now)
            elif now is not None:
                check_placed(known, now)
                known.full, known.done = now, known.wish is not None
                yield "placed, answer unknown" if known.done else "placed"
            else:
                assert known.wish is not None, f"{name} was acknowledged, and is gone"
                yield "not placed, answer unknown"

    def units(self, state: Any) -> Counter[str]:
        """Units set aside by orders in a state, by sku."""
        units: Counter[str] = Counter()
        for known in self.orders.values():
            if known.full is not None and known.full.state == state:
                for line in known.full.lines:
                    units[line.sku] += sum(row.quantity for row in line.allocations)
        return units


def _settle_changed(known: Known, now: order_pb2.Order) -> str:
    assert known.full is not None
    if known.wish is None:
        assert now == known.full
        return "unchanged"
    if now == known.full:
        return "not changed, answer unknown"
    assert plain(now) == plain(expected_after(known.full, known.wish)), f"{known.wish} is there by half"
    assert now.update_time.ToNanoseconds() > known.full.update_time.ToNanoseconds()
    known.full, known.done = now, True
    return "changed, answer unknown"


def _sequence(token: bytes) -> int:
    (head,) = decode_token(token).values()  # of a node alone
    return head.seq


def check_placed(known: Known, now: order_pb2.Order) -> None:
    """The order is what was asked, and as it was answered."""
    asked = known.asked
    by_hand = asked.confirm_when == order_pb2.CONFIRM_WHEN_BY_HAND
    assert (now.customer, now.currency, now.details) == (asked.customer, asked.currency, asked.details)
    assert [(line.sku, line.quantity, line.amount) for line in now.lines] == [
        (line.sku, line.quantity, line.amount) for line in asked.lines
    ]
    assert [sum(row.quantity for row in line.allocations) for line in now.lines] == [
        line.quantity for line in asked.lines
    ]
    assert now.state == (HELD if by_hand else CONFIRMED)
    assert len(now.claims) == 1
    assert not now.conflicts
    if known.placed is not None:
        told = known.placed
        assert (now.state, now.place_time, now.hold_expire_time) == (
            told.state,
            told.place_time,
            told.hold_expire_time,
        )


def expected_after(before: order_pb2.Order, wish: Wish) -> order_pb2.Order:
    """What an order is after a change: by this client's own understanding, not the engine's."""
    after = order_pb2.Order()
    after.CopyFrom(before)
    match wish.kind:
        case "confirm":
            _end(after, CONFIRMED)
        case "pay":
            after.payment.captured += wish.value
        case "edit":
            after.details.note = wish.value
        case "reduce":
            line = after.lines[0]
            line.cancelled_quantity += 1
            line.allocations[0].quantity -= 1
            after.payment.amount_due -= line.amount // line.quantity
        case "cancel":
            _end(after, CANCELLED)
            after.payment.amount_due = 0
            for line in after.lines:
                line.cancelled_quantity = line.quantity
                del line.allocations[:]
        case "extend":
            pass
    after.payment.refund_due = max(0, after.payment.captured - after.payment.amount_due)
    return after


def _end(order: order_pb2.Order, state: Any) -> None:
    order.state = state
    order.claims[0].state = state
    order.ClearField("hold_expire_time")


def plain(order: order_pb2.Order) -> order_pb2.Order:
    """An order without what a client cannot foretell: the time of a change, the etag."""
    copy = order_pb2.Order()
    copy.CopyFrom(order)
    for name in ("update_time", "etag", "hold_expire_time"):
        copy.ClearField(name)
    return copy
