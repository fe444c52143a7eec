"""The flow against a shop in memory: fast, and as if everything had been sent one by one."""

from __future__ import annotations

import asyncio
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
from tests.importing.files import FILES, SHOPS, file_text, plan_of, row, shop_rows
from tests.importing.shop import Shop, one_by_one

FACTORS = st.sampled_from([Decimal(0), Decimal("0.5"), Decimal("0.9"), Decimal(1)])


def run(shop: Any, plan: Plan, factor: Decimal = Decimal(1), concurrency: int = 8) -> tuple[Outcome, Audit]:
    shop.stream = asyncio.Lock()  # of this run's loop
    importing = import_plan(
        shop, plan, factor=factor, concurrency=concurrency, own=True, progress=Progress(quiet=True)
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


@given(SHOPS, FACTORS, st.integers(0, 99))
def test_a_second_run_doubles_nothing(rows, factor, seed):
    """What was refused is asked for again, and may be there by now; all else is as it was."""
    plan = plan_from(rows)
    shop = Shop(seed)
    first, _ = run(shop, plan, factor)
    events = {order_id: list(told) for order_id, told in shop.events.items()}
    receipts = set(shop.receipts)
    second, audit = run(shop, plan, factor)
    assert shop.receipts == receipts
    assert second.replayed == first.accepted
    assert second.accepted >= first.accepted
    assert all(shop.events[order_id][: len(told)] == told for order_id, told in events.items())
    for cancellation in plan.cancellations:
        told = [event for order in shop.events.values() for event in order]
        units = sum(
            line.quantity
            for event in told
            if event.request_id == cancellation.request_id
            for line in event.lines
        )
        assert units <= cancellation.units
    assert [problem for problem in audit.problems if "more sold" in problem or "not found" in problem] == []


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
