"""What an operator asks for: a size, kinds of faults, or a scenario in a TOML file.

habits = ["flash_sale", "failover"]      # what shops do; all of them if there is none
faults = ["partition", "crash"]          # what goes wrong; drawn by the seed if there is none

[size]                                   # each is that of `small` or `long` if it isn't there
nodes = 4
seconds = 120
orders = 500
faults = 12
healing = 20
"""

from __future__ import annotations

import tomllib
from typing import Any

from tallystick_sim.drawing import Wanted
from tallystick_sim.faults import ALL_KINDS
from tallystick_sim.plan import SIZES, Size
from tallystick_sim.workload import HABITS

NONE = "none"


class BadScenario(ValueError):
    """What was asked for can't be done; the message says what to change."""


def read_wanted(size: str, faults: tuple[str, ...] = (), scenario: str | None = None) -> Wanted:
    """What to run. What `faults` names goes before the scenario's. Raises BadScenario."""
    try:
        asked = tomllib.loads(scenario) if scenario else {}
    except tomllib.TOMLDecodeError as problem:
        raise BadScenario(f"the scenario is not TOML: {problem}") from problem
    _check(asked, ("habits", "faults", "size"), "the scenario")
    kinds = faults or tuple(asked.get("faults", ()))
    habits = tuple(asked.get("habits", ()))
    _check(habits, HABITS, "habits")
    _check(kinds, (*ALL_KINDS, NONE), "faults")
    return Wanted(_size(SIZES[size], asked.get("size", {})), kinds, habits)


def _size(size: Size, asked: dict[str, Any]) -> Size:
    _check(asked, Size._fields, "[size]")
    for name, value in asked.items():
        if not isinstance(value, int | float) or value < 0:
            raise BadScenario(f"{name} in [size] must be a number from 0 on, not {value!r}")
    found = size._replace(**asked)
    if not 2 <= found.nodes <= 8 or found.seconds <= found.healing + 5:
        raise BadScenario("a run needs 2 to 8 nodes, and 5 seconds more than its healing takes")
    return found


def _check(named: Any, known: Any, where: str) -> None:
    for name in named:
        if name not in known:
            raise BadScenario(f"{where}: there is no {name!r}; known are: {', '.join(known)}")
