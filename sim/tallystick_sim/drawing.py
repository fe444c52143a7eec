"""Draws the plan of a run from its seed."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tallystick_sim.faults import draw_ambience, draw_faults, draw_kinds
from tallystick_sim.plan import SIZES, Plan, Size
from tallystick_sim.workload import draw_habits, draw_requests

_POLICIES = ("off", "even", "demand")


class Wanted(NamedTuple):
    """What is asked of a run; what is left empty is drawn."""

    size: Size = SIZES["small"]
    faults: tuple[str, ...] = ()
    """The kinds to enable, all of them; empty: some are drawn."""
    habits: tuple[str, ...] = ()


def draw_plan(seed: int, wanted: Wanted = Wanted()) -> Plan:  # noqa: B008 - immutable
    """The run that this seed names. Each part has chance of its own."""
    size = wanted.size

    def stream(name: str) -> Random:
        return Random(f"{seed}/plan/{name}")

    world = stream("world")
    swapped, policy = world.random() < 0.5, world.choice(_POLICIES)
    kinds = draw_kinds(stream("kinds"), wanted.faults)
    habits = draw_habits(stream("habits"), wanted.habits)
    return Plan(
        seed,
        size,
        swapped,
        policy,
        habits,
        draw_ambience(stream("ambience"), size.nodes, kinds),
        kinds,
        draw_faults(stream("faults"), size, kinds),
        draw_requests(stream("requests"), size, habits, swapped=swapped),
    )
