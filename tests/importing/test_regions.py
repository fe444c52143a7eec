"""Which region takes what, what is waited for through a cut, and when regions agree."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.cli.importing.convergence import digests_equal, everything, have, same_events
from tallystick.cli.importing.ledger import Part
from tallystick.cli.importing.regional_till import RegionalTill
from tallystick.cli.importing.regions import Sides, middle_third, region_of
from tallystick.client.values.node import NodeStatus, StorageStatus, WriteState
from tallystick.client.values.order import Order, OrderState
from tallystick.client.values.write import Disposition, OrderChange, WriteResult
from tests.importing.files import plan_of, row

REGIONS = ("eu", "us", "ap")
NAMES = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=5, unique=True)
UNITED_KINGDOM = "United Kingdom"


# ------------------------------------------------------------------------------------------------ the regions


@given(NAMES, st.text(max_size=20), st.text(max_size=8), st.text(max_size=8))
def test_a_country_has_one_region(names, country, invoice, other):
    region = region_of(country, invoice, names)
    assert region in names
    assert region == region_of(country, invoice, names)
    if country not in (UNITED_KINGDOM, "Unspecified", ""):
        assert region == region_of(country, other, names)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_country_of_nearly_all_orders_is_shared_fairly(count):
    names = ("eu", "us", "ap", "sa", "af")[:count]
    taken = Counter(region_of(UNITED_KINGDOM, str(number), names) for number in range(536_365, 546_365))
    assert min(taken.values()) > 0.95 * 10_000 / count


@given(st.integers(0, 30_000))
def test_the_cut_lasts_for_the_middle_third(count):
    begins, ends = middle_third(count)
    assert begins == count - ends == count // 3
    assert 0 <= begins <= ends <= count


def test_a_cut_parts_one_region_from_all_others():
    sides = Sides.cutting_off_last(REGIONS)
    parted = {(one, other) for one in REGIONS for other in REGIONS if sides.part(one, other)}
    assert parted == {("ap", "eu"), ("ap", "us"), ("eu", "ap"), ("us", "ap")}
    assert sides.groups == (frozenset({"ap"}), frozenset({"eu", "us"}))


# --------------------------------------------------------------------------------------------------- the till


class Asked(NamedTuple):
    region: str
    order_id: str
    waits: bool


class Owners:
    """What the clients of all regions are asked; who waits for an owner is answered when the test says."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.heard = asyncio.Event()
        self.decided = asyncio.Event()
        self.disposition = Disposition.RECORDED
        self.state = OrderState.CONFIRMED

    def at(self, region: str) -> Any:
        owners = self

        class At:
            async def cancel_order(
                self, order_id: str, units: Any, *, request_id: str, wait_for_decision: bool
            ) -> OrderChange:
                owners.asked.append(Asked(region, order_id, wait_for_decision))
                owners.heard.set()
                if wait_for_decision:
                    await owners.decided.wait()
                write = WriteResult(
                    consistency_token=b"", replicated_to=0, disposition=owners.disposition, replayed=False
                )
                return OrderChange(order=Order(currency="GBP", lines=(), state=owners.state), write=write)

        return At()

    def clients(self) -> Any:
        return {region: self.at(region) for region in REGIONS}


def in_region(region: str, prefix: str) -> str:
    """An invoice number that belongs there."""
    names = (f"{prefix}{number}" for number in range(99))
    return next(name for name in names if region_of(UNITED_KINGDOM, name, REGIONS) == region)


def cancelling(here: str, owner: str) -> tuple[Any, Any, Part]:
    """Orders, and a cancellation `here` of the one that `owner` took."""
    order_id, invoice = in_region(owner, "5"), in_region(here, "C")
    plan = plan_of(row(order_id, "TEA", 5), row(invoice, "TEA", -1))
    (line,) = plan.cancellations
    return plan.orders, line, Part(order_id, {"1": 1})


@pytest.mark.parametrize(
    ("here", "owner", "is_cut", "waits"),
    [
        ("eu", "eu", False, False),
        ("eu", "us", False, True),
        ("eu", "us", True, True),
        ("eu", "ap", False, True),
        ("eu", "ap", True, False),
        ("ap", "us", True, False),
        ("ap", "ap", True, False),
    ],
)
async def test_another_regions_owner_is_waited_for_where_he_can_be_reached(here, owner, is_cut, waits):
    owners = Owners()
    owners.decided.set()
    orders, line, part = cancelling(here, owner)
    till = RegionalTill(owners.clients(), orders)
    if is_cut:
        await till.part(Sides.cutting_off_last(REGIONS))
    await till.cancel(line, part)
    assert owners.asked == [Asked(here, part.order_id, waits)]


async def test_a_cut_comes_when_nobody_waits_for_the_other_side_any_more():
    """Else those would wait until their time is over, and what waits for them too."""
    owners = Owners()
    orders, line, part = cancelling("eu", "ap")
    till = RegionalTill(owners.clients(), orders)
    waiting = asyncio.create_task(till.cancel(line, part))
    await owners.heard.wait()
    cutting = asyncio.create_task(till.part(Sides.cutting_off_last(REGIONS)))
    await asyncio.sleep(0)
    await till.cancel(line, part)
    assert [asked.waits for asked in owners.asked] == [True, False]
    assert not cutting.done()
    owners.decided.set()
    await asyncio.gather(waiting, cutting)
    till.join()
    await till.cancel(line, part)
    assert owners.asked[-1].waits


@pytest.mark.parametrize(
    ("disposition", "state", "recorded"),
    [
        (Disposition.DECIDED, OrderState.CONFIRMED, 0),
        (Disposition.RECORDED, OrderState.CONFIRMED, 1),
        (Disposition.DECIDED, OrderState.UNPLACED, 1),
    ],
)
async def test_what_the_owner_has_yet_to_decide_is_counted(disposition, state, recorded):
    owners = Owners()
    owners.decided.set()
    owners.disposition, owners.state = disposition, state
    orders, line, part = cancelling("eu", "ap")
    till = RegionalTill(owners.clients(), orders)
    await till.cancel(line, part)
    assert till.recorded == recorded


# ---------------------------------------------------------------------------------------------- convergence


def status(vector: dict[str, int], digest: str = "d") -> NodeStatus:
    return NodeStatus(
        cluster="c",
        node="n",
        region="r",
        version="0",
        start_time=None,
        storage=StorageStatus(write_state=WriteState.OPEN),
        sequence=0,
        vector=vector,
        digest=digest,
    )


VECTORS = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 3)), min_size=1, max_size=3)


@given(VECTORS)
def test_everything_is_what_somebody_has_and_no_more(vectors):
    told = [status(vector) for vector in vectors]
    whole = everything(told)
    assert all(have([status(whole)], vector) for vector in vectors)
    assert all(any(vector.get(node) == events for vector in vectors) for node, events in whole.items())
    assert same_events(told) == all(have([each], whole) for each in told)


def test_equal_digests_are_known_ones():
    assert digests_equal([status({}, "d"), status({}, "d")])
    assert not digests_equal([status({}, "d"), status({}, "e")])
    assert not digests_equal([status({}, ""), status({}, "")])
