"""`tally sim mutants`: wrong engines, and who notices."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.output import column, echo_table, encode_json, note, number
from tallystick.cli.sim_progress import progress_bar

if TYPE_CHECKING:
    from tallystick_sim.hunting import Catch


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--seeds", type=click.IntRange(min=1), default=500, show_default=True, help="Try at most so many."
)
@click.option("--first-seed", default=1, show_default=True, help="The first of them.")
@click.option("--jobs", type=click.IntRange(min=1), help="Mutants at once. [default: one a core]")
@click.option("--list", "only_list", is_flag=True, help="Say what there is, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="One document, for programs.")
def mutants(
    names: tuple[str, ...], seeds: int, first_seed: int, jobs: int | None, only_list: bool, as_json: bool
) -> None:
    """Run seeds on wrong engines until a checker notices.

    Each makes one mistake. One that no seed catches is a hole in the simulator: the exit code says so.
    """
    from tallystick_sim.hunting import hunt_all, named

    try:
        chosen = named(names)
    except KeyError as unknown:
        raise click.UsageError(f"no mutant is called {unknown}; see tally sim mutants --list") from unknown
    if only_list:
        echo_table((column("MUTANT"), column("DOES WRONG")), ((each.name, each.story) for each in chosen))
        return
    catches = []
    with progress_bar(as_json) as progress:
        task = progress.add_task("mutants", total=len(chosen))
        for catch in hunt_all(chosen, first_seed, seeds, jobs or os.cpu_count() or 1):
            catches.append(catch)
            progress.advance(task)
    order = {each.name: place for place, each in enumerate(chosen)}
    _tell(sorted(catches, key=lambda catch: order[catch.mutant]), as_json)


def _tell(catches: list[Catch], as_json: bool) -> None:
    survivors = [catch for catch in catches if catch.survived]
    if as_json:
        click.echo(encode_json([catch._asdict() for catch in catches]))
    else:
        columns = (column("MUTANT"), column("CAUGHT BY"), number("AFTER SEEDS"), number("SEED"))
        echo_table(
            columns, ((each.mutant, each.checker or "nobody", each.runs, each.seed) for each in catches)
        )
        note(f"{len(catches) - len(survivors)} of {len(catches)} caught")
    if survivors:
        raise click.exceptions.Exit(ExitCode.AUDIT_FAILED)
