"""`tally sim`: the simulator."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.output import echo_fields, encode_json

if TYPE_CHECKING:
    from tallystick_sim.batch import Summary
    from tallystick_sim.drawing import Wanted
    from tallystick_sim.run import Result

SHOWN_MAX = 20


@click.group()
def sim() -> None:
    """Put a cluster through everything that can go wrong, on a virtual clock.

    The engine's own core, driver and store run on simulated networks, disks and clocks that fail as drawn
    from a seed. Every promise is checked. The same seed is the same run, to the byte.
    """


@sim.command()
@click.option("--seeds", default=20, show_default=True, help="How many runs.")
@click.option("--first-seed", default=1, show_default=True, help="The first of them.")
@click.option("--seed", type=int, help="This one run alone.")
@click.option("--size", type=click.Choice(["small", "long"]), default="small", show_default=True)
@click.option("--faults", default="", help="These kinds alone, by comma; `none` for a calm world.")
@click.option("--scenario", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A TOML file.")
@click.option("--jobs", type=int, help="Runs at once. [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="One document, for programs.")
def run(
    seeds: int,
    first_seed: int,
    seed: int | None,
    size: str,
    faults: str,
    scenario: Path | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Run seeds, and say what broke."""
    from tallystick_sim.batch import run_seeds, summarise

    wanted = _wanted(size, faults, scenario)
    chosen = [seed] if seed is not None else list(range(first_seed, first_seed + seeds))
    began = time.monotonic()
    with _progress(as_json) as progress:
        task = progress.add_task("runs", total=len(chosen))

        def done(result: Result) -> None:
            progress.advance(task)
            if result.violations and not as_json:
                first = result.violations[0]
                progress.console.print(f"seed {result.seed}: {first.checker}: {first.message}", markup=False)

        results = run_seeds(chosen, wanted, jobs=jobs or os.cpu_count() or 1, done=done)
    summary = summarise(results, time.monotonic() - began)
    if as_json:
        click.echo(encode_json(summary._asdict()))
    else:
        _tell(summary)
    if summary.failed:
        raise click.exceptions.Exit(ExitCode.AUDIT_FAILED)


def _wanted(size: str, faults: str, scenario: Path | None) -> Wanted:
    from tallystick_sim.scenario import BadScenario, read_wanted

    try:
        return read_wanted(size, tuple(filter(None, faults.split(","))), scenario and scenario.read_text())
    except BadScenario as problem:
        raise click.UsageError(str(problem)) from problem


def _progress(hidden: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=hidden,
        transient=True,
    )


def _tell(summary: Summary) -> None:
    ran = f"{summary.seeds} from {summary.first_seed} on, {summary.orders:,} orders"
    pace = summary.simulated_seconds / summary.wall_seconds if summary.wall_seconds else 0.0
    counts: dict[str, Any] = summary.probes["counts"]
    echo_fields(
        (
            ("runs", ran),
            (
                "time",
                f"{summary.simulated_seconds:,.0f} s in {summary.wall_seconds:,.1f} s, {pace:,.0f} x real",
            ),
            ("faults", _listed(summary.faults.items())),
            ("rare paths", f"{summary.probes['reached']} of {summary.probes['known']} reached"),
            ("", _listed(counts.items())),
            ("trace", summary.trace_hash),
            ("never felt", ", ".join(summary.never_bit)),
            ("violations", len(summary.violations)),
        )
    )
    for each in summary.violations[:SHOWN_MAX]:
        click.echo(
            f"  seed {each['seed']}  {each['at_ms'] / 1000:8.3f} s  {each['checker']}: {each['message']}"
        )
    if summary.violations:
        click.echo(f"See one: tally sim trace --seed {summary.violations[0]['seed']}")


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts)
