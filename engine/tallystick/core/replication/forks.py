"""Chains that split: one node's number under two hashes, since its disk was rolled back or cloned.

Of others' chains it is enough to stop the one that split. Of our own a peer has what we do not: then this
node is not the one that the others know, and must write no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tallystick.core.clock import EMPTY_HEAD, Head
from tallystick.core.members import node_name

OWN_CHAIN_LOST = "OWN_CHAIN_LOST"
FORK = "FORK"


class Fork(NamedTuple):
    """What was found: of which origin, a stable reason, and a sentence."""

    origin: int
    reason: str
    message: str


def fork_of(origin: int, seq: int) -> Fork:
    """Another node wrote two chains, which differ at event `seq` or before."""
    return Fork(
        origin,
        FORK,
        f"node {node_name(origin)} has two chains up to its event {seq}: its disk was rolled back or "
        "cloned. Nothing more is taken of it; decommission it",
    )


def own_fork(me: int, mine: Head, peer: int, theirs: Head) -> Fork:
    """The peer has a head of ours that is not on our chain."""
    return Fork(
        me,
        OWN_CHAIN_LOST,
        f"peer {node_name(peer)} has event {theirs.seq} of this node, which itself has {mine.seq}, and not "
        "that one: the disk was rolled back or cloned. Stop this node, and let a new one join in its place",
    )


def told_fork(me: int, message: str) -> Fork:
    """A peer found that we wrote two chains: one of them is somebody else's, and nobody can tell whose."""
    return Fork(me, OWN_CHAIN_LOST, message)


def find_forks(me: int, vector: Mapping[int, Head], peer: int, theirs: Mapping[int, Head]) -> list[Fork]:
    """What two vectors tell. A number that only one side has reached tells nothing, except of our own."""
    found = []
    for origin, head in theirs.items():
        mine = vector.get(origin, EMPTY_HEAD)
        split = mine.seq == head.seq and mine.digest != head.digest
        if origin == me and (split or head.seq > mine.seq):
            found.append(own_fork(me, mine, peer, head))
        elif split:
            found.append(fork_of(origin, head.seq))
    return found
