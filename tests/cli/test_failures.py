"""Failures are told whole: what, why, what to do, whether it is definite. Exit codes say it to scripts."""

import inspect
import json

import pytest
from click.testing import CliRunner

from tallystick.cli import session
from tallystick.cli.errors import ADVICE, advice_for, reason_of
from tallystick.cli.exit_codes import MEANINGS, SEVERITY, ExitCode, worst
from tallystick.cli.main import tally
from tallystick.client import Shortage, errors

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.TallystickError)
]


class FailingClient:
    """Stands in for the SDK: whatever is asked fails as `failure` says."""

    failure: BaseException = errors.TallystickError("nothing set")

    def __init__(self, target: str, **_settings) -> None:
        self.target = target

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error) -> None:
        pass

    def __getattr__(self, name: str):
        async def fail(*_given, **_more):
            raise self.failure

        return fail


@pytest.fixture
def fail_with(monkeypatch):
    """Run `tally` while the SDK raises an error."""
    monkeypatch.setattr(session, "Client", FailingClient)

    def run(failure: BaseException, *arguments: str):
        monkeypatch.setattr(FailingClient, "failure", failure)
        return CliRunner().invoke(tally, arguments, env={"TALLY_OUTPUT": None, "TALLY_TARGET": None})

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_code_that_agrees_with_what_is_known(kind):
    code = advice_for(kind("it failed")).code
    if issubclass(kind, errors.DefiniteError):
        assert code in (ExitCode.REFUSED, ExitCode.UNREACHABLE, ExitCode.NOT_FOUND, ExitCode.NODE_FAULT)
    else:
        assert code is ExitCode.OUTCOME_UNKNOWN


def test_the_tables_know_every_code():
    assert set(MEANINGS) == set(ExitCode)
    assert {advice.code for advice in ADVICE.values()} <= set(SEVERITY)


def test_of_many_outcomes_the_worst_is_told():
    assert worst(set()) is ExitCode.OK
    assert worst({ExitCode.REFUSED, ExitCode.OK}) is ExitCode.REFUSED
    assert (
        worst({ExitCode.REFUSED, ExitCode.OUTCOME_UNKNOWN, ExitCode.UNREACHABLE}) is ExitCode.OUTCOME_UNKNOWN
    )


def test_reasons_are_stable_words():
    assert reason_of(errors.NotFound("x", reason="ORDER_NOT_FOUND")) == "ORDER_NOT_FOUND"
    assert reason_of(errors.OutcomeUnknown("x")) == "OUTCOME_UNKNOWN"


def test_a_refusal_is_one_line(fail_with):
    error = errors.OrderNotFound("no order o-1 is known here", reason="ORDER_NOT_FOUND")
    result = fail_with(error, "order", "get", "o-1")
    assert result.exit_code == 5
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "tally: not found: no order o-1 is known here [ORDER_NOT_FOUND]; "
        "check the id, or look for the order with: tally order list"
    ]


def short(sku: str, asked: int, here: int, elsewhere: int) -> Shortage:
    return Shortage(sku=sku, location="", asked=asked, available_here=here, available_elsewhere=elsewhere)


SHORT = errors.InsufficientStock(
    "TEA: asked 3, available 1; nothing was taken",
    metadata={"sku": "TEA", "asked": "3"},
    shortages=(short("TEA", 3, 1, 40), short("CUP", 12, 0, 0)),
    retry_delay_s=0.1,
)
PLACE = ("order", "place", "--currency", "EUR", "--line", "TEA=3", "--id", "o-1")


def test_a_shortage_is_told_item_by_item(fail_with):
    result = fail_with(SHORT, *PLACE)
    assert result.exit_code == 1
    headline, *table = result.stderr.splitlines()
    assert headline.startswith("tally: refused, nothing happened: TEA: asked 3, available 1")
    assert table == [
        "ITEM  ASKED  AVAILABLE HERE  ELSEWHERE",
        "TEA       3               1         40",
        "CUP      12               0          0",
    ]


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_errors_for_programs(fail_with, form):
    result = fail_with(SHORT, *PLACE, "-o", form)
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert error["reason"] == "INSUFFICIENT_STOCK"
    assert error["definite"] is True
    assert error["exit_code"] == result.exit_code == 1
    assert error["metadata"] == {"sku": "TEA", "asked": "3"}
    assert error["shortages"][0]["available_elsewhere"] == 40


