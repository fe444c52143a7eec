"""The options that every command which talks to a node shares, and the decorator that gathers them.

They may stand before the command or behind it: `tally --target host:7411 order get o-1` and
`tally order get o-1 --target host:7411` are the same. The nearer one wins, then the environment.
"""

from __future__ import annotations

import enum
import functools
import getpass
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from tallystick.cli.lazy import ARGUMENTS
from tallystick.cli.output import Format
from tallystick.cli.parsing import parse_duration, parse_token

DEFAULT_TARGET = "127.0.0.1:7411"
DEFAULT_TIMEOUT = "10s"

Id = tuple[tuple[str, ...], str]
"""An id that makes repeating a write safe: the names of its option, and its value."""

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Parsed(click.ParamType[Any]):
    """An option whose value a function of `parsing` makes; its ValueError is a usage error."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Word(click.ParamType[Any]):
    """One of an enumeration's words, written with dashes or underscores."""

    name = "word"

    def __init__(self, words: type[enum.StrEnum]) -> None:
        self._words = {word.value.replace("_", "-"): word for word in words if word.value != "unknown"}

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self._words)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, enum.StrEnum):
            return value
        word = self._words.get(str(value).lower().replace("_", "-"))
        if word is None:
            self.fail(f"{value!r} is not one of {', '.join(self._words)}.", param, ctx)
        return word

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(word) for word in self._words if word.startswith(incomplete)]


DURATION = Parsed("duration", parse_duration)
TOKEN = Parsed("token", parse_token)
FORMAT = click.Choice([form.value for form in Format])


@dataclass(frozen=True, slots=True)
class Call:
    """How one command talks: to whom, how long, as whom, and what it prints."""

    target: str
    timeout_s: float
    actor: str
    output: Format
    arguments: tuple[str, ...]

    @property
    def is_table(self) -> bool:
        return self.output is Format.TABLE

    def again(self, *ids: Id) -> str:
        """The command line that repeats this command under the same ids.

        An id that was typed already is not added.
        """
        words = list(self.arguments)
        added = []
        for names, value in ids:
            if not any(word.partition("=")[0] in names for word in words):
                added += [names[0], value]
        end = words.index("--") if "--" in words else len(words)
        return shlex.join(["tally", *words[:end], *added, *words[end:]])


def shared_options(function: F) -> F:
    """The options, as the root holds them: with defaults and environment."""
    for decorate in reversed(_shared(at_root=True)):
        function = decorate(function)
    return function


def calls_node(function: Callable[..., T]) -> Callable[..., T]:
    """Give a command the shared options, and its function a `Call` in front."""

    @functools.wraps(function)
    @click.pass_context
    def gather(ctx: click.Context, /, **given: Any) -> T:
        near = {name: given.pop(name) for name in ("target", "timeout", "actor", "output")}
        far = ctx.find_root().params
        chosen = {name: value if value is not None else far[name] for name, value in near.items()}
        call = Call(
            target=chosen["target"],
            timeout_s=_positive(chosen["timeout"]).total_seconds(),
            actor=chosen["actor"] if chosen["actor"] is not None else os_user(),
            output=Format(chosen["output"]),
            arguments=tuple(ctx.meta.get(ARGUMENTS, ())),
        )
        return function(call, **given)

    command: Callable[..., T] = gather
    for decorate in reversed(_shared(at_root=False)):
        command = decorate(command)
    return command


def os_user() -> str:
    """The name of whoever runs this; empty where the system knows none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def _positive(timeout: timedelta) -> timedelta:
    if not timeout:
        raise click.BadParameter("must be more than 0", param_hint="'--timeout'")
    return timeout


def _shared(*, at_root: bool) -> list[Callable[[Any], Any]]:
    def option(*names: str, env: str, default: str | None, told: str, **rest: Any) -> Callable[[Any], Any]:
        full = f"{told}  [env: {env}; default: {default or 'the OS user'}]"
        return click.option(
            *names,
            envvar=env if at_root else None,
            default=default if at_root else None,
            help=full,
            **rest,
        )

    return [
        option("--target", metavar="HOST:PORT", env="TALLY_TARGET", default=DEFAULT_TARGET, told="The node."),
        option(
            "--timeout",
            type=DURATION,
            metavar="DURATION",
            env="TALLY_TIMEOUT",
            default=DEFAULT_TIMEOUT,
            told="How long to try, retries included.",
        ),
        option(
            "--actor", metavar="NAME", env="TALLY_ACTOR", default=None, told="Who does it, for the history."
        ),
        option(
            "-o",
            "--output",
            type=FORMAT,
            env="TALLY_OUTPUT",
            default="table",
            told="How to print the answer.",
        ),
    ]


def request_id_option(*names: str, what: str = "request") -> Callable[[F], F]:
    """`--request-id`, under further names too: what makes repeating a write safe."""
    return click.option(
        *(*names, "--request-id"),
        "request_id",
        metavar="ID",
        help=f"The id of this {what}; drawn if absent. The same id again never counts twice.",
    )


def replicas_option(function: F) -> F:
    """`--replicas`: wait for other disks."""
    return click.option(
        "--replicas",
        type=click.IntRange(min=0),
        default=0,
        metavar="K",
        help="Answer only when K other members have it on disk too, or the timeout is near.",
    )(function)


def wait_option(function: F) -> F:
    """`--wait`: for the order's owner."""
    return click.option(
        "--wait", is_flag=True, help="If another node owns the order: wait for what it decides."
    )(function)


def token_option(function: F) -> F:
    """`--consistency-token`: a read that sees what was written elsewhere."""
    return click.option(
        "--consistency-token",
        "token",
        type=TOKEN,
        metavar="TOKEN",
        help="From the JSON of a write's answer: see at least that write, at whichever node.",
    )(function)


def examples(*lines: str, json: str) -> str:
    """The end of a command's help: commands to copy, and the shape of its JSON."""
    shown = "\n".join(f"  {line}" for line in lines)
    return f"\b\nExamples:\n{shown}\n\n\b\nJSON (-o json):\n  {json}"
