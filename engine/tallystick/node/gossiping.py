"""Rounds of gossip: every now and then a peer is told where we are, our digests of some buckets, and what is
asked for here; what peers tell is compared and remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from tallystick.core.clock import Vector
from tallystick.core.members import node_name
from tallystick.core.replication.effects import Alarm, Effect, Send
from tallystick.core.replication.link import Link
from tallystick.core.replication.messages import Digest
from tallystick.node.balancing import Balancer
from tallystick.node.proving import Finding, Proof
from tallystick.node.surveying import Counts, Wanted, count_all, describe
from tallystick.store.reader import Reader

log = structlog.get_logger("gossip")

ROUND_S = 0.5
NAMED_BUCKETS = 8
"""How many buckets one alarm names."""


class Gossip:
    """One node's rounds: to each link in turn, so that each is told as often as the others."""

    def __init__(self, proof: Proof, balancer: Balancer) -> None:
        self.proof = proof
        self.balancer = balancer
        self.root: tuple[bytes, Vector] = (b"", {})
        """The name of the whole state, and the vector that it was of."""
        self._turn = 0
        self._counting = False
        self._seen: Vector = {}

    def round(self, now_ms: int, links: Sequence[Link], vector: Vector) -> list[Effect]:
        """It is time for one; `links` are those that have greeted. Answers what to send."""
        if vector == self._seen and (self.root[1] != vector or not self.root[0]):
            # Only when all is quiet: else it would cost much and be out of date at once.
            self.root = (self.proof.root(), dict(vector))
        self._seen = dict(vector)
        if not links:
            return []
        self._turn += 1
        link = links[self._turn % len(links)]
        first, buckets = self.proof.tell(link.peer)
        demands, stamp = self.balancer.demands.tell(link.number, now_ms)
        return [Send(link.number, Digest(dict(vector), first, buckets, demands, stamp))]

    def heard(self, link: int, peer: int, digest: Digest, now_ms: int, wall_ms: int) -> list[Finding]:
        """A peer's round; answers what is new to us and wrong."""
        for key in self.balancer.demands.hear(link, digest.demands, digest.stamp, now_ms):
            self.balancer.changed(key)
        return self.proof.hear(peer, digest.first_bucket, digest.buckets, wall_ms)

    @property
    def wants_count(self) -> bool:
        """Whether all records are to be counted now."""
        return self.proof.active and not self.proof.counted and not self._counting

    def count(self) -> Wanted:
        """Count the state of the very moment at which that begins."""
        self._counting = True

        def prepare() -> Callable[[Reader], Counts]:
            self.proof.begin()
            return count_all

        return Wanted(prepare, self._counted)

    def _counted(self, counts: Counts) -> None:
        self._counting = False
        self.proof.counted_all(counts.sums)
        for each in counts.rotten:
            # It counts for nothing, so that peers find the difference too.
            log.error("a record is corrupt", table=each.table.value, record=describe(each.table, each.key))
        log.info("counted", records=counts.records, rotten=len(counts.rotten))


def alarm(peer: int, findings: Sequence[Finding]) -> Alarm:
    """That some buckets are not what a peer has."""
    named = ", ".join(str(finding.bucket) for finding in findings[:NAMED_BUCKETS])
    more = ", …" if len(findings) > NAMED_BUCKETS else ""
    return Alarm(
        "DIVERGENCE",
        f"{len(findings)} buckets are not what node {node_name(peer)} has, though both have the same events: "
        f"{named}{more}. Their records are named next; tally cluster verify names them again",
        peer,
    )
