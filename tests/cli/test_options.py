"""The shared options: before or behind the command, and how a command is repeated."""

import getpass
import shlex

import click
import pytest
from click.testing import CliRunner

from tallystick.cli import options
from tallystick.cli.lazy import Lazy, LazyGroup
from tallystick.cli.options import Call, Word, calls_node, request_id_option, shared_options
from tallystick.cli.output import Format
from tallystick.client.values.order import ConfirmWhen

seen: list[Call] = []


@click.command()
@click.argument("name", default="")
@click.option("--when", type=Word(ConfirmWhen))
@request_id_option("--receipt-id")
@calls_node
def probe(call, name, when, request_id):
    seen.append(call)
    click.echo(f"{name} {when} {request_id}")


def never() -> click.Command:
    raise AssertionError("a command was loaded to list it")


@click.group(
    cls=LazyGroup, table=[Lazy("probe", "Look.", lambda: probe), Lazy("heavy", "Loads much.", never)]
)
@shared_options
def root(**_given):
    """A stand-in for tally."""


def call_of(*arguments: str, env: dict[str, str] | None = None) -> Call:
    seen.clear()
    result = CliRunner().invoke(root, arguments, env=env or {}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return seen[0]


def test_defaults(monkeypatch):
    monkeypatch.setattr(options, "os_user", lambda: "ada")
    call = call_of("probe")
    assert (call.target, call.timeout_s, call.actor, call.output) == (
        "127.0.0.1:7411",
        10.0,
        "ada",
        Format.TABLE,
    )


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        (["probe"], "env:1"),
        (["--target", "far:1", "probe"], "far:1"),
        (["probe", "--target", "near:1"], "near:1"),
        (["--target", "far:1", "probe", "--target", "near:1"], "near:1"),
    ],
)
def test_the_nearer_option_wins_then_the_environment(arguments, target):
    assert call_of(*arguments, env={"TALLY_TARGET": "env:1"}).target == target


def test_every_shared_option_works_on_both_sides():
    given = ["--timeout", "1m", "--actor", "bob", "-o", "json"]
    for arguments in (["probe", *given], [*given, "probe"]):
        call = call_of(*arguments)
        assert (call.timeout_s, call.actor, call.output) == (60.0, "bob", Format.JSON)


def test_no_timeout_is_a_usage_error():
    result = CliRunner().invoke(root, ["probe", "--timeout", "0"])
    assert result.exit_code == 2
    assert "more than 0" in result.output


AGAIN = [
    (["probe", "x"], "tally probe x --receipt-id r-1"),
    (["probe", "a b", "--actor", "o'neill"], "tally probe 'a b' --actor 'o'\"'\"'neill' --receipt-id r-1"),
    (["probe", "x", "--request-id", "r-1"], "tally probe x --request-id r-1"),
    (["probe", "x", "--request-id=r-1"], "tally probe x --request-id=r-1"),
    (["probe", "--", "-x"], "tally probe --receipt-id r-1 -- -x"),
]


@pytest.mark.parametrize(("arguments", "again"), AGAIN)
def test_a_command_is_repeated_under_the_same_id(arguments, again):
    told = call_of(*arguments).again((("--receipt-id", "--request-id"), "r-1"))
    assert told == again
    repeated = call_of(*shlex.split(told)[1:])  # what is told can be run
    assert repeated.again((("--receipt-id", "--request-id"), "r-1")) == again


@pytest.mark.parametrize("word", ["by-hand", "by_hand", "BY-HAND"])
def test_words_take_dashes_and_underscores(word):
    result = CliRunner().invoke(root, ["probe", "--when", word])
    assert "by_hand" in result.output


def test_a_wrong_word_is_told_the_right_ones():
    result = CliRunner().invoke(root, ["probe", "--when", "soon"])
    assert result.exit_code == 2
    assert "on-placing, on-authorization, on-capture, by-hand" in result.output


def test_listing_commands_loads_none():
    result = CliRunner().invoke(root, ["--help"])
    assert result.exit_code == 0
    assert "Loads much." in result.output


def test_completion_of_commands_loads_none():
    env = {"_ROOT_COMPLETE": "bash_complete", "COMP_WORDS": "root h", "COMP_CWORD": "1"}
    result = CliRunner().invoke(root, [], env=env, prog_name="root")
    assert result.output.split() == ["plain,heavy"]


def test_an_unknown_command_is_told_the_nearest():
    result = CliRunner().invoke(root, ["prob"])
    assert result.exit_code == 2
    assert "probe" in result.output


def test_a_system_without_a_name_for_the_user(monkeypatch):
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert options.os_user() == ""
