"""`together`: what three regions on one machine sell together, over what one sells that is alone.

Every order is stored three times, so the machine does three times the writing. Both are real processes on the
same cores; whoever's turn it isn't is paused.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from benchmarks.figures import Figures
from benchmarks.regions.bench import Bench
from benchmarks.regions.cluster import Cluster, running
from benchmarks.regions.finding import Finding, at_least, ratio

NAME = "together"
_TARGET = at_least(0.5)


def measure(bench: Bench) -> list[Finding]:
    """Batches and SDK calls, alone and together in turn."""
    loads: dict[str, Callable[[tuple[str, ...]], Figures]] = {
        "batches of 100": bench.batches,
        "SDK calls": bench.sdk,
    }
    alone: dict[str, list[float]] = {kind: [] for kind in loads}
    together: dict[str, list[float]] = {kind: [] for kind in loads}
    everywhere: dict[str, list[float]] = {kind: [] for kind in loads}
    with (
        running(bench.folder / "alone", ("alone",)) as one,
        running(bench.folder / NAME) as three,
    ):
        three.pause()
        for _ in bench.rounds(NAME):
            for kind, load in loads.items():
                alone[kind].append(load(one.targets).orders_per_s)
                one.pause()
                three.resume()
                accepted, stored = _together(load, three)
                together[kind].append(accepted)
                everywhere[kind].append(stored)
                three.pause()
                one.resume()
        three.resume()
        # What was acknowledged by either is sold in it: the rest of all is the three's, and each says so.
        three.verify(bench.units - one.regions[0].node.sold())
    found = []
    for kind in loads:
        yardstick = ("one alone, orders/s", alone[kind])
        ours = ("three together, orders/s", together[kind])
        stored_by_all = ("on all three disks, orders/s", everywhere[kind])
        found += [
            ratio(NAME, f"{kind}: accepted by three / by one alone", ours, yardstick, _TARGET),
            ratio(NAME, f"{kind}: stored by all three / by one alone", stored_by_all, yardstick),
        ]
    return found


def _together(load: Callable[[tuple[str, ...]], Figures], three: Cluster) -> tuple[float, float]:
    """Orders a second that were accepted; and that were accepted and had reached everybody, the wait for the
    last ones included."""
    before = sum(three.everything().values())
    begun = perf_counter()
    figures = load(three.targets)
    wanted = three.everything()
    done = three.catch_up(wanted)
    return figures.orders_per_s, (sum(wanted.values()) - before) / (done - begun)
