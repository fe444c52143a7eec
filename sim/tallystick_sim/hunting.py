"""Hunting mutants: small seeds, one after the other, until a checker complains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import NamedTuple

from tallystick_sim.mutants import MUTANTS, Mutant
from tallystick_sim.run import run_seed

SEEDS_MAX = 500
"""A mutant that so many seeds do not catch has survived."""


class Catch(NamedTuple):
    """What became of a mutant. It can be written as JSON as it is."""

    mutant: str
    checker: str
    """Whose complaint was the first; empty if it survived."""
    message: str
    runs: int
    """How many seeds it took."""
    seed: int
    """The last of them."""
    simulated_seconds: float
    """How long the last run lasted."""

    @property
    def survived(self) -> bool:
        """Whether nobody noticed."""
        return not self.checker


def named(names: Sequence[str]) -> tuple[Mutant, ...]:
    """The mutants of these names; all if none is named. Raises KeyError."""
    known = {mutant.name: mutant for mutant in MUTANTS}
    return tuple(known[name] for name in names) if names else MUTANTS


def hunt(name: str, first_seed: int, seeds: int) -> Catch:
    """Run seeds on a mutant until one catches it. The engine is changed in this whole process meanwhile."""
    (mutant,) = named((name,))
    for seed in range(first_seed, first_seed + seeds):
        result = run_seed(seed, patch=mutant.patch, hasty=True)
        if result.violations:
            checker, message, _ = result.violations[0]
            return Catch(name, checker, message, seed - first_seed + 1, seed, result.simulated_seconds)
    return Catch(name, "", "", seeds, first_seed + seeds - 1, 0.0)


def hunt_all(mutants: Sequence[Mutant], first_seed: int, seeds: int, jobs: int) -> Iterator[Catch]:
    """Hunt all of them, in processes of their own; answers each when it is caught."""
    with ProcessPoolExecutor(min(jobs, len(mutants)), mp_context=get_context("spawn")) as pool:
        hunts = [pool.submit(hunt, mutant.name, first_seed, seeds) for mutant in mutants]
        for done in as_completed(hunts):
            yield done.result()
