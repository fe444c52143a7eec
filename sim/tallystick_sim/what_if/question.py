"""The question, as a TOML file holds it: regions, their demand, the stock, the roads between, planned cuts.

`docs/what-if.md` describes it. Reading is strict: a word that is not known is an error that names its place,
because a misspelled one would answer another question than was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

import msgspec

from tallystick.core.stock.rebalance import POLICIES
from tallystick.node.balancing import OFF

ALL_POLICIES = (OFF, *POLICIES)
ORDERS_MAX = 100_000

_Minutes = Annotated[float, msgspec.Meta(ge=0, le=1_440)]
_Rate = Annotated[float, msgspec.Meta(ge=0, le=6_000)]
_Weight = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9-]{0,19}$")]


class BadQuestion(ValueError):
    """The file does not hold a question; the message says where, and what would do."""


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `at_minute` on, so many orders a minute."""

    at_minute: _Minutes
    demand: _Rate


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One region with one node. `demand` in orders a minute; `share` weighs its part of the first tokens, and
    `weight` what the policy `weighted` leaves to it."""

    name: _Name
    demand: _Rate
    share: _Weight = 1
    weight: _Weight = 1
    then: tuple[Change, ...] = ()


class Delay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a message takes between two regions, one way."""

    between: tuple[_Name, _Name]
    ms: Annotated[float, msgspec.Meta(ge=0, le=10_000)]


class Cut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing goes between these regions and the others meanwhile."""

    regions: tuple[_Name, ...]
    from_minute: _Minutes
    to_minute: _Minutes


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"regions": "region"}):
    """All of it. `basket` are the least and the most units of an order, any of them alike."""

    units: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    minutes: Annotated[float, msgspec.Meta(gt=0, le=1_440)]
    regions: Annotated[tuple[Region, ...], msgspec.Meta(min_length=2, max_length=8)]
    title: str = ""
    seed: int = 1
    policies: tuple[str, ...] = ALL_POLICIES
    basket: tuple[Annotated[int, msgspec.Meta(ge=1)], Annotated[int, msgspec.Meta(le=1_000)]] = (1, 3)
    patience_s: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 5.0
    delay_ms: Annotated[float, msgspec.Meta(ge=0, le=10_000)] = 40.0
    delay: tuple[Delay, ...] = ()
    cut: tuple[Cut, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The regions, in the order of the file."""
        return tuple(region.name for region in self.regions)


def read_question(text: str) -> Question:
    """Read a file's text. Raises BadQuestion."""
    try:
        question = msgspec.toml.decode(text, type=Question)
    except msgspec.ValidationError as problem:
        raise BadQuestion(_in_words(str(problem))) from problem
    except msgspec.DecodeError as problem:
        raise BadQuestion(f"is no TOML: {problem}") from problem
    for wrong in _problems(question):
        raise BadQuestion(wrong)
    return question


def _in_words(problem: str) -> str:
    """msgspec's `$.region[1].demand`, as a person counts: region 2, demand."""
    what, _, path = problem.partition(" - at ")
    steps = re.findall(r"\.([a-z_]+)|\[(\d+)\]", path.strip("`"))
    words = ""
    for name, index in steps:
        words += f" {int(index) + 1}" if index else f"{', ' * bool(words)}{name}"
    what = what.replace("Object", "the file" if not words else "it").replace("`", "'")
    return f"{words}: {what}" if words else what


def _problems(question: Question) -> Iterator[str]:
    names = question.names
    for name in names:
        if names.count(name) > 1:
            yield f"region {name}: there are two of that name"
    for policy in question.policies:
        if policy not in ALL_POLICIES:
            yield f"policies: {policy!r} is none of {', '.join(ALL_POLICIES)}"
    if not question.policies or len(set(question.policies)) < len(question.policies):
        yield "policies: name at least one, and each once"
    if question.basket[0] > question.basket[1]:
        yield f"basket: {question.basket[0]} is more than {question.basket[1]}"
    if not any(region.share for region in question.regions):
        yield "region: no share is above 0, so nobody would get the stock"
    yield from _times(question)
    for delay in question.delay:
        yield from _unknown("delay, between", delay.between, names)
        if delay.between[0] == delay.between[1]:
            yield f"delay, between: {delay.between[0]} is no way to itself"
    if orders(question) > ORDERS_MAX:
        yield f"that is about {orders(question):,.0f} orders, over {ORDERS_MAX:,}: lower demand or minutes"


def _times(question: Question) -> Iterator[str]:
    for region in question.regions:
        times = [0.0, *(change.at_minute for change in region.then)]
        if any(later <= earlier for earlier, later in pairwise(times)):
            yield f"region {region.name}, then: at_minute has to rise from above 0"
    for number, cut in enumerate(question.cut, 1):
        yield from _unknown(f"cut {number}, regions", cut.regions, question.names)
        if not 0 < len(set(cut.regions)) < len(question.names):
            yield f"cut {number}, regions: some, not all; the others are the other side"
        if not cut.from_minute < cut.to_minute <= question.minutes:
            yield f"cut {number}: from_minute < to_minute ≤ {question.minutes:g}, when the sale ends"


def _unknown(where: str, given: tuple[str, ...], known: tuple[str, ...]) -> Iterator[str]:
    for name in given:
        if name not in known:
            yield f"{where}: {name!r} is none of {', '.join(known)}"


def orders(question: Question) -> float:
    """How many orders are to be expected."""
    return sum(
        demand * (end - begin)
        for region in question.regions
        for begin, end, demand in spans(region, question.minutes)
    )


def spans(region: Region, minutes: float) -> Iterator[tuple[float, float, float]]:
    """(from, to, orders a minute)."""
    turns = [(0.0, region.demand), *((change.at_minute, change.demand) for change in region.then)]
    ends = [*(begin for begin, _ in turns[1:]), minutes]
    for (begin, demand), end in zip(turns, ends, strict=True):
        if begin < minutes:
            yield begin, min(end, minutes), demand
