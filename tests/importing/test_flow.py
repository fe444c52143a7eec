"""The flow against a shop in memory: fast, and as if everything had been sent one by one."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.cli.importing.audit import Audit
from tallystick.cli.importing.display import Progress
from tallystick.cli.importing.mapping import Plan, make_plan
from tallystick.cli.importing.rows import read_rows
from tallystick.cli.importing.session import import_plan
from tallystick.cli.importing.summary import Outcome, as_json
from tallystick.client import errors
from tallystick.client.values.order import Order
from tallystick.client.values.write import PlacedOrder
from tests.importing.files import FILES, SHOPS, file_text, plan_of, row, shop_rows
from tests.importing.shop import Shop, one_by_one

FACTORS = st.sampled_from([Decimal(0), Decimal("0.5"), Decimal("0.9"), Decimal(1)])


def run(
    shop: Any, plan: Plan, factor: Decimal = Decimal(1), concurrency: int = 8, *, own: bool = True
) -> tuple[Outcome, Audit]:
    shop.stream = asyncio.Lock()  # of this run's loop
    importing = import_plan(
        shop, plan, factor=factor, concurrency=concurrency, own=own, progress=Progress(quiet=True)
    )
    return asyncio.run(importing)


def plan_from(rows: Any) -> Plan:
    return make_plan(read_rows(io.StringIO(file_text(rows), newline="")))


@given(st.integers(0, 1 << 32))
def test_concurrent_is_as_one_by_one(seed):
    """Everything is drawn from one seed: a flow that forgets to wait differs in a few worlds of a hundred."""
    chance = random.Random(seed)
    plan = plan_from(shop_rows(chance.getrandbits(32)))
    factor = Decimal(chance.choice(["0.3", "0.5", "0.7", "0.9"]))
    shop = Shop(chance.getrandbits(32))
    outcome, audit = run(shop, plan, factor, concurrency=chance.choice([1, 4, 8, 16, 30]))
    accepted, left_over = one_by_one(plan, factor)
    assert set(shop.orders) == accepted
    assert {line.request_id: left for line, left in outcome.unmatched} == left_over
    assert audit.problems == []
    assert outcome.accepted + len(outcome.refused) == len(plan.orders) == len(outcome.latencies)


@given(FILES, FACTORS)
def test_whatever_stands_in_the_file_the_audit_is_ok(rows, factor):
    _, audit = run(Shop(), plan_from(rows), factor)
    assert audit.problems == []


def what_is_there(shop: Shop) -> Any:
    return shop.orders, shop.stock, shop.events, shop.receipts


@given(SHOPS, FACTORS, st.integers(0, 99))
def test_a_second_run_is_a_replay(rows, factor, seed):
    """It remembers an order that was refused, and sold to by a second run, of what was cancelled since."""
    plan = plan_from(rows)
    shop = Shop(seed)
    first, _ = run(shop, plan, factor)
    before = copy.deepcopy(what_is_there(shop))
    second, audit = run(shop, plan, factor)
    if factor:
        assert what_is_there(shop) == before
        assert second.replayed == second.accepted == first.accepted
        assert set(second.refused) == set(first.refused)
        assert second.unmatched == first.unmatched
    assert audit.oversold_units == 0
    assert not [problem for problem in audit.problems if "not found" in problem]


class Leaving(Shop):
    """Goes away for good after so many orders."""

    def __init__(self, seed: int, orders: int) -> None:
        super().__init__(seed)
        self.orders_left = orders

    async def place_order(self, order: Order) -> PlacedOrder:
        placing = super().place_order(order)
        try:
            return await placing
        finally:
            self.orders_left -= 1
            if self.orders_left < 0:
                raise errors.Unavailable("gone")


@given(st.integers(0, 1 << 32))
def test_a_run_that_was_cut_off_is_finished_by_the_next(seed):
    """As if nothing had happened: the outcome is that of one run, one by one."""
    chance = random.Random(seed)
    plan = plan_from(shop_rows(chance.getrandbits(32)))
    factor = Decimal(chance.choice(["0.3", "0.5", "0.7", "0.9"]))
    shop = Leaving(chance.getrandbits(32), orders=chance.randrange(20))
    concurrency = chance.choice([1, 4, 8, 16, 30])
    with contextlib.suppress(errors.Unavailable):
        run(shop, plan, factor, concurrency)
    shop.orders_left = 1_000
    outcome, audit = run(shop, plan, factor, concurrency)
    accepted, left_over = one_by_one(plan, factor)
    assert set(shop.orders) == accepted
    assert {line.request_id: left for line, left in outcome.unmatched} == left_over
    assert audit.problems == []


@given(SHOPS, st.integers(0, 99))
def test_another_stock_asks_again_and_doubles_nothing(rows, seed):
    """More came in, so what was refused is asked for again; each cancellation is made once all the same."""
    plan = plan_from(rows)
    shop = Shop(seed)
    first, _ = run(shop, plan, Decimal("0.5"))
    second, audit = run(shop, plan, Decimal("0.7"))
    assert second.replayed == first.accepted
    for cancellation in plan.cancellations:
        told = [event for order in shop.events.values() for event in order]
        made = [event.lines for event in told if event.request_id == cancellation.request_id]
        assert sum(line.quantity for lines in made for line in lines) <= cancellation.units
    assert audit.oversold_units == 0


def test_one_unreachable_moment_ends_the_import():
    """A node that went away is no refusal: 20,000 orders must not be counted as refused."""

    class Gone(Shop):
        async def place_order(self, order):
            raise errors.Unavailable("gone")

    with pytest.raises(errors.Unavailable):
        run(Gone(), plan_of(row("1", "TEA", 1), row("2", "TEA", 1)))


def test_a_refused_cancellation_is_left_over():
    class Strict(Shop):
        async def cancel_order(self, order_id, units, *, request_id):
            raise errors.OrderLocked("released", reason="ORDER_LOCKED")

    outcome, audit = run(Strict(), plan_of(row("1", "TEA", 3), row("C2", "TEA", -2)))
    assert [left for _, left in outcome.unmatched] == [2]
    assert audit.problems == []


def test_the_object_has_the_promised_keys():
    outcome, audit = run(Shop(), plan_of(row("1", "TEA", 10), row("C2", "TEA", -11)), Decimal(1))
    told = as_json(outcome, audit)
    assert list(told) == [
        "orders_sent",
        "orders_accepted",
        "orders_refused",
        "cancellations",
        "cancellations_unmatched",
        "lines_reported",
        "orders_per_second",
        "p50_ms",
        "p99_ms",
        "oversold_units",
        "audit",
    ]
    assert (told["orders_sent"], told["orders_accepted"], told["orders_refused"]) == (1, 1, 0)
    assert (told["cancellations"], told["cancellations_unmatched"], told["audit"]) == (1, 1, "ok")
