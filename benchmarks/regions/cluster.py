"""Several regions: a node each, the roads between them, and waiting until they know the same."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import grpc

from benchmarks.node import Node
from benchmarks.processes import Failed
from benchmarks.regions.roads import Roads
from tallystick.v1 import cluster_service_pb2 as contract
from tallystick.v1 import cluster_service_pb2_grpc

NAMES = ("eu", "us", "ap")

_CALL_S = 30.0
_POLL_S = 0.005
_AGREE_S = 120.0

Vector = Mapping[str, int]


class Region:
    """One node, and a channel to ask it how it is."""

    def __init__(self, name: str, node: Node) -> None:
        self.name = name
        self.node = node
        self._closed = False
        self._channel = grpc.insecure_channel(node.target)
        self._stub = cluster_service_pb2_grpc.ClusterServiceStub(self._channel)

    def status(self) -> contract.GetStatusResponse:
        return self._stub.GetStatus(contract.GetStatusRequest(), timeout=_CALL_S)

    def invite(self) -> str:
        answer = self._stub.CreateInvitation(contract.CreateInvitationRequest(), timeout=_CALL_S)
        return str(answer.invitation)

    def close(self) -> None:
        """Stop it in order; a second time does no harm."""
        if not self._closed:
            self._closed = True
            self._channel.close()
            self.node.process.stop()


class Cluster:
    """Regions of one cluster. `roads` is None if they reach each other directly."""

    def __init__(self, regions: Sequence[Region], roads: Roads | None) -> None:
        self.regions = regions
        self._roads = roads

    @property
    def roads(self) -> Roads:
        assert self._roads is not None, "this cluster was started without relays"
        return self._roads

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(region.node.target for region in self.regions)

    def pause(self) -> None:
        """Stop all where they stand: it is another's turn."""
        for region in self.regions:
            region.node.process.pause()

    def resume(self) -> None:
        """Let all go on, and wait until they have found each other."""
        for region in self.regions:
            region.node.process.resume()
        self.settle()

    def vectors(self) -> list[Vector]:
        """What each has on disk."""
        return [dict(region.status().vector) for region in self.regions]

    def everything(self) -> Vector:
        """All events that anybody has by now."""
        most: dict[str, int] = {}
        for vector in self.vectors():
            most |= {node: max(seq, most.get(node, 0)) for node, seq in vector.items()}
        return most

    def catch_up(self, wanted: Vector | None = None) -> float:
        """Wait until each has all of `wanted` (of what there is by now). Answers when: on perf_counter.

        Nodes move tokens by themselves, so vectors that are asked for in turn need never be equal.
        """
        wanted = self.everything() if wanted is None else wanted
        until = time.monotonic() + _AGREE_S
        for region in self.regions:
            while not _has(dict(region.status().vector), wanted):
                if time.monotonic() > until:
                    raise Failed(f"{region.name} lacks events of others {_AGREE_S:g} s after the last order")
                time.sleep(_POLL_S)
        return time.perf_counter()

    def settle(self) -> None:
        """Wait until all are linked, know the same, and have counted it."""
        until = time.monotonic() + _AGREE_S
        while not all(_is_settled(region.status(), len(self.regions)) for region in self.regions):
            if time.monotonic() > until:
                raise Failed(f"the regions were not linked within {_AGREE_S:g} s")
            time.sleep(_POLL_S * 10)
        self.catch_up()

    def verify(self, units: int) -> None:
        """Each says that so many units were sold, and none has found a difference."""
        self.settle()
        for region in self.regions:
            sold, status = region.node.sold(), region.status()
            if sold != units:
                raise Failed(f"{units} units were acknowledged, {region.name} says that {sold} are sold")
            if status.divergences:
                raise Failed(f"{region.name} has found {status.divergences} differences between replicas")


def _has(vector: Vector, wanted: Vector) -> bool:
    return all(vector.get(node, 0) >= seq for node, seq in wanted.items())


def _is_settled(status: contract.GetStatusResponse, regions: int) -> bool:
    linked = sum(peer.link == contract.LINK_STATE_UP for peer in status.peers)
    return linked == regions - 1 and not status.installing and status.state == contract.MEMBER_STATE_ACTIVE


@contextlib.contextmanager
def running(
    folder: Path, names: Sequence[str] = NAMES, rtt_ms: float | None = None, *, stocked: bool = True
) -> Iterator[Cluster]:
    """Found a cluster in the first region, let the others join, book in stock for each; end it all.

    Through relays if `rtt_ms` is given. Of two nodes the one with the lower id dials; which that is shows
    only when both run, so each has a way to the other.
    """
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        roads = None
        if rtt_ms is not None:
            roads = Roads(names, rtt_ms)
            stack.callback(roads.close)
        regions: list[Region] = []
        for name in names:
            region = Region(name, Node(folder / name, name, _flags(name, regions, roads, names)))
            stack.callback(region.close)
            regions.append(region)
            if roads is not None:
                roads.aim(name, region.node.target)
        cluster = Cluster(regions, roads)
        cluster.settle()
        if stocked:
            for region in regions:
                region.node.receive_stock()
            cluster.settle()
        yield cluster


def _flags(name: str, others: Sequence[Region], roads: Roads | None, names: Sequence[str]) -> list[str]:
    flags = ["--new-cluster"]
    if others:
        founder = others[0]
        way = roads.way(name, founder.name) if roads else founder.node.target
        flags = ["--join", way, "--invitation", founder.invite()]
    if roads is not None:
        for other in names:
            if other != name:
                flags += ["--route", f"{other}={roads.way(name, other)}"]
    return flags