WRITES = [
    (PLACE, "tally order place --currency EUR --line TEA=3 --id o-1"),
    (("order", "confirm", "o-1", "--request-id", "r"), "tally order confirm o-1 --request-id r"),
    (("order", "cancel", "o-1", "--payment-id"), None),
    (("order", "extend", "o-1"), "tally order extend o-1 --request-id {id}"),
    (
        ("order", "cancel", "o-1", "--reason", "so be it"),
        "tally order cancel o-1 --reason 'so be it' --request-id {id}",
    ),
    (("order", "edit", "o-1", "--note", "n"), "tally order edit o-1 --note n --request-id {id}"),
    (
        ("order", "pay", "o-1", "5", "--currency", "EUR"),
        "tally order pay o-1 5 --currency EUR --payment-id {id}",
    ),
    (("stock", "receive", "TEA=1", "--node", "n"), "tally stock receive TEA=1 --node n --receipt-id {id}"),
    (("stock", "adjust", "TEA=-1", "--node", "n"), "tally stock adjust TEA=-1 --node n --adjustment-id {id}"),
    (
        ("stock", "policy", "TEA", "--overbooking-limit", "1", "--node", "n"),
        "tally stock policy TEA --overbooking-limit 1 --node n --request-id {id}",
    ),
]


@pytest.mark.parametrize(("arguments", "again"), WRITES)
def test_an_unknown_outcome_comes_with_the_command_that_settles_it(fail_with, arguments, again):
    result = fail_with(errors.OutcomeUnknown("no answer within 10 s"), *arguments)
    if again is None:  # an option that isn't there
        assert result.exit_code == 2
        return
    assert result.exit_code == 3
    headline, advice, told = result.stderr.splitlines()
    assert headline == "tally: outcome unknown: no answer within 10 s [OUTCOME_UNKNOWN]"
    assert "safe" in advice
    drawn = told.split()[-1]
    assert told.strip() == again.format(id=drawn)


def test_an_unknown_outcome_for_programs(fail_with):
    error = errors.OutcomeUnknown("no answer", request_id="o-1", order_id="o-1")
    told = json.loads(fail_with(error, *PLACE, "-o", "json").stderr)["error"]
    assert told["definite"] is False
    assert told["request_id"] == "o-1"
    assert told["retry_command"].startswith("tally order place ")


def test_ctrl_c_during_a_write_is_no_refusal(fail_with):
    result = fail_with(KeyboardInterrupt(), "order", "confirm", "o-1", "--request-id", "r-1")
    assert result.exit_code == 130
    assert "may have happened" in result.stderr
    assert "tally order confirm o-1 --request-id r-1" in result.stderr


def test_ctrl_c_during_a_read(fail_with):
    result = fail_with(KeyboardInterrupt(), "order", "get", "o-1")
    assert result.exit_code == 130
    assert "may have happened" not in result.stderr


def test_an_answer_that_nobody_reads_is_no_refusal(fail_with):
    assert fail_with(BrokenPipeError(), "order", "confirm", "o-1").exit_code == 141


def test_nobody_there_names_who_was_asked(fail_with):
    result = fail_with(errors.Unavailable("no connection"), "stock", "get", "TEA", "--target", "host:1")
    assert result.exit_code == 4
    assert "(target host:1)" in result.stderr
    assert "tally node start" in result.stderr


def test_messages_can_not_steer_a_terminal(fail_with):
    result = fail_with(errors.DefiniteError("\x1b[2Jgone", reason="X"), "order", "get", "o-1")
    assert "\x1b" not in result.stderr


USAGE = [
    (["order", "place", "--line", "TEA=1"], "--currency is missing"),
    (["order", "place", "--currency", "EUR"], "--line SKU=QUANTITY:AMOUNT"),
    (["order", "place", "--currency", "eur", "--line", "TEA=1"], "three capital letters"),
    (["order", "place", "--currency", "JPY", "--line", "TEA=1:1.50"], "no decimals"),
    (["order", "place", "--file", "-", "--line", "TEA=1"], "only --id"),
    (["order", "place", "--file", "-", "--note", "n"], "only --id"),
    (["order", "place", "--file", "-"], "holds no order"),
    (["order", "edit", "o-1"], "nothing to change"),
    (["order", "edit", "o-1", "--note", "n", "--clear", "note"], "another option sets"),
    (["order", "edit", "o-1", "--ship-to", "town=Berlin"], "one of name, organization"),
    (["order", "pay", "o-1", "5.001", "--currency", "EUR"], "3 decimals"),
    (["order", "cancel", "o-1", "--line", "1", "--line", "1=2"], "twice"),
    (["order", "list", "--state", "lost"], "not one of"),
    (["order", "list", "--from", "yesterday"], "2h (ago)"),
    (["stock", "receive"], "Missing argument"),
    (["stock", "receive", "TEA"], "SKU=QUANTITY"),
    (["stock", "get", "TEA", "--consistency-token", "?"], "no consistency token"),
    (["ordr"], "order"),
]


@pytest.mark.parametrize(("arguments", "problem"), USAGE)
def test_a_wrong_command_line_is_told_before_anything_is_sent(fail_with, arguments, problem):
    result = fail_with(AssertionError("sent"), *arguments)
    assert result.exit_code == 2
    assert problem in " ".join(result.stderr.split())
