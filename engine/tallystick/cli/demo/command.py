"""`tally demo`."""

from __future__ import annotations

import asyncio

import click
from click.core import ParameterSource
from rich.console import Console

from tallystick.cli.demo.crash.play import play_crash
from tallystick.cli.demo.regions.play import played_regions
from tallystick.cli.demo.regions.screen import tell_addresses
from tallystick.cli.demo.regions.story import REGIONS
from tallystick.cli.demo.screen import console
from tallystick.cli.errors import Interrupted
from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.node_process import run_cleaning_up
from tallystick.cli.output import Format, Json, echo_json

_ONLY_WITH_CRASH = ("orders",)
_NOT_WITH_CRASH = ("regions", "seconds", "keep")


@click.command(
    epilog="""\b
Examples:
  tally demo
  tally demo --regions 4 --seconds 20 --seed 7
  tally demo --json
  tally demo --keep
  tally demo --crash --orders 20000

Exit code 7: a promise broke.
"""
)
@click.option(
    "--regions",
    type=click.IntRange(2, len(REGIONS)),
    default=3,
    show_default=True,
    metavar="N",
    help="How many regions share the stock.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(5, 600),
    default=30,
    show_default=True,
    metavar="S",
    help="How long the sale lasts; starting and checking come on top.",
)
@click.option(
    "--seed", type=int, default=1, show_default=True, metavar="N", help="Another number, another sale."
)
@click.option("--keep", is_flag=True, help="Leave the regions running afterwards, until Ctrl-C.")
@click.option("--crash", is_flag=True, help="One region instead, and a kill -9 in the middle.")
@click.option(
    "--orders",
    type=click.IntRange(100, 100_000),
    default=6_000,
    show_default=True,
    metavar="N",
    help="With --crash: how many orders come.",
)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
@click.pass_context
def demo(
    ctx: click.Context,
    regions: int,
    seconds: float,
    seed: int,
    keep: bool,
    crash: bool,
    orders: int,
    as_object: bool,
) -> None:
    """See it sell through a partition: a flash sale in three regions, one cut off, and an audit.

    It needs nothing but this command: every region is a node of its own in a temporary directory, 40 ms
    from the others.
    """
    _refuse_options(ctx, _NOT_WITH_CRASH if crash else _ONLY_WITH_CRASH, "with" if crash else "without")
    out = Console(quiet=True) if as_object else console()
    playing = (
        _crash(out, as_object, seed=seed, orders=orders)
        if crash
        else _regions(out, as_object, seed=seed, regions=regions, seconds=seconds, keep=keep)
    )
    try:
        ok = run_cleaning_up(playing)
    except KeyboardInterrupt:
        raise Interrupted("") from None
    if not ok:
        raise SystemExit(ExitCode.AUDIT_FAILED)


def _refuse_options(ctx: click.Context, names: tuple[str, ...], how: str) -> None:
    """An option that would do nothing was meant to do something."""
    for name in names:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} does nothing {how} --crash")


async def _crash(out: Console, as_object: bool, *, seed: int, orders: int) -> bool:
    return _tell(await play_crash(out, seed=seed, orders=orders), as_object)


async def _regions(
    out: Console, as_object: bool, *, seed: int, regions: int, seconds: float, keep: bool
) -> bool:
    async with played_regions(out, seed=seed, regions=regions, seconds=seconds) as played:
        kept: dict[str, Json] = {"addresses": dict(played.addresses)} if keep else {}
        ok = _tell({**played.outcome, **kept}, as_object)
        if keep:
            tell_addresses(out, played.addresses)
            await asyncio.Event().wait()
        return ok


def _tell(outcome: dict[str, Json], as_object: bool) -> bool:
    """Print it for programs, if they ask; the others have read it. Whether every promise held."""
    if as_object:
        echo_json(outcome, Format.JSON)
    return outcome["ok"] is True
