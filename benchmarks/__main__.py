"""`python -m benchmarks`: the command line."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from benchmarks import grow as growing
from benchmarks import place as placing
from benchmarks import report
from benchmarks.load.spec import MODES
from benchmarks.processes import Failed
from benchmarks.regions import run as regional
from benchmarks.regions.bench import Settings as RegionalSettings
from benchmarks.workload import VIEWS

_POSITIVE = click.IntRange(min=1)
_SECONDS = click.FloatRange(min=0.1, max=600)
_DEFAULTS = placing.Settings()
_GROW_DEFAULTS = growing.Settings()
_REGIONS_DEFAULTS = RegionalSettings()

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
dir_option = click.option(
    "--dir",
    "parent",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the data lies while it runs: choose the disk.  [the system's temporary files]",
)
cores_option = click.option(
    "--cores", type=_POSITIVE, default=2, show_default=True, help="Processors that everybody shares."
)


class _Benchmarks(click.Group):
    """A problem of the environment is a line on stderr and exit code 1; a termination is an orderly end."""

    def invoke(self, ctx: click.Context) -> object:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            return super().invoke(ctx)
        except Failed as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Benchmarks, invoke_without_command=True)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Measure Tallystick on this machine: a real node, real clients, a real disk.

    Without a command: `place` with its defaults, some six minutes. Results go to stdout, progress to stderr.
    Timings are noisy, on shared machines above all: trust ratios, of rounds taken in turn, and look at their
    spread. Measure on an idle machine: whoever runs as many processes gets more of a busy one.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(place)


@main.command(
    epilog="""\b
Examples:
  python -m benchmarks place
  python -m benchmarks place --json --peer postgres > place.json
  python -m benchmarks place --mode batch --lines 3 --items 10000 --peer postgres --peer redis
  python -m benchmarks place --mode sdk --items 1 --peer postgres --peer-indexes primary
"""
)
@click.option(
    "--mode", "modes", type=click.Choice(MODES), multiple=True, help="Only this; may be repeated.  [all]"
)
@click.option(
    "--lines",
    type=click.Choice(["1", "3"]),
    multiple=True,
    help="Lines of an order; may be repeated.  [1 and 3]",
)
@click.option(
    "--items",
    type=click.Choice(["10000", "1"]),
    multiple=True,
    help="Over so many items; 1: every order takes the one hot item. May be repeated.  [both]",
)
@click.option("--seconds", type=_SECONDS, default=5.0, show_default=True, help="Length of a timed window.")
@click.option("--warm-up", "warm_s", type=_SECONDS, default=1.0, show_default=True, help="Seconds before it.")
@click.option("--rounds", type=_POSITIVE, default=3, show_default=True, help="Windows of each kind, in turn.")
@click.option(
    "--batch", type=click.IntRange(1, 1_000), default=100, show_default=True, help="Orders in our batches."
)
@click.option(
    "--unary-in-flight",
    type=_POSITIVE,
    default=_DEFAULTS.unary_in_flight,
    show_default=True,
    help="Unary calls.",
)
@click.option(
    "--sdk-in-flight", type=_POSITIVE, default=_DEFAULTS.sdk_in_flight, show_default=True, help="SDK calls."
)
@click.option(
    "--batches-in-flight",
    type=_POSITIVE,
    default=_DEFAULTS.batches_in_flight,
    show_default=True,
    help="Batches.",
)
@click.option(
    "--view",
    type=click.Choice(VIEWS),
    default="default",
    show_default=True,
    help="How much of the order answers hold; by default unary calls answer all, streams the outcome.",
)
@click.option(
    "--peer",
    "peers",
    type=click.Choice(placing.PEERS),
    multiple=True,
    help="Run this beside ours, in turn, and print ratios; may be repeated. Its programs must be installed.",
)
@click.option(
    "--peer-indexes",
    type=click.Choice(["full", "primary"]),
    default="full",
    show_default=True,
    help="full: what listing by time, customer and status needs, as we keep it; primary: the order id alone.",
)
@cores_option
@dir_option
@json_option
def place(as_json: bool, parent: Path | None, **options: object) -> None:
    """Orders/s, latency and cost of placing orders, durably, by unary calls, SDK calls and batches."""
    for name in ("lines", "items"):
        options[name] = tuple(map(int, options[name]))  # type: ignore[call-overload]
    given = {name: value for name, value in options.items() if value != ()}
    settings = placing.Settings(**given)  # type: ignore[arg-type]
    result = placing.run(settings, parent, placing.say_on_stderr)
    if as_json:
        click.echo(report.to_json(result))
    else:
        report.print_place(result)


@main.command(
    epilog="""\b
