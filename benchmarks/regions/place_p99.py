"""`place_p99`: does placing notice the links between regions, a cut, or a peer that catches up?

Three regions, 80 ms round trip, an open loop at each. The yardstick is the same processes with every link cut
from before the window to after it.
"""

from __future__ import annotations

from threading import Timer

from benchmarks.regions.bench import Bench
from benchmarks.regions.cluster import Cluster, running
from benchmarks.regions.finding import Finding, at_most, ratio

NAME = "place_p99"
_UP, _CUT, _PART, _HEALING = "links up", "all links cut", "one region cut off", "catching up after that"
_TARGET = at_most(1.2)


def measure(bench: Bench) -> list[Finding]:
    """Windows in turn: all cut, up, one cut off, healing."""
    p99: dict[str, list[float]] = {each: [] for each in (_CUT, _UP, _PART, _HEALING)}
    with running(bench.folder / NAME, rtt_ms=bench.settings.rtt_ms) as cluster:
        for _ in bench.rounds(NAME):
            for kind, value in _round(bench, cluster):
                p99[kind].append(value)
        cluster.verify(bench.units)
    ms = {kind: (f"{kind}, ms", values) for kind, values in p99.items()}
    return [
        ratio(NAME, f"p99 of placing, {_UP} / {_CUT}", ms[_UP], ms[_CUT], _TARGET),
        ratio(NAME, f"p99 of placing, {_PART} / {_CUT}", ms[_PART], ms[_CUT], _TARGET),
        ratio(NAME, f"p99 of placing, {_HEALING} / {_CUT}", ms[_HEALING], ms[_CUT]),
    ]


def _round(bench: Bench, cluster: Cluster) -> list[tuple[str, float]]:
    names, roads = [region.name for region in cluster.regions], cluster.roads
    roads.cut(*([name] for name in names))
    cut = bench.paced(cluster.targets)
    roads.heal()
    cluster.settle()
    up = bench.paced(cluster.targets)
    cluster.settle()
    roads.cut(names[:1], names[1:])
    part = bench.paced(cluster.targets)
    # Within the window, a third in or so: before it, all would be caught up with when the load begins.
    healer = Timer(bench.settings.warm_s + bench.settings.seconds / 3, roads.heal)
    healer.start()
    healing = bench.paced(cluster.targets)
    healer.join()
    cluster.settle()
    found = ((_CUT, cut), (_UP, up), (_PART, part), (_HEALING, healing))
    return [(kind, figures.p99_ms) for kind, figures in found]
