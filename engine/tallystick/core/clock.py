"""Time and identity: hybrid logical clocks, dots, version vectors.

Sources: Kulkarni et al., *Logical Physical Clocks* (2014) for the HLC; Preguiça et al., *Dotted Version
Vectors* (2010) for dots; the head hash in a vector entry, which makes forks visible, is ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

COUNTER_BITS = 16
REPLICA_ID_MAX = (1 << 48) - 1
FORWARD_LIMIT_MS = 500
"""A peer's clock further ahead of ours than this never moves ours."""

_DOT = re.compile("[0-9a-f]{12}:(0|[1-9][0-9]{0,18})", re.ASCII)


class Dot(NamedTuple):
    """The name of one event: who wrote it and its place in the writer's sequence (from 1)."""

    replica: int
    seq: int

    def __str__(self) -> str:
        return f"{self.replica:012x}:{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Dot:
        """Read what `str` wrote. Raises ValueError on anything else."""
        if not _DOT.fullmatch(text):
            raise ValueError(f"not a dot: {text!r}")
        return cls(int(text[:12], 16), int(text[13:]))


class Head(NamedTuple):
    """Where a replica's chain ends, for somebody: highest contiguous sequence and that frame's hash."""

    seq: int
    digest: bytes


Vector = Mapping[int, Head]
"""Replica id → head of its chain. Numbers alone are blind to forks; hashes are not."""

EMPTY_HEAD = Head(0, bytes(32))


def hlc(ms: int, counter: int = 0) -> int:
    """48 bits of milliseconds and 16 of counter as one integer that sorts by time."""
    return ms << COUNTER_BITS | counter


def hlc_ms(stamp: int) -> int:
    """The physical part, in milliseconds since 1970."""
    return stamp >> COUNTER_BITS


def tick(last: int, now_ms: int) -> int:
    """The stamp of a local event: later than `last`, and at `now_ms` unless the clock went backwards."""
    return max(hlc(now_ms), last + 1)


def receive(last: int, remote: int, now_ms: int) -> tuple[int, bool]:
    """Take note of a peer's stamp; answers (our new last stamp, whether the peer's clock is alarming).

    One that is over FORWARD_LIMIT_MS ahead raises the alarm and never moves ours.
    """
    if hlc_ms(remote) > now_ms + FORWARD_LIMIT_MS:
        return last, True
    return max(last, remote), False


def join_vectors(left: Vector, right: Vector) -> dict[int, Head]:
    """The pointwise higher head. Of two heads with one number the lower hash stands, so that it is a join;
    that there were two is a fork, which `forks` tells."""
    joined = dict(left)
    for replica, head in right.items():
        mine = joined.get(replica)
        if mine is None or head.seq > mine.seq or (head.seq == mine.seq and head.digest < mine.digest):
            joined[replica] = head
    return joined


def forks(left: Vector, right: Vector) -> Iterable[int]:
    """Replicas of which both sides know one number under two hashes."""
    return (
        r for r, head in left.items() if (o := right.get(r)) and o.seq == head.seq and o.digest != head.digest
    )
