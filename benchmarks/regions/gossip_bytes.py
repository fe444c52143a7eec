"""`gossip_bytes`: all that passes between nodes, over the frames that had to.

Each event has to cross to each other node once, as a part of its frame. The relays count what really passed,
both ways: frames, acknowledgements, digests, gRPC's and HTTP/2's own.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.regions.bench import Bench
from benchmarks.regions.cluster import Cluster, Vector, running
from benchmarks.regions.finding import Finding, at_most, median, ratio
from tallystick.core.replica.keys import frame_key
from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.port import Table

NAME = "gossip_bytes"
_TARGET = at_most(1.3)


class _Passed:
    """What passed in the windows of one kind of load."""

    def __init__(self) -> None:
        self.wire: list[float] = []
        self.spans: list[tuple[Vector, Vector]] = []


def measure(bench: Bench) -> list[Finding]:
    """At a steady pace, and under full load."""
    kinds = {
        f"{bench.settings.orders_per_s:g} orders/s a region": bench.paced,
        "full load": bench.batches,
    }
    passed = {kind: _Passed() for kind in kinds}
    with running(bench.folder / NAME, rtt_ms=bench.settings.rtt_ms) as cluster:
        for _ in bench.rounds(NAME):
            for kind, load in kinds.items():
                before, bytes_before = _all_there(cluster)
                load(cluster.targets)
                after, bytes_after = _all_there(cluster)
                passed[kind].spans.append((before, after))
                passed[kind].wire.append(bytes_after - bytes_before)
        cluster.verify(bench.units)
        one, peers = cluster.regions[0], len(cluster.regions) - 1
        one.close()
        return [
            finding
            for kind, each in passed.items()
            for finding in _findings(kind, each, one.node.data, peers)
        ]


def _findings(kind: str, passed: _Passed, data: Path, peers: int) -> list[Finding]:
    sums = [_frames_between(data, *span) for span in passed.spans]
    frames = [float(peers * size) for size, _ in sums]
    per_event = [wire / peers / events for wire, (_, events) in zip(passed.wire, sums, strict=True)]
    ours, theirs = ("passed, bytes", passed.wire), ("frames, bytes", frames)
    return [
        ratio(NAME, f"{kind}: bytes passed / of frames", ours, theirs, _TARGET),
        median(NAME, f"{kind}: bytes passed an order and peer", "B", per_event),
    ]


def _all_there(cluster: Cluster) -> tuple[Vector, float]:
    cluster.settle()
    return cluster.everything(), cluster.roads.passed()


def _frames_between(data: Path, before: Vector, after: Vector) -> tuple[int, int]:
    """Bytes of the frames that hold the events between two vectors, and how many events those are."""
    backend = LmdbBackend(data)
    try:
        with backend.snapshot() as snapshot:
            size = 0
            for node, last in after.items():
                origin = int(node, 16)
                start = frame_key(origin, before.get(node, 0) + 1, b"")
                for _, frame in snapshot.scan(Table.FRAMES, start, frame_key(origin, last + 1, b"")):
                    size += len(frame)
    finally:
        backend.close()
    return size, sum(last - before.get(node, 0) for node, last in after.items())
