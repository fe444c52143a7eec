"""The audit over several regions finds what no region shows by itself."""

from __future__ import annotations

import msgspec
import pytest

from tallystick.cli.importing.audit import Audit
from tallystick.cli.importing.regional_audit import Regional, joint_audit, stock_problems
from tallystick.cli.importing.summary import Outcome, as_json
from tallystick.client.values.stock import Stock
from tests.importing.files import plan_of

TEA = Stock(sku="TEA", received=10, burned=1, reserved=1, sold=4, available_here=2)
SHELVES = {"eu": [TEA], "us": [TEA], "ap": [msgspec.structs.replace(TEA, available_here=0)]}


def test_what_adds_up_is_ok():
    assert stock_problems(SHELVES) == []


@pytest.mark.parametrize(
    ("lie", "problem"),
    [
        ({"sold": 5}, "item TEA: sold is {'eu': 4, 'us': 4, 'ap': 5}"),
        ({"received": 11}, "item TEA: received is {'eu': 10, 'us': 10, 'ap': 11}"),
        ({"burned": 0}, "item TEA: burned is {'eu': 1, 'us': 1, 'ap': 0}"),
        ({"reserved": 0}, "item TEA: reserved is {'eu': 1, 'us': 1, 'ap': 0}"),
        ({"overbooked": 1}, "item TEA: overbooked is {'eu': 0, 'us': 0, 'ap': 1}"),
        (
            {"available_here": 1},
            "item TEA: received 10 − burned 1 is not available 5 (over all regions) + reserved 1 + sold 4",
        ),
        ({"sku": "CUP"}, "item CUP: known in ap alone"),
        ({"location": "shelf"}, "item TEA at shelf: known in ap alone"),
    ],
)
def test_a_region_that_says_otherwise_is_found(lie, problem):
    """A unit that two regions may sell adds up in neither."""
    lying = [msgspec.structs.replace(item, **lie) for item in SHELVES["ap"]]
    assert problem in stock_problems({**SHELVES, "ap": lying})


def audit_of(problems: list[str], **figures: int) -> Audit:
    audit = Audit(alone=True, received={"TEA": 10}, problems=problems)
    for name, figure in figures.items():
        setattr(audit, name, figure)
    return audit


def test_a_joint_audit_tells_what_is_wrong_anywhere():
    eu = audit_of([], money_sent=5, money_read=5, orders_read=2, items_read=3)
    us = audit_of(
        ["order 1: lost"], money_sent=5, money_read=4, orders_read=1, items_read=2, oversold_units=1
    )
    joint = joint_audit({"eu": eu, "us": us}, ["they differ"])
    assert joint.problems == ["us: order 1: lost", "they differ"]
    assert (joint.money_sent, joint.money_read, joint.oversold_units) == (5, 4, 1)
    assert (joint.orders_read, joint.items_read) == (1, 2)


def test_the_object_of_several_regions_has_more_keys():
    outcome, audit = Outcome(plan_of()), audit_of([])
    regional = Regional(("eu", "us"), {"eu": 3, "us": 0}, 1, True, 0.12345)
    told = as_json(outcome, audit, regional)
    assert list(told) == [
        *as_json(outcome, audit),
        "regions",
        "accepted_during_cut",
        "digests_equal",
        "seconds_to_converge",
    ]
    assert told["accepted_during_cut"] == {"eu": 3, "us": 0}
    assert (told["regions"], told["digests_equal"], told["seconds_to_converge"]) == (
        ["eu", "us"],
        True,
        0.123,
    )
