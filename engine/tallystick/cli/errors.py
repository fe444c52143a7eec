"""How failures are told: one line on stderr, or one JSON object, and an exit code.

One table says of each error of the SDK what it means for the person at the keyboard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import click

from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.options import Call
from tallystick.cli.output import Json, column, echo_json, echo_table, number, plain, printable
from tallystick.client import errors


class Advice(NamedTuple):
    """What a kind of error means here."""

    code: ExitCode
    what: str
    advice: str


_REFUSED = "refused, nothing happened"
_UNREACHABLE = "unreachable, nothing happened"

ADVICE: Mapping[type[errors.TallystickError], Advice] = {
    errors.DefiniteError: Advice(ExitCode.REFUSED, _REFUSED, ""),
    errors.InvalidRequest: Advice(ExitCode.REFUSED, _REFUSED, "mend it and send it again"),
    errors.NotFound: Advice(ExitCode.NOT_FOUND, "not found", ""),
    errors.OrderNotFound: Advice(
        ExitCode.NOT_FOUND, "not found", "check the id, or look for the order with: tally order list"
    ),
    errors.LineNotFound: Advice(
        ExitCode.NOT_FOUND, "not found, nothing happened", "see the order's lines with: tally order get"
    ),
    errors.StockNotFound: Advice(
        ExitCode.NOT_FOUND,
        "not found",
        "check sku and location with: tally stock list; book goods in with: tally stock receive",
    ),
    errors.OrderIdReused: Advice(
        ExitCode.REFUSED, _REFUSED, "see what has the id with: tally order get; or choose another --id"
    ),
    errors.RequestIdReused: Advice(
        ExitCode.REFUSED, _REFUSED, "leave --request-id away to draw a new one, or repeat the first request"
    ),
    errors.InsufficientStock: Advice(
        ExitCode.REFUSED, _REFUSED, "ask for less, take what there is with --partial, or receive more"
    ),
    errors.OrderExpired: Advice(ExitCode.REFUSED, _REFUSED, "its stock is free again; place a new order"),
    errors.EtagMismatch: Advice(
        ExitCode.REFUSED, _REFUSED, "read the order again and edit that, or leave --etag away to merge"
    ),
    errors.WrongNode: Advice(
        ExitCode.REFUSED, _REFUSED, "set --target to the node that is named, or leave --node away"
    ),
    errors.StorageFull: Advice(
        ExitCode.REFUSED, _REFUSED, "make room on the node's disk, or use another node; reads go on"
    ),
    errors.Unavailable: Advice(
        ExitCode.UNREACHABLE,
        _UNREACHABLE,
        "start a node with: tally node start; or name one with --target or TALLY_TARGET",
    ),
    errors.Overloaded: Advice(ExitCode.UNREACHABLE, "too busy, nothing happened", "try again later"),
    errors.BehindToken: Advice(
        ExitCode.UNREACHABLE, "the node lags behind", "try again, or ask the node that answered the write"
    ),
    errors.NodeFault: Advice(
        ExitCode.NODE_FAULT, "the node failed, nothing happened", "its log says more; try again"
    ),
    errors.NotServed: Advice(
        ExitCode.REFUSED,
        "not yet served, nothing happened",
        "the node is older than this command: upgrade it",
    ),
    errors.TallystickError: Advice(ExitCode.OUTCOME_UNKNOWN, "outcome unknown", ""),
}


def advice_for(error: errors.TallystickError) -> Advice:
    """The nearest entry up the tree of errors."""
    return next(ADVICE[kind] for kind in type(error).__mro__ if kind in ADVICE)


def reason_of(error: errors.TallystickError) -> str:
    """A stable word: the node's, or one for what the client found out itself."""
    if error.reason:
        return error.reason
    name = type(error).__name__
    return "".join(f"_{sign}" if sign.isupper() else sign for sign in name).lstrip("_").upper()


def describe(error: errors.TallystickError, again: str = "") -> dict[str, Json]:
    """The error as JSON. `again` is the command that repeats the write safely."""
    told: dict[str, Json] = {
        "reason": reason_of(error),
        "message": str(error),
        "definite": isinstance(error, errors.DefiniteError),
        "exit_code": int(advice_for(error).code),
        "metadata": plain(dict(sorted(error.metadata.items()))),
    }
    if isinstance(error, errors.InsufficientStock):
        told["shortages"] = plain(error.shortages)
        told["retry_delay_s"] = error.retry_delay_s
    if isinstance(error, errors.OutcomeUnknown):
        told["request_id"] = error.request_id
        told["order_id"] = error.order_id
        told["retry_command"] = again
    return told


def headline(error: errors.TallystickError, target: str = "") -> str:
    """What happened, why, and what to do, on one line."""
    verdict = advice_for(error)
    where = f" (target {target})" if target and verdict.code is ExitCode.UNREACHABLE else ""
    line = f"{verdict.what}: {error}{where} [{reason_of(error)}]"
    return printable(f"{line}; {verdict.advice}" if verdict.advice else line)


class CommandFailed(click.ClickException):
    """An error of the SDK, told and turned into an exit code.

    `again` is the command that repeats a write safely; empty for reads.
    """

    def __init__(self, error: errors.TallystickError, call: Call, again: str = "") -> None:
        super().__init__(str(error))
        self._error = error
        self._call = call
        self._again = again if isinstance(error, errors.IndefiniteError) else ""

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click declares a class variable
        return advice_for(self._error).code

    def show(self, file: object = None) -> None:
        """Print it on stderr, so that stdout holds answers alone."""
        if not self._call.is_table:
            echo_json({"error": describe(self._error, self._again)}, self._call.output, err=True)
            return
        click.echo(f"tally: {headline(self._error, self._call.target)}", err=True)
        if isinstance(self._error, errors.InsufficientStock) and self._error.shortages:
            echo_shortages(self._error)
        if self._again:
            click.echo(f"repeat it, which is safe under the same id, with:\n  {self._again}", err=True)


class Interrupted(click.ClickException):
    """Ctrl-C while a call was under way."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, again: str) -> None:
        told = f"; it may have happened. Repeat it, which is safe under the same id, with:\n  {again}"
        super().__init__(f"interrupted{told if again else ''}")

    def show(self, file: object = None) -> None:
        click.echo(f"\ntally: {self.message}", err=True)


class BadInput(click.ClickException):
    """A file says something that can't be sent."""

    exit_code = ExitCode.USAGE

    def show(self, file: object = None) -> None:
        click.echo(f"tally: {printable(self.message)}", err=True)


class NodeNotStarted(click.ClickException):
    """A node could not start, or ended by a fault."""

    exit_code = ExitCode.NODE_FAULT

    def show(self, file: object = None) -> None:
        click.echo(f"tally: {printable(self.message)}", err=True)


def echo_shortages(error: errors.InsufficientStock) -> None:
    """What was asked and what there is, item by item."""
    echo_table(
        [
            *(column("item"), column("location", optional=True), number("asked"), number("available here")),
            *(number("elsewhere"), column("try region", optional=True)),
        ],
        [
            (
                *(short.sku, short.location, short.asked, short.available_here),
                *(short.available_elsewhere, short.suggested_region),
            )
            for short in error.shortages
        ],
        err=True,
    )
