"""Orders from files, in each form that a file may have."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from tallystick.cli.order.file import parse_order, read_orders
from tallystick.cli.output import plain, plain_fields
from tallystick.client.values.order import (
    Adjustment,
    AdjustmentKind,
    Allocation,
    ConfirmWhen,
    Details,
    Line,
    Order,
    OrderState,
)

SMALL: dict[str, Any] = {
    "id": "o-1",
    "currency": "EUR",
    "lines": [{"sku": "TEA", "quantity": 2, "amount": 1800}],
}


def ids(lines: Iterable[str], prefix: str = "") -> list[str | None]:
    return [entry.order.id if entry.order else None for entry in read_orders(lines, prefix)]


def test_what_is_printed_can_be_placed_without_the_answers_in_it():
    asked = Order(
        id="o-1",
        currency="EUR",
        customer="ada",
        lines=[Line("TEA", 2, amount=1800, line_id="1")],
        adjustments=[Adjustment("discount", AdjustmentKind.DISCOUNT, -200)],
        confirm_when=ConfirmWhen.BY_HAND,
        hold=timedelta(minutes=30),
        details=Details(note="a note", tags={"gift"}, attributes={"wrap": "red"}),
    )
    answered = {
        **plain_fields(asked),
        "state": "confirmed",
        "place_time": "2026-03-01T08:30:00Z",
        "claims": [{"dot": "a/1"}],
        "lines": [{**plain_fields(asked.lines[0]), "allocations": [plain(Allocation("", "eu", 2))]}],
    }
    (entry,) = read_orders([json.dumps({"order": answered, "write": {}})])
    assert entry.order == asked
    assert asked.state is OrderState.UNKNOWN


FORMS = {
    "one a line": [json.dumps(SMALL) + "\n", "\n", json.dumps({**SMALL, "id": "o-2"}) + "\n"],
    "an array": json.dumps([SMALL, {**SMALL, "id": "o-2"}], indent=2).splitlines(keepends=True),
}


@pytest.mark.parametrize("form", FORMS)
def test_many_orders(form):
    assert ids(FORMS[form]) == ["o-1", "o-2"]
    assert all(entry.named for entry in read_orders(FORMS[form]))


def test_one_order_over_many_lines():
    assert ids(json.dumps(SMALL, indent=2).splitlines(keepends=True)) == ["o-1"]


def test_lines_are_read_as_they_come():
    def lines():
        yield json.dumps(SMALL)
        raise AssertionError("read ahead")

    assert next(read_orders(lines())).order is not None


def test_an_empty_file_holds_nothing():
    assert list(read_orders(["\n", "  \n"])) == []


def test_ids_by_number_are_the_same_each_time():
    nameless = {key: value for key, value in SMALL.items() if key != "id"}
    lines = [json.dumps(nameless), "", json.dumps(SMALL), json.dumps(nameless)]
    assert ids(lines, "batch-7.") == ["batch-7.1", "o-1", "batch-7.4"]
    assert [entry.named for entry in read_orders(lines)] == [False, True, False]


def test_one_bad_line_leaves_the_others():
    entries = list(read_orders([json.dumps(SMALL), "{", json.dumps({"id": "x"}), json.dumps(SMALL)]))
    assert [entry.number for entry in entries] == [1, 2, 3, 4]
    assert "no JSON" in entries[1].problem
    assert entries[2].problem == "currency is missing"
    assert entries[3].order is not None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"curency": "EUR"}, "curency is no field"),
        ({"lines": [{"sku": "TEA", "quantity": 1, "prize": 1}]}, r"lines\[0\].prize is no field"),
        ({"details": {"nota": ""}}, "details.nota is no field"),
        ({"details": {"shipping_address": {"town": ""}}}, "shipping_address.town is no field"),
        ({"lines": [{"sku": "TEA", "quantity": 1, "amount": 18.0}]}, r"`int`.*lines\[0\].amount"),
        ({"lines": [{"sku": "TEA", "quantity": "1"}]}, r"`int`.*lines\[0\].quantity"),
        ({"lines": [7]}, r"lines\[0\]"),
        ({"lines": []}, "lines is missing"),
        ({"hold": "soon"}, "no duration"),
        ({"confirm_when": "later"}, "confirm_when"),
    ],
)
def test_what_is_wrong_is_named(changes, problem):
    with pytest.raises(ValueError, match=problem):
        parse_order({**SMALL, **changes})


@pytest.mark.parametrize("document", ["[1]", "7", '"order"'])
def test_what_is_no_order(document):
    (entry,) = read_orders([document])
    assert "JSON object" in entry.problem