Examples:
  python -m benchmarks grow --json > grow.json
  python -m benchmarks grow --orders 200000
"""
)
@click.option(
    "--orders", type=_POSITIVE, default=_GROW_DEFAULTS.orders, show_default=True, help="Grow to so many."
)
@click.option(
    "--start", type=_POSITIVE, default=_GROW_DEFAULTS.start, show_default=True, help="Look first at so many."
)
@click.option(
    "--window-orders",
    type=click.IntRange(min=100),
    default=_GROW_DEFAULTS.window_orders,
    show_default=True,
    help="Orders in a timed window; there are three at each size.",
)
@click.option("--lines", type=click.IntRange(1, 100), default=3, show_default=True, help="Lines of an order.")
@click.option("--items", type=click.IntRange(1, 10_000), default=10_000, show_default=True, help="Items.")
@click.option(
    "--restarts",
    type=click.IntRange(min=0),
    default=_GROW_DEFAULTS.restarts,
    show_default=True,
    help="How often to kill the node under load and start it again.",
)
@click.option(
    "--backlog",
    type=_POSITIVE,
    default=_GROW_DEFAULTS.backlog,
    show_default=True,
    help="Kill when so many events wait for their checkpoint, or when it grows no further.",
)
@cores_option
@dir_option
@json_option
def grow(as_json: bool, parent: Path | None, **options: int) -> None:
    """Throughput, memory and restart time with many orders stored, by batches of 100.

    Fills a node to --start and to --orders and measures throughput at both in the same way; reads the
    server's anonymous memory; kills it under load with a full checkpoint backlog, and takes the time until it
    serves.
    """
    result = growing.run(growing.Settings(**options), parent, placing.say_on_stderr)
    if as_json:
        click.echo(report.to_json(result))
    else:
        report.print_grow(result)


@main.command(
    epilog="""\b
Examples:
  python -m benchmarks regions
  python -m benchmarks regions --only place_p99,gossip_bytes --rounds 2 --seconds 2
  python -m benchmarks regions --peer postgres-wan --json > regions.json
"""
)
@click.option(
    "--only",
    default="",
    metavar="NAME,...",
    help=f"Figures to measure: {', '.join(regional.FIGURES)}.  [all]",
)
@click.option(
    "--rounds", type=_POSITIVE, default=_REGIONS_DEFAULTS.rounds, show_default=True, help="Pairs, in turn."
)
@click.option(
    "--seconds",
    type=_SECONDS,
    default=_REGIONS_DEFAULTS.seconds,
    show_default=True,
    help="Length of a timed window.",
)
@click.option(
    "--warm-up",
    "warm_s",
    type=_SECONDS,
    default=_REGIONS_DEFAULTS.warm_s,
    show_default=True,
    help="Seconds before it.",
)
@click.option(
    "--rtt-ms",
    type=click.FloatRange(0, 10_000),
    default=_REGIONS_DEFAULTS.rtt_ms,
    show_default=True,
    help="Round trip between two regions.",
)
@click.option(
    "--orders-per-s",
    type=click.FloatRange(1, 10_000),
    default=_REGIONS_DEFAULTS.orders_per_s,
    show_default=True,
    help="At each region, where orders come at their time.",
)
@click.option(
    "--cut-orders",
    type=click.IntRange(min=200),
    default=_REGIONS_DEFAULTS.cut_orders,
    show_default=True,
    help="On each side of the cut that catch_up catches up with.",
)
@click.option(
    "--peer",
    type=click.Choice(regional.PEERS),
    help="hot_wan needs it: PostgreSQL with a synchronous standby.",
)
@cores_option
@dir_option
@json_option
def regions(as_json: bool, parent: Path | None, only: str, peer: str | None, **options: float) -> None:
    """What regions cost each other: links, cuts, catching up, slow peers, tokens, bytes.

    Real nodes, three of them, with relays between them that play the distance and its faults. Some
    15 minutes.
    """
    names = tuple(name for name in only.split(",") if name)
    settings = RegionalSettings(only=names, peer=peer or "", **options)  # type: ignore[arg-type]
    result = regional.run(settings, parent, placing.say_on_stderr)
    if as_json:
        click.echo(report.to_json(result))
    else:
        report.print_regions(result)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
