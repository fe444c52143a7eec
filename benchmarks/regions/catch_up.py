"""`catch_up`: how soon everybody knows everything after a cut in which both sides went on selling."""

from __future__ import annotations

import time

from benchmarks.processes import Failed
from benchmarks.regions.bench import Bench
from benchmarks.regions.cluster import Cluster, running
from benchmarks.regions.finding import Finding, at_most, median, ratio

NAME = "catch_up"
_TARGET = at_most(2.0)
_POLL_S = 0.001
_RESTORED_S = 30.0


def measure(bench: Bench) -> list[Finding]:
    """One region on one side, two on the other; then the time from the first restored byte."""
    took, whole, placing = [], [], []
    with running(bench.folder / NAME, rtt_ms=bench.settings.rtt_ms) as cluster:
        for _ in bench.rounds(NAME):
            seconds, since_healing, placing_s = _round(bench, cluster)
            took.append(seconds)
            whole.append(since_healing)
            placing.append(placing_s)
        cluster.verify(bench.units)
    orders = f"{bench.settings.cut_orders:,} orders on each side"
    catching = ("catching up, s", took)
    return [
        median(NAME, f"from the first restored byte until all have {orders}", "s", took, _TARGET),
        median(NAME, "the same from the healing, connecting anew included", "s", whole),
        ratio(NAME, "catching up / placing what is caught up with", catching, ("placing, s", placing)),
    ]


def _round(bench: Bench, cluster: Cluster) -> tuple[float, float, float]:
    """Seconds from the first byte; from the healing; and of placing."""
    names, roads = [region.name for region in cluster.regions], cluster.roads
    roads.cut(names[:1], names[1:])
    begun = time.perf_counter()
    for target in cluster.targets[:2]:
        bench.place((target,), bench.settings.cut_orders)
    placing_s = time.perf_counter() - begun
    wanted, passed = cluster.everything(), roads.passed_between(names[:1], names[1:])
    healed = time.perf_counter()
    roads.heal()
    while roads.passed_between(names[:1], names[1:]) == passed:
        if time.perf_counter() - healed > _RESTORED_S:
            raise Failed(f"nothing passed within {_RESTORED_S:g} s after the healing")
        time.sleep(_POLL_S)
    first_byte = time.perf_counter()
    done = cluster.catch_up(wanted)
    cluster.settle()
    return done - first_byte, done - healed, placing_s
