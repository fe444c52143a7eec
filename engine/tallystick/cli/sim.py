"""`tally sim`: the simulator."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.output import echo_fields, encode_json, note, printable
from tallystick.cli.sim_mutants import mutants
from tallystick.cli.sim_progress import progress_bar

if TYPE_CHECKING:
    from tallystick_sim.batch import Summary
    from tallystick_sim.drawing import Wanted
    from tallystick_sim.plan import Plan
    from tallystick_sim.run import Result
    from tallystick_sim.timeline import Story

SHOWN_MAX = 20


@click.group()
def sim() -> None:
    """Put a cluster through everything that can go wrong, on a virtual clock.

    The engine's own core, driver and store run on simulated networks, disks and clocks that fail as drawn
    from a seed. Every promise is checked. The same seed is the same run, to the byte.
    """


sim.add_command(mutants)


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
    with progress_bar(as_json) as progress:
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


@sim.command()
@click.option("--seed", type=int, required=True)
@click.option("--size", type=click.Choice(["small", "long"]), default="small", show_default=True)
@click.option("--faults", default="", help="These kinds alone, as of the run.")
@click.option("--scenario", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A TOML file.")
@click.option("--order", default="", help="All about this order.")
@click.option("--item", default="", help="All about this sku.")
@click.option("--node", type=int, help="All that this node saw.")
def trace(
    seed: int, size: str, faults: str, scenario: Path | None, order: str, item: str, node: int | None
) -> None:
    """Tell a run as a story."""
    from tallystick_sim.drawing import draw_plan
    from tallystick_sim.timeline import Focus, tell

    plan = draw_plan(seed, _wanted(size, faults, scenario))
    _tell_story(tell(plan, Focus(order, item, node)))


@sim.command()
@click.option("--seed", type=int, required=True)
@click.option("--size", type=click.Choice(["small", "long"]), default="small", show_default=True)
@click.option("--faults", default="", help="These kinds alone, as of the run.")
@click.option("--scenario", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A TOML file.")
@click.option("--runs", default=400, show_default=True, help="Try at most so often.")
def shrink(seed: int, size: str, faults: str, scenario: Path | None, runs: int) -> None:
    """Find the shortest story that still breaks the same promise, and tell it."""
    from tallystick_sim.drawing import draw_plan
    from tallystick_sim.shrink import shrink as shrink_plan
    from tallystick_sim.timeline import tell

    plan = draw_plan(seed, _wanted(size, faults, scenario))

    def told(shorter: Plan) -> None:
        note(f"{len(shorter.faults)} faults and {len(shorter.requests)} calls still fail")

    found = shrink_plan(plan, runs_max=runs, told=told)
    if found is None:
        note(f"seed {seed} breaks nothing")
        return
    note(f"{found.checker}, after {found.runs} runs; what is left:")
    _tell_story(tell(found.plan))


def _tell_story(story: Story) -> None:
    for at_ms, text in story.lines:
        click.echo(f"{at_ms / 1000:9.3f} s  {printable(text)}")
    if story.result.violations:
        raise click.exceptions.Exit(ExitCode.AUDIT_FAILED)


def _wanted(size: str, faults: str, scenario: Path | None) -> Wanted:
    from tallystick_sim.scenario import BadScenario, read_wanted

    try:
        return read_wanted(
            size, tuple(filter(None, faults.split(","))), scenario.read_text() if scenario else None
        )
    except BadScenario as problem:
        raise click.UsageError(str(problem)) from problem


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
            ("pairs", _of(summary.fault_pairs)),
            ("rare paths", _of(summary.probes)),
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


def _of(reached: Mapping[str, Any]) -> str:
    return f"{reached['reached']} of {reached['known']} reached"


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts)


def _register() -> None:
    from tallystick.cli.sim_exhaustive import exhaustive
    from tallystick.cli.sim_what_if import what_if

    sim.add_command(exhaustive)
    sim.add_command(what_if)


_register()
