"""`tally import-orders`."""

from __future__ import annotations

import csv
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click
from click.core import ParameterSource

from tallystick.cli.errors import CommandFailed, Interrupted
from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.importing.audit import Audit
from tallystick.cli.importing.display import Progress, echo_summary
from tallystick.cli.importing.mapping import Plan
from tallystick.cli.importing.rows import COLUMNS
from tallystick.cli.importing.session import import_plan
from tallystick.cli.importing.source import load_plan
from tallystick.cli.importing.summary import Outcome, as_json, report_rows
from tallystick.cli.node_process import own_node, run_cleaning_up
from tallystick.cli.options import Call, Parsed, calls_node
from tallystick.cli.output import Format, echo_json
from tallystick.client import Client, TallystickError

_FACTOR_MAX = 1_000


def parse_factor(text: str) -> Decimal:
    """A share of the demand: 0.9, 1, 1.25. Raises ValueError."""
    try:
        factor = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no number") from None
    if not factor.is_finite() or not 0 <= factor <= _FACTOR_MAX:
        raise ValueError(f"must be 0 to {_FACTOR_MAX}")
    return factor


@click.command(
    "import-orders",
    epilog="""\b
Examples:
  tally import-orders online-retail.csv.gz
  tally import-orders online-retail.csv.gz --limit 500 --json
  tally import-orders orders.csv --target 127.0.0.1:7411 --stock 1

\b
JSON (--json):
  {"orders_sent", "orders_accepted", "orders_refused", "cancellations", "cancellations_unmatched",
   "lines_reported", "orders_per_second", "p50_ms", "p99_ms", "oversold_units",
   "audit": "ok" or the list of what is wrong}

Exit code 7: it was done, and the audit found something wrong.
""",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--stock",
    "factor",
    type=Parsed("factor", parse_factor),
    default="0.9",
    show_default=True,
    metavar="F",
    help="Receive floor(F × demand) of each item beforehand; below 1 the last buyers are refused.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N invoices of the file."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1_000),
    default=64,
    show_default=True,
    metavar="N",
    help="Orders under way at once.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the data of the node that it starts here; without it, the data goes away at the end.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write every row that was not sent to a CSV file, with the reason.",
)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead of the summary.")
@calls_node
def import_orders(
    call: Call,
    file: Path,
    factor: Decimal,
    limit: int | None,
    concurrency: int,
    data: Path | None,
    report: Path | None,
    as_object: bool,
) -> None:
    """Feed a shop's invoices to a node, and audit the outcome.

    FILE is in the format of online-retail.csv, plain or gzip. An invoice is an order; one that begins with C
    takes back that customer's newest units of the item; rows that are neither are listed. The import starts
    a node of its own unless --target, on the command line, names one. Run again against the same node, it is
    a replay: nothing is received, sold or cancelled twice.
    """
    target = call.target if _names_target(click.get_current_context()) else None
    if target and data:
        raise click.UsageError("--data is for a node of its own; --target names another")
    try:
        with Progress() as progress:
            progress.begin("Reading", file.stat().st_size)
            plan = load_plan(file, limit, progress.reach)
            outcome, audit = run_import(call, target, data, plan, factor, concurrency, progress)
    except TallystickError as error:
        raise CommandFailed(error, call, call.again()) from error
    except KeyboardInterrupt:
        raise Interrupted(call.again()) from None
    if report:
        write_report(report, outcome)
    if as_object or not call.is_table:
        echo_json(as_json(outcome, audit), Format.JSON if call.is_table else call.output)
    else:
        echo_summary(outcome, audit)
    if audit.problems:
        raise SystemExit(ExitCode.AUDIT_FAILED)


for _option in import_orders.params:
    if isinstance(_option, click.Option) and _option.name == "target":
        _option.help = "The node to import into.  [default: a node of its own]"


def _names_target(ctx: click.Context) -> bool:
    """Whether --target was typed. The environment does not count: it may name a shop that is in business."""
    root = ctx.find_root()
    near = ctx.get_parameter_source("target") is ParameterSource.COMMANDLINE
    return near or root.get_parameter_source("target") is ParameterSource.COMMANDLINE


def run_import(
    call: Call,
    target: str | None,
    data: Path | None,
    plan: Plan,
    factor: Decimal,
    concurrency: int,
    progress: Progress,
) -> tuple[Outcome, Audit]:
    """Import into `target`, or into a node of our own. Raises TallystickError."""

    async def conversation(address: str) -> tuple[Outcome, Audit]:
        async with Client(address, timeout=call.timeout_s, actor=call.actor) as client:
            return await import_plan(
                client, plan, factor=factor, concurrency=concurrency, own=target is None, progress=progress
            )

    async def whole() -> tuple[Outcome, Audit]:
        if target is not None:
            return await conversation(target)
        async with own_node(data, "import") as node:
            return await conversation(node.address)

    return run_cleaning_up(whole())


def write_report(path: Path, outcome: Outcome) -> None:
    """All rows that were not sent, as CSV: their number in the file, why, and the row itself."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Row", "Kind", "Detail", *COLUMNS])
        writer.writerows(report_rows(outcome))
