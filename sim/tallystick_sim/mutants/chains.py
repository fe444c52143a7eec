"""Wrong about the log and how it reaches others: order, causes, hashes, forks, new nodes, digests."""

from __future__ import annotations

from typing import Any

from tallystick.core.clock import EMPTY_HEAD, Head, Vector
from tallystick.core.frame import Frame
from tallystick.core.replication import holdback, replicator
from tallystick.core.replication.link import Link
from tallystick.core.replication.replicator import Replicator
from tallystick.node import proving, sealing
from tallystick.node.driver import Driver
from tallystick.node.installing import Installer
from tallystick.node.peering import Peering
from tallystick_sim.mutants.patching import Mutant, always, both, swap
from tallystick_sim.run import Patch


def _follow(wrong: Any) -> Patch:
    """What both who take frames and who hold them back call the next of a chain."""
    return both(swap(holdback, "follows", wrong), swap(replicator, "follows", wrong))


def _by_number(_: Any) -> Any:
    def follows(frame: Frame, head: Head) -> bool:
        return frame.first == head.seq + 1

    return follows


def _with_gaps(_: Any) -> Any:
    def follows(frame: Frame, head: Head) -> bool:
        return frame.first > head.seq

    return follows


def _without_hashes(vector: Vector) -> Vector:
    return {origin: Head(head.seq, EMPTY_HEAD.digest) for origin, head in vector.items()}


def _blind(right: Any) -> Any:
    def find_forks(me: int, vector: Any, peer: int, theirs: Any) -> Any:
        here, there = (
            {origin: Head(head.seq, EMPTY_HEAD.digest) for origin, head in heads.items()}
            for heads in (vector, theirs)
        )
        return right(me, here, peer, there)

    return find_forks


def _looks_no_closer(right: Any) -> Any:
    def take_frame(self: Replicator, peer: Link, frame: Frame, now_ms: int) -> None:
        if frame.last > self._reached(frame.origin):
            right(self, peer, frame, now_ms)

    return take_frame


def _from_its_own_head(right: Any) -> Any:
    def begin(self: Replicator, peer: Link, _: Head) -> None:
        right(self, peer, self.vector.get(self.me.replica, EMPTY_HEAD))

    return begin


def _unchained(right: Any) -> Any:
    def encode_frame(origin: int, head: Head, *rest: Any) -> Any:
        return right(origin, Head(head.seq, bytes(32)), *rest)

    return encode_frame


CHAINS = (
    Mutant(
        "forgets-deps",
        "frames do not say what they were made upon",
        1,
        swap(Driver, "_deps", always(())),
    ),
    Mutant(
        "applies-effects-before-causes",
        "a frame is joined before what it was made upon is here",
        1,
        swap(holdback, "_met", always(True)),
    ),
    Mutant(
        "takes-frames-with-gaps",
        "any later frame of a chain passes for the next one",
        1,
        _follow(_with_gaps),
    ),
    Mutant(
        "compares-vectors-without-hashes",
        "chains are compared by numbers alone",
        25,
        both(
            swap(replicator, "find_forks", _blind),
            swap(Replicator, "_take_frame", _looks_no_closer),
            _follow(_by_number),
        ),
    ),
    Mutant(
        "writes-on-after-losing-its-chain",
        "a node that has learned that its disk is not what peers know goes on writing",
        16,
        swap(Peering, "own_chain_lost", lambda _: property(lambda self: None)),
    ),
    Mutant(
        "chains-nothing",
        "a frame does not name the hash of the one before it",
        1,
        swap(sealing, "encode_frame", _unchained),
    ),
    Mutant(
        "never-sends-again",
        "what was sent once is not sent again, whoever lacks it",
        3,
        swap(Link, "rewind", always(None)),
    ),
    Mutant(
        "sends-from-its-own-head",
        "a peer that connects again is sent what comes from now on, not what it lacks",
        18,
        swap(Replicator, "_begin", _from_its_own_head),
    ),
    Mutant(
        "installs-up-to-the-maximum",
        "a new node says that it has all that any row has brought",
        2,
        swap(Installer, "reached", lambda _: property(lambda self: self._high)),
    ),
    Mutant(
        "sums-without-taking-back",
        "a record that changes is added to the digest beside what it was",
        2,
        swap(
            proving,
            "_orders",
            lambda right: lambda view: ((bucket, 0, after) for bucket, _, after in right(view)),
        ),
    ),
)
