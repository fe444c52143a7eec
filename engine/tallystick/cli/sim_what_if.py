"""`tally sim what-if`: an operator's question, answered policy beside policy."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import structlog

from tallystick.cli.errors import BadInput
from tallystick.cli.output import Column, Format, Json, column, echo_json, echo_table, note, number, printable
from tallystick_sim.what_if.picture import draw
from tallystick_sim.what_if.play import Played, Refusal, play
from tallystick_sim.what_if.question import BadQuestion, Question, read_question


@click.command(
    "what-if",
    epilog="""\b
The file (docs/what-if.md says all of it):
  units = 1100
  minutes = 16
  [[region]]
  name = "eu"
  demand = 10                  # orders a minute
  [[region]]
  name = "ap"
  demand = 2
  [[cut]]
  regions = ["ap"]
  from_minute = 6
  to_minute = 12

\b
Examples:
  tally sim what-if docs/examples/planned-cut.toml
  tally sim what-if question.toml --plot answer.svg
  tally sim what-if question.toml --json
""",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.svg",
    help="Where the picture goes.  [default: the file's name with .svg, here; with --json none]",
)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead, samples included.")
def what_if(file: Path, plot: Path | None, as_object: bool) -> None:
    """Play a sale under each policy: regions, demand, stock, delays and planned cuts are in FILE.

    The engine itself plays it, in virtual time, with the same customers at the same moments under every
    policy. An order is refused falsely if units were left in regions that could be reached.
    """
    question = _read(file)
    with quiet_logs():
        answers = []
        for policy in question.policies:
            note(f"{policy} …")
            answers.append(play(question, policy))
    where = plot or (None if as_object else Path(f"{file.stem}.svg"))
    if where is not None:
        _write(where, draw(question, answers))
    if as_object:
        echo_json(_plain(question, answers), Format.JSON)
    else:
        _tell(question, answers)
    if where is not None:
        note(f"the picture is in {where}")


def _read(file: Path) -> Question:
    try:
        return read_question(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as problem:
        raise BadInput(f"{file}: is no UTF-8 text") from problem
    except BadQuestion as problem:
        raise BadInput(f"{file}: {problem}; docs/what-if.md says how to ask") from problem


def _write(where: Path, picture: str) -> None:
    try:
        where.write_text(picture, encoding="utf-8")
    except OSError as problem:
        raise BadInput(f"the picture can't be written to {where}: {problem.strerror}") from problem


@contextmanager
def quiet_logs() -> Iterator[None]:
    """What nodes log goes nowhere meanwhile, but for errors: those show."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


# --------------------------------------------------------------------------------------------------- tables


def _tell(question: Question, answers: Sequence[Played]) -> None:
    told = f"{question.title}: " if question.title else ""
    click.echo(printable(f"{told}{question.units:,} units, {sum(answers[0].orders):,} orders"))
    click.echo()
    echo_table([column("policy"), *_SOLD, *_REFUSED, *_BESIDE], [_by_policy(played) for played in answers])
    click.echo()
    columns = [column("policy"), column("region"), number("orders"), *_SOLD[:2], *_REFUSED]
    echo_table(columns, [row for played in answers for row in _by_region(question, played)])


_SOLD = (number("asked"), number("sold"), number("left"))
_REFUSED: tuple[Column, ...] = (number("refused"), number("beyond a cut"), number("false"))
_BESIDE = (number("units moved"), number("waited"), number("p99 wait"), number("longest"))
WAITED_MS = 5.0
"""What is answered sooner had not to wait for anybody."""


def _by_policy(played: Played) -> tuple[object, ...]:
    waits = played.waited_ms
    return (
        *(played.policy, f"{sum(played.asked):,}", f"{sum(played.sold):,}", f"{played.left:,}"),
        *(*_counts(played.refusals), f"{played.moved:,}", f"{sum(wait > WAITED_MS for wait in waits):,}"),
        *(_ms(_percentile(waits, 0.99)), _ms(_percentile(waits, 1.0))),
    )


def _by_region(question: Question, played: Played) -> Iterator[tuple[object, ...]]:
    for place, name in enumerate(question.names):
        refusals = [refusal for refusal in played.refusals if refusal.region == place]
        told = (played.orders[place], played.asked[place], played.sold[place])
        yield (played.policy, name, *(f"{count:,}" for count in told), *_counts(refusals))


def _counts(refusals: Sequence[Refusal]) -> tuple[str, str, str]:
    beyond, false = sum(r.beyond for r in refusals), sum(r.false for r in refusals)
    return f"{len(refusals):,}", f"{beyond:,}", f"{false:,}"


def _percentile(waits: Sequence[float], part: float) -> float:
    return waits[min(len(waits) - 1, int(len(waits) * part))] if waits else 0.0


def _ms(length: float) -> str:
    return f"{length:,.0f} ms"


# ----------------------------------------------------------------------------------------------------- JSON


def _plain(question: Question, answers: Sequence[Played]) -> Json:
    return {
        "title": question.title,
        "units": question.units,
        "minutes": question.minutes,
        "seed": question.seed,
        "regions": list(question.names),
        "policies": [_plain_answer(question, played) for played in answers],
    }


def _plain_answer(question: Question, played: Played) -> Json:
    regions: list[Json] = []
    for place, name in enumerate(question.names):
        refusals = [refusal for refusal in played.refusals if refusal.region == place]
        told = {"orders": played.orders[place], "asked": played.asked[place], "sold": played.sold[place]}
        regions.append({"region": name, **told, **_plain_counts(refusals)})
    return {
        "policy": played.policy,
        "asked": sum(played.asked),
        "sold": sum(played.sold),
        "left": played.left,
        **_plain_counts(played.refusals),
        "moved": played.moved,
        "waited": sum(wait > WAITED_MS for wait in played.waited_ms),
        "wait_p99_ms": round(_percentile(played.waited_ms, 0.99), 1),
        "wait_max_ms": round(_percentile(played.waited_ms, 1.0), 1),
        "regions": regions,
        "samples": [{"minute": round(s.at_ms / 60_000, 3), "tokens": list(s.tokens)} for s in played.samples],
    }


def _plain_counts(refusals: Sequence[Refusal]) -> dict[str, Json]:
    beyond, false = sum(r.beyond for r in refusals), sum(r.false for r in refusals)
    return {"refused": len(refusals), "refused_beyond_a_cut": beyond, "refused_falsely": false}
