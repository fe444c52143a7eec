"""The picture of an answer, as SVG: a panel a policy, a line a region, the cuts shaded, refusals as ticks.

Pure, and by hand: four kinds of marks need no plotting library, and the same answer is the same bytes.
Colours: Okabe and Ito, *Color Universal Design* (2008), which colour-blind people tell apart too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import floor, log10
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from tallystick_sim.what_if.play import Played, Refusal
from tallystick_sim.what_if.question import Question

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D1F", "#000000")
RIGHT, BEYOND, FALSE = "#9AA0A6", "#7B4FB5", "#D62728"
"""Of refusals: all was sold; units were left behind a cut alone; units were left within reach."""
KINDS = ((RIGHT, "all sold"), (BEYOND, "left beyond the cut alone"), (FALSE, "false: left within reach"))
INK, FAINT, SHADE = "#202124", "#E3E5E8", "#F1EDE4"

PANEL = (520, 284)
"""Width and height of a panel with all around it."""
LEFT, RIGHT_EDGE, TOP, BOTTOM = 50, 16, 48, 44
HEAD = 96
RUG = 11
"""How high the ticks of refusals are: each in a row of its own by kind."""


class Frame(NamedTuple):
    """Where a panel's axes are, and what they measure."""

    x: float
    y: float
    width: float
    height: float
    minutes: float
    units: float

    def at(self, minute: float, units: float) -> tuple[float, float]:
        """A place on the page."""
        down = self.height * (1 - units / self.units)
        return self.x + self.width * minute / self.minutes, self.y + down


def draw(question: Question, answers: Sequence[Played]) -> str:
    """The whole picture."""
    columns = min(2, len(answers))
    rows = -(-len(answers) // columns)
    width, height = max(columns * PANEL[0], 640), HEAD + rows * PANEL[1]
    top = round_up(max(max(sample.tokens) for played in answers for sample in played.samples))
    body = [*_head(question)]
    for number, played in enumerate(answers):
        x, y = (number % columns) * PANEL[0] + LEFT, HEAD + number // columns * PANEL[1] + TOP
        frame = Frame(
            *(x, y, PANEL[0] - LEFT - RIGHT_EDGE, PANEL[1] - TOP - BOTTOM - 3 * RUG), question.minutes, top
        )
        body += _panel(frame, question, played)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>\n'
        + "\n".join(filter(None, body))
        + "\n</svg>\n"
    )


def ticks(most: float, about: int = 6) -> list[float]:
    """Round numbers from 0 to at most `most`: steps of 1, 2 or 5 times a power of ten."""
    step = _step(most, about)
    return [number * step for number in range(floor(most / step + 1e-9) + 1)]


def round_up(most: float) -> float:
    """The next round number: where an axis may end."""
    step = _step(max(most, 1), 6)
    return -(-max(most, 1) // step) * step


def _step(most: float, about: int) -> float:
    rough = most / about
    power = 10.0 ** floor(log10(rough))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= rough - 1e-12)


# ------------------------------------------------------------------------------------------------- the parts


def _head(question: Question) -> Iterator[str]:
    title = question.title or "What if"
    yield _text(LEFT, 30, title, size=18, bold=True)
    told = f"{question.units:,} units in {len(question.names)} regions, {question.minutes:g} minutes"
    yield _text(LEFT, 50, f"{told}; tokens that each region may sell, by policy", colour="#5F6368")
    x = float(LEFT)
    for name, colour in zip(question.names, COLOURS, strict=False):
        yield f'<line x1="{x:.1f}" y1="71" x2="{x + 20:.1f}" y2="71" stroke="{colour}" stroke-width="3"/>'
        yield _text(x + 26, 75, name)
        x += 46 + 7.0 * len(name)
    x += 8
    yield _text(x, 75, "refused:", colour="#5F6368")
    x += 56
    for colour, words in KINDS:
        yield _ticks([(x, 66)], colour)
        yield _text(x + 7, 75, words)
        x += 26 + 6.1 * len(words)


def _panel(frame: Frame, question: Question, played: Played) -> Iterator[str]:
    yield f"<g id={quoteattr('policy-' + played.policy)}>"
    yield _text(frame.x, frame.y - 24, played.policy, size=15, bold=True)
    yield _text(frame.x, frame.y - 9, verdict(question, played), colour="#5F6368")
    yield from _cuts(frame, question)
    yield from _axes(frame)
    for place, colour in zip(range(len(question.names)), COLOURS, strict=False):
        points = [frame.at(s.at_ms / 60_000, s.tokens[place]) for s in played.samples]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{path}"/>'
    for row, (colour, _) in enumerate(KINDS):
        minutes = [r.at_ms / 60_000 for r in played.refusals if _colour(r) == colour]
        places = [frame.at(min(minute, frame.minutes), 0) for minute in minutes]
        yield _ticks([(x, y + 20 + row * RUG) for x, y in places], colour)
    yield "</g>"


def verdict(question: Question, played: Played) -> str:
    """An answer in a line."""
    beyond, false = sum(r.beyond for r in played.refusals), sum(r.false for r in played.refusals)
    said = f"{sum(played.sold):,} of {question.units:,} sold, {len(played.refusals):,} orders refused"
    return f"{said}: {beyond:,} beyond a cut, {false:,} false"


def _cuts(frame: Frame, question: Question) -> Iterator[str]:
    for cut in question.cut:
        (x, y), (end, _) = frame.at(cut.from_minute, frame.units), frame.at(cut.to_minute, 0)
        yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{end - x:.1f}" height="{frame.height}" fill="{SHADE}"/>'
        yield _text(x + 4, y + 12, f"{' and '.join(cut.regions)} cut off", size=10, colour="#80694A")


def _axes(frame: Frame) -> Iterator[str]:
    right = frame.x + frame.width
    for units in ticks(frame.units):
        _, y = frame.at(0, units)
        colour = INK if not units else FAINT
        yield f'<line x1="{frame.x}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{colour}"/>'
        yield _text(frame.x - 6, y + 4, f"{units:,.0f}", size=11, anchor="end")
    bottom = frame.y + frame.height
    for minute in ticks(frame.minutes):
        x, _ = frame.at(minute, 0)
        yield f'<line x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}" stroke="{INK}"/>'
        unit = " min" if not minute else ""
        yield _text(x, bottom + 16, f"{minute:g}{unit}", size=11, anchor="middle")


def _colour(refusal: Refusal) -> str:
    return FALSE if refusal.false else BEYOND if refusal.beyond else RIGHT


def _ticks(places: Iterable[tuple[float, float]], colour: str) -> str:
    strokes = "".join(f"M{x:.1f},{y:.1f}v{RUG - 2}" for x, y in places)
    return f'<path d="{strokes}" stroke="{colour}" stroke-width="1.5"/>' if strokes else ""


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    bold: bool = False,
    colour: str = INK,
    anchor: str = "start",
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {where} font-size="{size}" fill="{colour}"{weight}>{escape(words)}</text>'
