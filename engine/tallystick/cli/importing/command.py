"""`tally import-orders`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import click
from click.core import ParameterSource

from tallystick.cli.cluster_process import REGIONS, own_cluster
from tallystick.cli.errors import CommandFailed, Interrupted
from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.importing.audit import Audit
from tallystick.cli.importing.display import Progress, echo_summary
from tallystick.cli.importing.mapping import Plan
from tallystick.cli.importing.regional_audit import Regional
from tallystick.cli.importing.regional_session import DELAY_MS, import_over_regions
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
  tally import-orders online-retail.csv.gz --regions 3 --cut

\b
JSON (--json):
  {"orders_sent", "orders_accepted", "orders_refused", "cancellations", "cancellations_unmatched",
   "lines_reported", "orders_per_second", "p50_ms", "p99_ms", "oversold_units",
   "audit": "ok" or the list of what is wrong}
  several regions add {"regions", "accepted_during_cut": {region: orders}, "digests_equal",
   "seconds_to_converge": from healing until all have what anyone had then; null: never}

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
    "--regions",
    type=click.IntRange(1, len(REGIONS)),
    default=1,
    show_default=True,
    metavar="N",
    help="Start so many nodes, a region each and 40 ms apart, and spread the invoices over them.",
)
@click.option(
    "--cut", "cuts", is_flag=True, help="Cut the last region off for the middle third of the orders."
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the data of the nodes that it starts here; without it, the data goes away at the end.",
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
    regions: int,
    cuts: bool,
    data: Path | None,
    report: Path | None,
    as_object: bool,
) -> None:
    """Feed a shop's invoices to a node, and audit the outcome.

    FILE is in the format of online-retail.csv, plain or gzip. An invoice is an order; one that begins with C
    takes back that customer's newest units of the item; rows that are neither are listed. The import starts
    a node of its own unless --target, on the command line, names one. Run again against the same node, it is
    a replay: nothing is received, sold or cancelled twice.

    With --regions, a country's invoices go to one region, those of the United Kingdom (nine of ten orders)
    to all of them, each by its number. Stock is received at the first, its tokens shared evenly. A
    cancellation comes in where its own country or number belongs, and the region that took the order decides
    it: at once, or when a cut has healed. In the end every region is audited, and all must hold the same.
    """
    target = call.target if _names_target(click.get_current_context()) else None
    _check_options(target, data, regions, cuts=cuts)
    try:
        with Progress() as progress:
            progress.begin("Reading", file.stat().st_size)
            plan = load_plan(file, limit, progress.reach)
            shipping = Shipping(plan, factor, concurrency, progress)
            outcome, audit, regional = (
                run_regions(call, data, REGIONS[:regions], shipping, cuts=cuts)
                if regions > 1
                else run_import(call, target, data, shipping)
            )
    except TallystickError as error:
        raise CommandFailed(error, call, call.again()) from error
    except KeyboardInterrupt:
        raise Interrupted(call.again()) from None
    if report:
        write_report(report, outcome)
    if as_object or not call.is_table:
        echo_json(as_json(outcome, audit, regional), Format.JSON if call.is_table else call.output)
    else:
        echo_summary(outcome, audit, regional)
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


def _check_options(target: str | None, data: Path | None, regions: int, *, cuts: bool) -> None:
    """Raises a usage error for options that don't go together."""
    if target and data:
        raise click.UsageError("--data is for a node of its own; --target names another")
    if target and regions > 1:
        raise click.UsageError("--regions starts nodes of its own; --target names another")
    if cuts and regions == 1:
        raise click.UsageError("--cut needs --regions 2 or more: one region can't be cut off")
    if regions > 1 and data and data.exists() and any(data.iterdir()):
        raise click.UsageError(f"{data} is not empty: an import over several regions begins with none")


class Shipping(NamedTuple):
    """What is sent, and how."""

    plan: Plan
    factor: Decimal
    concurrency: int
    progress: Progress


Imported = tuple[Outcome, Audit, Regional | None]


def run_import(call: Call, target: str | None, data: Path | None, shipping: Shipping) -> Imported:
    """Import into `target`, or into a node of our own. Raises TallystickError."""
    plan, factor, concurrency, progress = shipping

    async def conversation(address: str) -> Imported:
        async with Client(address, timeout=call.timeout_s, actor=call.actor) as client:
            outcome, audit = await import_plan(
                client, plan, factor=factor, concurrency=concurrency, own=target is None, progress=progress
            )
            return outcome, audit, None

    async def whole() -> Imported:
        if target is not None:
            return await conversation(target)
        async with own_node(data, "import") as node:
            return await conversation(node.address)

    return run_cleaning_up(whole())


def run_regions(
    call: Call, data: Path | None, regions: Sequence[str], shipping: Shipping, *, cuts: bool
) -> Imported:
    """Import over several regions of our own. Raises TallystickError."""
    plan, factor, concurrency, progress = shipping

    async def whole() -> Imported:
        async with own_cluster(
            regions, data, DELAY_MS, actor=call.actor, timeout_s=call.timeout_s
        ) as cluster:
            return await import_over_regions(
                cluster, plan, factor=factor, concurrency=concurrency, cuts=cuts, progress=progress
            )

    return run_cleaning_up(whole())


def write_report(path: Path, outcome: Outcome) -> None:
    """All rows that were not sent, as CSV: their number in the file, why, and the row itself."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Row", "Kind", "Detail", *COLUMNS])
        writer.writerows(report_rows(outcome))
