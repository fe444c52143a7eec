"""Rounds of gossip: every now and then a peer is told where we are, our digests of some buckets, and what is
asked for here; what peers tell is compared and remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from tallystick.core.clock import Vector
from tallystick.core.members import node_name
from tallystick.core.replication.effects import Alarm, Count, Effect, Send
from tallystick.core.replication.link import Link
from tallystick.core.replication.messages import Digest
from tallystick.node.balancing import Balancer
from tallystick.node.proving import Proof
from tallystick.store.reader import Reader

log = structlog.get_logger("gossip")

ROUND_S = 0.5


class Gossip:
    """One node's rounds: to each link in turn, so that each is told as often as the others."""

    def __init__(self, proof: Proof, balancer: Balancer) -> None:
        self.proof = proof
        self.balancer = balancer
        self.root: tuple[bytes, Vector] = (b"", {})
        """The name of the whole state, and the vector that it was of."""
        self._turn = 0
        self._counting = False

    def round(self, wall_ms: int, links: Sequence[Link], vector: Vector) -> list[Effect]:
        """It is time for one; `links` are those that have greeted. Answers what to send."""
        if self.root[1] != vector or not self.root[0]:
            self.root = (self.proof.root(), dict(vector))
        if not links or not self.proof.counted:
            return []
        self._turn += 1
        first, buckets = self.proof.tell()
        digest = Digest(dict(vector), first, buckets, self.balancer.tell(wall_ms))
        return [Send(links[self._turn % len(links)].number, digest)]

    def heard(self, peer: int, digest: Digest, wall_ms: int) -> list[Effect]:
        """A peer's round; answers alarms."""
        self.balancer.hear(peer, digest.demands, wall_ms)
        found = self.proof.hear(peer, digest.first_bucket, digest.buckets, wall_ms)
        return [
            Alarm(
                "DIVERGENCE",
                f"bucket {finding.bucket} is not what node {node_name(peer)} has, though both have the same "
                "events: run tally cluster verify",
                peer,
            )
            for finding in found
        ]

    @property
    def wants_count(self) -> bool:
        """Whether all records are to be counted now."""
        return self.proof.active and not self.proof.counted and not self._counting

    def begin_count(self, reader: Reader, close: Callable[[], None]) -> Count:
        """Count this reader's state, which is that of this very moment."""
        self._counting = True
        self.proof.begin()
        return Count(reader, close)

    def counted(self, sums: list[int]) -> None:
        """The count is here."""
        self._counting = False
        self.proof.counted_all(sums)
        log.info("counted", buckets=len(sums))
