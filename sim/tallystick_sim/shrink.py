"""The shortest story that still fails: faults and calls of a plan are left out, as long as what is left
breaks the same promise.

Source: Zeller and Hildebrandt, *Simplifying and Isolating Failure-Inducing Input* (2002), delta debugging.
What is left out changes nothing in what is left, since a plan is drawn before the run.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import NamedTuple, TypeVar

from tallystick_sim.plan import Fault, Plan, Request
from tallystick_sim.run import Patch, run_plan

T = TypeVar("T")
RUNS_MAX = 400


class Shrunk(NamedTuple):
    """The shortest plan that was found, and the promise that it breaks."""

    plan: Plan
    checker: str
    runs: int


class _Spent(Exception):
    """As many runs were made as may be."""


def shrink(
    plan: Plan,
    *,
    patch: Patch = nullcontext,
    runs_max: int = RUNS_MAX,
    told: Callable[[Plan], None] = lambda _: None,
) -> Shrunk | None:
    """None if it does not fail at all. `told` hears of each shorter story."""
    first = run_plan(plan, patch=patch).violations
    if not first:
        return None
    checker, runs, best = first[0].checker, 1, plan

    def fails(candidate: Plan) -> bool:
        nonlocal runs, best
        if runs >= runs_max:
            raise _Spent
        runs += 1
        failed = any(each.checker == checker for each in run_plan(candidate, patch=patch).violations)
        if failed:
            best = candidate
            told(candidate)
        return failed

    with suppress(_Spent):  # the best so far is what it comes to then
        _shrink(plan, fails)
    return Shrunk(best, checker, runs)


def _shrink(plan: Plan, fails: Callable[[Plan], bool]) -> None:
    """Faults first: they are few. Then calls, then what is wrong all the time; until nothing more goes."""
    size = -1
    while size != len(plan.faults) + len(plan.requests):
        size = len(plan.faults) + len(plan.requests)
        plan = plan._replace(faults=_fewest(plan.faults, partial(_with_faults, fails, plan)))
        plan = plan._replace(requests=_fewest(plan.requests, partial(_with_requests, fails, plan)))
        for calm in ({"lost": 0.0}, {"doubled": 0.0}, {"overtaken": 0.0}, {"skews_ms": ()}, {"drifts": ()}):
            calmer = plan._replace(ambience=plan.ambience._replace(**calm))
            if calmer != plan and fails(calmer):
                plan = calmer


def _with_faults(fails: Callable[[Plan], bool], plan: Plan, kept: tuple[Fault, ...]) -> bool:
    return fails(plan._replace(faults=kept))


def _with_requests(fails: Callable[[Plan], bool], plan: Plan, kept: tuple[Request, ...]) -> bool:
    return fails(plan._replace(requests=kept))


def _fewest(items: tuple[T, ...], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """A part of `items` that fails, and of which nothing more can be left out piece by piece."""
    if not items or fails(()):
        return ()
    pieces = 2
    while len(items) >= 2:
        size = -(-len(items) // pieces)
        for start in range(0, len(items), size):
            kept = (*items[:start], *items[start + size :])
            if fails(kept):
                items, pieces = kept, max(pieces - 1, 2)
                break
        else:
            if pieces >= len(items):
                break
            pieces = min(len(items), 2 * pieces)
    return items
