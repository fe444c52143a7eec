"""Many runs, on all cores, and what they come to together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import blake2b
from itertools import combinations
from multiprocessing import get_context
from typing import Any, NamedTuple

from tallystick_sim.drawing import Wanted
from tallystick_sim.faults import ALL_KINDS, AMBIENT, SICK
from tallystick_sim.probes import KNOWN
from tallystick_sim.run import Result, run_seed

KNOWN_PAIRS = frozenset(frozenset(pair) for pair in combinations(ALL_KINDS, 2) if not SICK.issuperset(pair))
"""Kinds of fault that one run can have both of."""
NEVER_BIT_SEEDS = 20
"""In fewer runs that have a kind of fault, it may be chance that none of them felt it."""


class Summary(NamedTuple):
    """What many runs came to. It can be written as JSON as it is."""

    seeds: int
    first_seed: int
    simulated_seconds: float
    wall_seconds: float
    cpu_seconds: float
    orders: int
    faults: dict[str, int]
    """Kind → how often it was felt."""
    fault_pairs: dict[str, Any]
    """Pairs of kinds that one run has felt both of: how many were, of how many, and which were not."""
    faults_a_seed: float
    """The median of what was planned, beside what is wrong all the time."""
    probes: dict[str, Any]
    violations: list[dict[str, Any]]
    never_bit: list[str]
    """Kinds that were enabled and never felt: such a batch proves nothing of them, and has failed."""
    trace_hash: str

    @property
    def failed(self) -> bool:
        """Whether there is anything to look into."""
        return bool(self.violations or self.never_bit)


def run_seeds(
    seeds: Sequence[int], wanted: Wanted, *, jobs: int, done: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Run all of them; `done` hears of each. Answers them in order of their seeds."""
    results = []
    for result in _results(seeds, partial(run_seed, wanted=wanted), jobs):
        results.append(result)
        done(result)
    return sorted(results, key=lambda result: result.seed)


def _results(seeds: Sequence[int], run: Callable[[int], Result], jobs: int) -> Iterator[Result]:
    if jobs <= 1 or len(seeds) <= 1:
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(min(jobs, len(seeds)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(run, seeds, chunksize=max(1, min(16, len(seeds) // jobs // 4)))


def summarise(results: Sequence[Result], wall_seconds: float) -> Summary:
    """What they come to."""
    faults: Counter[str] = Counter()
    probes: Counter[str] = Counter()
    enabled: Counter[str] = Counter()
    trace = blake2b(digest_size=16)
    for result in results:
        faults.update(result.faults)
        probes.update(result.probes)
        enabled.update(result.enabled)
        trace.update(result.trace_hash.encode())
    timed = sorted(result.timed for result in results)
    return Summary(
        len(results),
        results[0].seed if results else 0,
        round(sum(result.simulated_seconds for result in results), 3),
        round(wall_seconds, 3),
        round(sum(result.cpu_seconds for result in results), 3),
        sum(result.orders for result in results),
        dict(sorted(faults.items())),
        _pairs(results),
        timed[len(timed) // 2] if timed else 0,
        {"reached": len(probes), "known": len(KNOWN), "counts": dict(sorted(probes.items()))},
        [{"seed": result.seed, **each._asdict()} for result in results for each in result.violations],
        sorted(kind for kind, runs in enabled.items() if runs >= _enough(kind) and not faults[kind]),
        trace.hexdigest(),
    )


def _pairs(results: Sequence[Result]) -> dict[str, Any]:
    felt = {frozenset(pair) for result in results for pair in combinations(result.faults, 2)}
    missing = sorted(sorted(pair) for pair in KNOWN_PAIRS - felt)
    return {"reached": len(KNOWN_PAIRS) - len(missing), "known": len(KNOWN_PAIRS), "missing": missing}


def _enough(kind: str) -> int:
    """Runs with a kind of fault that can't all have missed it."""
    return 1 if kind in AMBIENT else NEVER_BIT_SEEDS
