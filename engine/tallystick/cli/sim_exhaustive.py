"""`tally sim exhaustive`: every interleaving of small worlds, and what was found."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem

from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.output import Format, Json, column, echo_json, echo_table, note, number
from tallystick_sim.exhaustive.walk import STATES_MAX, Progress, Walked, walk
from tallystick_sim.exhaustive.worlds import WORLDS, World


class WorldName(click.ParamType[str]):
    """One of the worlds."""

    name = "world"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in WORLDS:
            self.fail(f"{value!r} is none of {', '.join(WORLDS)}.", param, ctx)
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        found = WORLDS.items()
        return [CompletionItem(name, help=w.about) for name, w in found if name.startswith(incomplete)]


@click.command(
    epilog="\b\nThe worlds (* takes minutes, and is left out unless it is named or --large is given):\n"
    + "\n".join(f"  {name + ' *' * w.large:<19}{w.about}" for name, w in WORLDS.items())
    + """

\b
Examples:
  tally sim exhaustive
  tally sim exhaustive rivals three-rivals
  tally sim exhaustive --large --max-states 500000 --json

Exit code 7: a promise broke, and the story says how.
"""
)
@click.argument("names", metavar="[WORLD]...", type=WorldName(), nargs=-1)
@click.option(
    "--max-states",
    type=click.IntRange(min=1),
    default=STATES_MAX,
    show_default=True,
    metavar="N",
    help="Give up on a world that has more.",
)
@click.option("--large", is_flag=True, help="The large worlds too.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def exhaustive(names: tuple[str, ...], max_states: int, large: bool, as_object: bool) -> None:
    """Walk every interleaving of small worlds, by the engine's own code.

    Two or three nodes with a few units: every order of what callers ask, of frames that come, come late,
    come twice or overtake others, of holds that end, and of crashes. Each state is visited once, and every
    promise is checked in it. The first story that breaks one is the shortest there is.
    """
    chosen = names or tuple(name for name, world in WORLDS.items() if large or not world.large)
    walks = {}
    for name in chosen:
        began = time.monotonic()
        walks[name] = walk(WORLDS[name], max_states, _progress(name))
        _wipe()
        if not as_object:
            note(f"{name}: {_sentence(walks[name])} in {time.monotonic() - began:.1f} s")
    if as_object:
        echo_json(
            {"ok": _holds(walks), "worlds": [_plain(n, WORLDS[n], w) for n, w in walks.items()]}, Format.JSON
        )
    else:
        _tell(walks)
    if not _holds(walks):
        raise SystemExit(ExitCode.AUDIT_FAILED)


def _holds(walks: Mapping[str, Walked]) -> bool:
    return not any(walked.broken for walked in walks.values())


def _sentence(walked: Walked) -> str:
    verdict = f"BROKEN: {walked.broken}" if walked.broken else "every promise holds"
    part = "" if walked.complete or walked.broken else "the first "
    return f"{verdict}; {part}{walked.states:,} states"


def _progress(name: str) -> Progress:
    def tell(states: int, transitions: int, depth: int) -> None:
        if sys.stderr.isatty():
            text = f"\r{name}: {states:,} states, {transitions:,} transitions, {depth} deep "
            click.echo(text, err=True, nl=False)

    return tell


def _wipe() -> None:
    if sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)


def _tell(walks: Mapping[str, Walked]) -> None:
    echo_table(
        [
            *(column("world"), number("states"), number("transitions"), number("depth"), number("endings")),
            *(number("of one node"), column("everywhere"), column("promises")),
        ],
        [
            (
                *(name, f"{w.states:,}", f"{w.transitions:,}", w.depth, f"{w.endings:,}"),
                *(f"{w.node_states:,}", "yes" if w.complete else "no", "BROKEN" if w.broken else "hold"),
            )
            for name, w in walks.items()
        ],
    )
    for name, walked in walks.items():
        if walked.broken:
            click.echo(f"\n{name}: {walked.broken}\n")
            for number_, line in enumerate(walked.story, 1):
                click.echo(f"  {number_:>2}. {line}")
            click.echo("\n".join(("", *(f"  {line}" for line in walked.scene))))


def _plain(name: str, world: World, walked: Walked) -> Json:
    return {
        "world": name,
        "about": world.about,
        "states": walked.states,
        "transitions": walked.transitions,
        "depth": walked.depth,
        "complete": walked.complete,
        "endings": walked.endings,
        "node_states": walked.node_states,
        "broken": walked.broken,
        "story": list(walked.story),
        "scene": list(walked.scene),
    }
