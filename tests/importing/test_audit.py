"""The audit finds what it is there to find: a node that lies is caught, whatever it lies about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tallystick.cli.importing.audit import Audit
from tallystick.client.values.order import Conflict, Order, OrderState
from tallystick.client.values.stock import AvailableElsewhere, Stock
from tests.importing.files import plan_of, row
from tests.importing.shop import Shop
from tests.importing.test_flow import run

PLAN = plan_of(
    row("1", "TEA", 5, "1.01"),
    row("1", "CUP", 2),
    row("2", "TEA", 3, customer="2"),
    row("C3", "TEA", -2),
    row("C4", "TEA", -3, customer="2"),
)


class Lying(Shop):
    """A node that tells orders and stock otherwise than they are."""

    def __init__(self, orders: dict[str, Any] | None = None, stock: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._lies = orders or {}
        self._stock_lies = stock or {}

    async def get_order(self, order_id: str) -> Order:
        found = await super().get_order(order_id)
        return msgspec.structs.replace(found, **self._lies) if order_id == "1" else found

    async def list_stock(self, **_: Any) -> Any:
        for item in list(self.stock.values()):
            yield msgspec.structs.replace(item, **self._stock_lies) if item.sku == "TEA" else item


def test_the_truth_is_ok():
    outcome, audit = run(Shop(), PLAN)
    assert audit.problems == []
    assert (outcome.accepted, audit.orders_read, audit.items_read) == (2, 2, 2)
    assert (audit.money_sent, audit.money_cancelled, audit.money_due) == (1005, 202 + 300, 503)


@pytest.mark.parametrize(
    ("lie", "problem"),
    [
        ({"customer": "mallory"}, "customer is 'mallory'"),
        ({"total": 1}, "money: orders of 1005 sent, of 301 read back"),
        ({"lines": ()}, "has lines"),
        ({"state": OrderState.CANCELLED}, "is cancelled instead of confirmed"),
        ({"conflicts": (Conflict(kind="RIVAL_CLAIMS", description=""),)}, "is in conflict: RIVAL_CLAIMS"),
    ],
)
def test_an_order_that_reads_back_otherwise_is_found(lie, problem):
    _, audit = run(Lying(orders=lie), PLAN)
    assert any(problem in found for found in audit.problems), audit.problems


@pytest.mark.parametrize(
    "change", [{"sku": "tea"}, {"quantity": 4}, {"amount": 1}, {"untracked": True}, {"cancelled_quantity": 0}]
)
def test_a_line_that_reads_back_otherwise_is_found(change):
    class Altering(Shop):
        async def get_order(self, order_id: str) -> Order:
            found = await super().get_order(order_id)
            lines = [msgspec.structs.replace(found.lines[0], **change), *found.lines[1:]]
            return msgspec.structs.replace(found, lines=lines)

    _, audit = run(Altering(), PLAN)
    assert any(problem.startswith("order 1: line 1: ") for problem in audit.problems)


@pytest.mark.parametrize(
    ("lie", "problem"),
    [
        ({"available_here": 9}, "item TEA: received 8 − burned 0 is not available 9"),
        ({"sold": 2}, "item TEA: 2 units sold; our orders have 3"),
        ({"received": 2}, "item TEA: 1 units more sold than there were"),
        ({"received": 16, "available_here": 13}, "item TEA: 16 units received; we booked in 8"),
        ({"sku": "COFFEE"}, "item TEA: not in the list of stock"),
    ],
)
def test_stock_that_does_not_add_up_is_found(lie, problem):
    _, audit = run(Lying(stock=lie), PLAN)
    assert any(problem in found for found in audit.problems), audit.problems


def test_units_are_oversold_when_our_own_orders_say_so():
    """Even if the node's figures agree with each other."""
    _, audit = run(Lying(stock={"received": 2, "available_here": 0, "sold": 2}), PLAN)
    assert audit.oversold_units == 1


def test_an_acknowledged_order_that_is_gone_is_found():
    class Forgetful(Shop):
        async def list_orders(self) -> AsyncIterator[Order]:
            self.orders.pop("2", None)
            async for order in super().list_orders():
                yield order

    _, audit = run(Forgetful(), PLAN)
    assert "order 2: acknowledged, and not found" in audit.problems


def test_an_order_that_only_the_list_forgets_is_found():
    shop = Shop()
    shop.unlisted.add("2")
    _, audit = run(shop, PLAN)
    assert audit.problems == ["order 2: not in the list of orders"]
    assert audit.orders_read == 2


def test_at_somebody_elses_node_every_order_is_read_by_its_id():
    shop = Shop()
    shop.unlisted |= {"1", "2"}
    _, audit = run(shop, PLAN, own=False)
    assert (audit.problems, audit.orders_read) == ([], 2)


def test_a_refused_order_that_is_there_is_found():
    audit = Audit(alone=True, received={})
    audit.check_refused("9", Order(currency="GBP", lines=(), state=OrderState.CONFIRMED))
    audit.check_refused("9", Order(currency="GBP", lines=(), state=OrderState.UNPLACED))
    audit.check_refused("9", None)
    assert audit.problems == ["order 9: refused, and found as confirmed"]


def test_others_may_sell_at_the_same_node():
    """Then there may be more than ours, but never less; and what other nodes hold counts as available."""
    audit = Audit(alone=False, received={"TEA": 8})
    elsewhere = AvailableElsewhere(quantity=4, as_of=None)
    audit.check_stock(
        [Stock(sku="TEA", received=20, sold=9, available_here=7, available_elsewhere=elsewhere)]
    )
    assert audit.problems == []
    audit.check_stock([Stock(sku="TEA", received=7, available_here=7)])
    assert audit.problems == ["item TEA: 7 units received; we booked in 8"]
