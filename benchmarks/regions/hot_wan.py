"""`hot_wan`: one hot item over a long line, by all our regions together and by a database with a standby.

PostgreSQL sells in one region, and commits when its standby in another has the commit on disk
(`synchronous_commit = on`): the lock on the item's row is held for a round trip. Ours sell in every region.
Both use the same kind of relays, with the same delay.
"""

from __future__ import annotations

from benchmarks.peers.postgres_wan import CLIENTS, PostgresWan
from benchmarks.regions.bench import Bench
from benchmarks.regions.cluster import Cluster, running
from benchmarks.regions.finding import Finding, at_least, ratio
from benchmarks.systems import Cell, Window
from benchmarks.workload import Shape

NAME = "hot_wan"
PEER = "postgres-wan"
_TARGET = at_least(100.0)
_HOT = Shape(lines=1, items=1)


def measure(bench: Bench) -> list[Finding]:
    """In turn; whoever's turn it isn't is paused."""
    settings = bench.settings
    window = Window(warm_s=settings.warm_s, seconds=settings.seconds)
    cell = Cell(system=PEER, mode="call", shape=_HOT, in_flight=CLIENTS)
    ours: list[float] = []
    theirs: list[float] = []
    with running(bench.folder / NAME, rtt_ms=settings.rtt_ms) as cluster:
        postgres = PostgresWan(bench.folder, settings.rtt_ms)
        try:
            postgres.pause()
            for _ in bench.rounds(NAME):
                ours.append(_ours(bench, cluster))
                cluster.pause()
                postgres.resume()
                theirs.append(postgres.measure(cell, window).orders_per_s)
                postgres.pause()
                cluster.resume()
            cluster.verify(bench.units)
        finally:
            postgres.stop()
    return [
        ratio(
            NAME,
            f"one hot item, ours together / PostgreSQL with a standby {settings.rtt_ms:g} ms away",
            ("ours, orders/s", ours),
            ("PostgreSQL, orders/s", theirs),
            _TARGET,
        )
    ]


def _ours(bench: Bench, cluster: Cluster) -> float:
    figures = bench.sdk(cluster.targets, _HOT)
    cluster.settle()
    return figures.orders_per_s
