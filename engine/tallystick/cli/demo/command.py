"""`tally demo`."""

from __future__ import annotations

import click
from rich.console import Console

from tallystick.cli.demo.sale import SHOPPERS, Sale
from tallystick.cli.demo.screen import console, introduce, report, watching
from tallystick.cli.demo.story import tell
from tallystick.cli.demo.verdict import Verdict, items_json
from tallystick.cli.errors import Interrupted
from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.node_process import run_cleaning_up, scratch_directory
from tallystick.cli.output import Format, Json, echo_json


@click.command(
    epilog="""\b
Examples:
  tally demo
  tally demo --seed 7 --orders 20000
  tally demo --json

Exit code 7: a promise broke.
"""
)
@click.option(
    "--seed", type=int, default=1, show_default=True, metavar="N", help="Another number, another sale."
)
@click.option(
    "--orders",
    type=click.IntRange(100, 100_000),
    default=6_000,
    show_default=True,
    metavar="N",
    help="How many orders come.",
)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def demo(seed: int, orders: int, as_object: bool) -> None:
    """See it sell through a crash: a flash sale, kill -9 in the middle, and an audit of every order.

    It needs nothing but this command: the server is a node of its own in a temporary directory.
    """
    out = Console(quiet=True) if as_object else console()
    sale = Sale(tell(seed, orders))
    introduce(out, sale.story, seed)
    try:
        verdict = run_cleaning_up(play(out, sale))
    except KeyboardInterrupt:
        raise Interrupted("") from None
    if as_object:
        echo_json(as_json(seed, sale, verdict), Format.JSON)
    else:
        report(out, sale, verdict)
    if not verdict.ok:
        raise SystemExit(ExitCode.AUDIT_FAILED)


async def play(out: Console, sale: Sale) -> Verdict:
    """Run the sale, and show it meanwhile."""
    with scratch_directory("tally-demo-") as directory:
        async with watching(out, sale):
            return await sale.run(directory)


def as_json(seed: int, sale: Sale, verdict: Verdict) -> dict[str, Json]:
    """The outcome, for programs."""
    books = sale.books
    before = len(books.acknowledged_before_kill)
    return {
        "seed": seed,
        "orders": len(sale.story.orders),
        "clients": SHOPPERS,
        "accepted": len(books.acknowledged),
        "refused": len(books.refused),
        "acknowledged_before_kill": before,
        "found_after_kill": verdict.found,
        "lost": len(verdict.lost),
        "outcome_unknown": len(books.unknown),
        "orders_per_second": round(books.answered / sale.selling_s, 1) if sale.selling_s else 0.0,
        "down_ms": round(sale.down_s * 1000, 1),
        "oversold_units": sum(item.oversold for item in verdict.items),
        "items": items_json(verdict),
        "promises": {promise.name: promise.held for promise in verdict.promises},
        "ok": verdict.ok,
    }
