"""`slow_peer`: what two regions sell while the third is frozen or behind a slow line, over a healthy one."""

from __future__ import annotations

from benchmarks.regions.bench import Bench
from benchmarks.regions.cluster import running
from benchmarks.regions.finding import Finding, at_least, ratio

NAME = "slow_peer"
SLOW_BYTES_PER_S = 64_000
_TARGET = at_least(0.9)


def measure(bench: Bench) -> list[Finding]:
    """Batches at two regions; the third healthy, frozen, healthy, slow."""
    healthy: list[float] = []
    frozen: list[float] = []
    slow: list[float] = []
    with running(bench.folder / NAME, rtt_ms=bench.settings.rtt_ms) as cluster:
        third, roads = cluster.regions[2], cluster.roads
        for _ in bench.rounds(NAME):
            healthy.append(bench.batches(cluster.targets[:2]).orders_per_s)
            cluster.settle()
            third.node.process.pause()
            frozen.append(bench.batches(cluster.targets[:2]).orders_per_s)
            third.node.process.resume()
            cluster.settle()
            roads.slow(third.name, SLOW_BYTES_PER_S)
            slow.append(bench.batches(cluster.targets[:2]).orders_per_s)
            roads.slow(third.name, None)
            cluster.settle()
        cluster.verify(bench.units)
    yardstick = ("healthy third, orders/s", healthy)
    line = f"{SLOW_BYTES_PER_S // 1000} kB/s"
    return [
        ratio(NAME, "two regions, third frozen / healthy", ("frozen, orders/s", frozen), yardstick, _TARGET),
        ratio(NAME, f"two regions, third at {line} / healthy", ("slow, orders/s", slow), yardstick, _TARGET),
    ]
