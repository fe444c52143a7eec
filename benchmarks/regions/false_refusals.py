"""`false_refusals`: does anybody hear "sold out" while a region that can be reached has some left?

The tokens of each item are split evenly and nobody moves any by hand. 80% of the demand comes to one region,
20% to the others, until the stock is out everywhere.
"""

from __future__ import annotations

import sys

import msgspec

from benchmarks.load.sellout import SellOut, Sold
from benchmarks.processes import Failed, run
from benchmarks.regions.bench import Bench
from benchmarks.regions.cluster import Cluster, running
from benchmarks.regions.finding import Finding, at_least, median

NAME = "false_refusals"
ITEMS = 40
_TARGET = at_least(0.99)
_BUSY = 0.8
_PATIENCE = 4.0


def measure(bench: Bench) -> list[Finding]:
    """Each round sells items of its own."""
    shares, false, sold = [], [], []
    with running(bench.folder / NAME, rtt_ms=bench.settings.rtt_ms, stocked=False) as cluster:
        for number in bench.rounds(NAME):
            spec = _stock(bench, cluster, number)
            report = _sell(spec)
            total = spec.units * len(spec.items)
            if report.accepted > total:
                raise Failed(f"{report.accepted} units were sold of {total}")
            bench.units += report.accepted
            shares.append(report.sold_before / total)
            false.append(float(report.false_refusals))
            sold.append(report.accepted / total)
            cluster.settle()
        cluster.verify(bench.units)
    return [
        median(NAME, "share of units sold before the first false refusal", "", shares, _TARGET),
        median(NAME, "false refusals", "refusals", false),
        median(NAME, "share of units sold in the end", "", sold),
    ]


def _stock(bench: Bench, cluster: Cluster, number: int) -> SellOut:
    """Stock for about twice the length of a window."""
    settings, regions = bench.settings, len(cluster.regions)
    per_s = settings.orders_per_s * regions
    here = max(1, round(2 * settings.seconds * per_s / ITEMS / regions))
    items = tuple(f"ROUND-{number}-{item:03d}" for item in range(ITEMS))
    for region in cluster.regions:
        region.node.receive(dict.fromkeys(items, here), f"round-{number}")
    cluster.settle()
    quiet = (1 - _BUSY) / (regions - 1)
    return SellOut(
        targets=cluster.targets,
        weights=(_BUSY, *(quiet for _ in range(regions - 1))),
        items=items,
        units=here * regions,
        per_s=per_s,
        seconds_max=settings.seconds * _PATIENCE,
        seed=number,
    )


def _sell(spec: SellOut) -> Sold:
    command = [sys.executable, "-m", "benchmarks.load.sellout", msgspec.json.encode(spec).decode()]
    return msgspec.json.decode(run(command, timeout_s=spec.seconds_max + 120), type=Sold)
