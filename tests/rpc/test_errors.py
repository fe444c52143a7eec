"""The table of errors: every reason that the engine can give is in it, and is told in full."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tallystick
from tallystick.core.errors import InsufficientStock, InvalidField, Refused, Shortage
from tallystick.core.order.status import TRANSITIONS, State
from tallystick.node.jobs import Internal
from tallystick.rpc.errors import CODES, RETRY_DELAY_MS, status_of
from tests.rpc.refusals import read_status

ENGINE = Path(tallystick.__file__).parent
LAYERS = ("core", "node", "rpc")
REASON = re.compile("[A-Z]+(_[A-Z]+)*")
RETRIED = {
    *("STORAGE_FULL", "TOO_MANY_CALLS", "NODE_STOPPING", "NODE_STARTING", "INSTALLING", "BEHIND_TOKEN"),
}


def reasons_in(tree: ast.Module) -> set[str]:
    """Reasons that a module gives: the first argument of a refusal, or what is assigned to `reason`."""
    found: list[ast.expr] = []
    refusals = {cls.__name__ for cls in all_refusals()} | {"__init__"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found += [node.args[0]] if name in refusals else []
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Attribute) for t in node.targets):
            found += [node.value] if getattr(node.targets[0], "attr", "") == "reason" else []
    texts = {node.value for node in found if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if REASON.fullmatch(text)}


def all_refusals() -> set[type[Refused]]:
    known, waiting = set[type[Refused]](), [Refused]
    while waiting:
        cls = waiting.pop()
        known.add(cls)
        waiting += cls.__subclasses__()
    return known


def test_every_reason_that_the_code_gives_is_in_the_table():
    given = set()
    for layer in LAYERS:
        for path in sorted((ENGINE / layer).rglob("*.py")):
            given |= reasons_in(ast.parse(path.read_text(encoding="utf-8")))
    # Refusals by state name the state; in which states that may be, the table of transitions says.
    endings = {State.CONFIRMED, State.CANCELLED, State.EXPIRED, State.DUPLICATE}
    assert endings <= set(TRANSITIONS.values())
    given |= {f"ORDER_{state.name}" for state in endings}
    given |= {"LINE_NOT_FOUND", "QUANTITY_TOO_LARGE"}  # decisions that a caller who waits hears of
    assert given == set(CODES)


@pytest.mark.parametrize("reason", sorted(CODES))
def test_every_reason_is_told_in_full(reason):
    told = read_status(status_of(Refused(reason, "what to do", {"key": "value"})))
    assert (told.reason, told.message, told.definite) == (reason, "what to do", True)
    assert told.metadata["key"] == "value"
    assert told.code != "OK"
    assert told.retry_ms == (RETRY_DELAY_MS if reason in RETRIED else None)
    assert set(told.details) == {"ErrorInfo", *(["RetryInfo"] if reason in RETRIED else [])}


def test_a_wrong_field_comes_as_a_bad_request():
    told = read_status(status_of(InvalidField("order.id", "is missing")))
    assert (told.code, told.fields, told.message) == ("INVALID_ARGUMENT", ["order.id"], "order.id is missing")


def test_a_shortage_comes_with_a_row_for_each_item():
    rows = (Shortage("tea", "", 5, 2), Shortage("milk", "shelf", 1, 0))
    told = read_status(status_of(InsufficientStock(rows)))
    told_rows = [Shortage(r.sku, r.location, r.asked, r.available_here) for r in told.shortages]
    assert told_rows == list(rows)
    assert told.message == "tea: asked 5, available 2 (and 1 more items); nothing was taken"


@pytest.mark.parametrize("definite", [True, False])
def test_a_bug_says_whether_anything_happened(definite):
    assert read_status(status_of(Internal(definite=definite))).definite is definite
