"""The entry of `tally`: its commands, as a table, and its exit codes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from importlib.metadata import version
from typing import Any

import click

from tallystick.cli.exit_codes import MEANINGS, ExitCode
from tallystick.cli.lazy import Lazy, LazyGroup
from tallystick.cli.options import shared_options


def _node() -> click.Command:
    from tallystick.cli.node import node

    return node


def _cluster() -> click.Command:
    from tallystick.cli.cluster import cluster

    return cluster


def _order() -> click.Command:
    from tallystick.cli.order.group import order

    return order


def _stock() -> click.Command:
    from tallystick.cli.stock import stock

    return stock


def _import_orders() -> click.Command:
    from tallystick.cli.importing.command import import_orders

    return import_orders


def _demo() -> click.Command:
    from tallystick.cli.demo.command import demo

    return demo


def _sim() -> click.Command:
    from tallystick.cli.sim import sim

    return sim


COMMANDS = (
    Lazy("node", "Start a node, or ask how one is.", _node),
    Lazy("cluster", "See how nodes are connected, and let new ones in.", _cluster),
    Lazy("stock", "Receive, correct, move and read stock.", _stock),
    Lazy("order", "Place, pay, confirm, change, cancel and read orders.", _order),
    Lazy("import-orders", "Feed a shop's invoices to a node, and audit the outcome.", _import_orders),
    Lazy("demo", "See what it does, in a minute, with nodes of its own.", _demo),
    Lazy("sim", "Try the engine in worlds of its own, in virtual time.", _sim),
)


def _epilog() -> str:
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())
    return f"""\b
An example session:
  tally node start --data ./tally-data --new-cluster    (in a terminal of its own)
  tally stock receive TEA=10
  tally order place --currency EUR --line TEA=2:18.00 --id first
  tally order get first
  tally order list --state confirmed -o json

\b
Exit codes:
{codes}

Answers go to stdout, everything else to stderr. With -o json an error is an object on stderr,
{{"error": {{"reason", "message", "definite", "exit_code", "metadata", …}}}}; a wrong command line is always
told as text.

\b
Completion in your shell (or zsh_source, fish_source):
  eval "$(_TALLY_COMPLETE=bash_source tally)"
"""


class Tally(LazyGroup):
    """The root. An answer that nobody reads is no refusal, as click would have it."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # What is left in the buffer goes nowhere: flushing it at exit would fail once more.
            with contextlib.suppress(io.UnsupportedOperation):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(ExitCode.BROKEN_PIPE) from error


@click.group(
    cls=Tally,
    table=COMMANDS,
    epilog=_epilog(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(version("tallystick"), prog_name="tally", message="%(prog)s %(version)s")
@shared_options
def tally(**_given: Any) -> None:
    """Tallystick: orders and stock in many regions, at local latency, and never oversold.

    The options here may also stand behind any command that talks to a node.
    """


def main() -> None:
    """Run `tally`. A bug ends with a code of its own: it must not look like a refusal, which is 1."""
    try:
        tally(prog_name="tally")
    except Exception as error:
        traceback.print_exc()
        click.echo("tally: this is a bug in tally; please report it with the lines above", err=True)
        raise SystemExit(ExitCode.BUG) from error
