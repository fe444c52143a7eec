"""What nodes say to each other. One long-lived stream a pair carries them, in order; the machines do not rely
on that: any message may be lost, doubled or late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tallystick.core.clock import Head, Vector

PROTOCOL = (1, 1)
"""The versions of this protocol that we speak, from and to."""


class Hello(NamedTuple):
    """The first message of each side. `vector` is what the sender has on disk, `boot` names its process."""

    cluster: str
    replica: int
    boot: int
    region: str
    address: str
    vector: Mapping[int, Head] = {}
    kinds: frozenset[int] = frozenset()
    protocol: tuple[int, int] = PROTOCOL
    invitation: str = ""
    installing: bool = False


class Me(NamedTuple):
    """What our Hello says that never changes while we run."""

    cluster: str
    replica: int
    boot: int
    region: str
    address: str = ""
    kinds: frozenset[int] = frozenset()
    invitation: str = ""

    def greeting(self, vector: Vector, *, installing: bool) -> Hello:
        """The Hello of this moment."""
        return Hello(
            self.cluster,
            self.replica,
            self.boot,
            self.region,
            self.address,
            vector,
            self.kinds,
            invitation=self.invitation,
            installing=installing,
        )


class Frames(NamedTuple):
    """Bytes as their origins wrote them."""

    frames: tuple[bytes, ...]


class Ack(NamedTuple):
    """What is on disk: vector entries that changed since the last. An empty one says: I am here."""

    vector: Vector


class Want(NamedTuple):
    """Please send the frames of `origin` after `seq`, up to `until`."""

    origin: int
    seq: int
    until: int


class Demand(NamedTuple):
    """How fast the sender sells an item."""

    key: bytes
    units_per_s: float


class Stamp(NamedTuple):
    """When a round left, by the sender's clock, in milliseconds: it has counted its demand for `counted_ms`,
    its Hello over this link left `sent_ms` ago. It has heard the receiver's round with the `sent_ms` of
    `echo_ms` (or its Hello: 0) `echo_age_ms` ago."""

    counted_ms: int = 0
    sent_ms: int = 0
    echo_ms: int = 0
    echo_age_ms: int = 0


class Digest(NamedTuple):
    """A round of gossip: the sender's digests of some buckets, and what it sells."""

    vector: Vector
    first_bucket: int
    buckets: bytes
    demands: tuple[Demand, ...] = ()
    stamp: Stamp = Stamp()


class Ask(NamedTuple):
    """Please give me `units` of the item. What is given comes as a frame."""

    number: int
    key: bytes
    units: int


class AskAnswer(NamedTuple):
    """`granted` units (0: none could be spared) are in the answerer's chain up to event `seq`."""

    number: int
    granted: int
    seq: int


class SnapshotRequest(NamedTuple):
    """Please send your state, from a table's key on; all of it if `table` is empty."""

    table: str
    after: bytes


class SnapshotChunk(NamedTuple):
    """Rows (key, payload) of a table `after` the key that was asked for, and the vector at which they were
    read. `last`: of its table. The first of all says what touched the digests' buckets up to its vector."""

    table: str
    rows: tuple[tuple[bytes, bytes], ...]
    vector: Vector
    last: bool = False
    touched: bytes = b""
    after: bytes = b""


class Goodbye(NamedTuple):
    """Why the sender ends the stream: a stable reason, and a sentence."""

    reason: str
    message: str


class DigestRequest(NamedTuple):
    """Please tell your digests of so many buckets. A Digest answers: without any while they are counted."""

    first_bucket: int
    buckets: int


class Inspect(NamedTuple):
    """Please name what is in these buckets."""

    buckets: tuple[int, ...]


class Inspected(NamedTuple):
    """(table, key, hash) of what is in some buckets, the hash empty where a record has rotted. `touched`: the
    first sum of each bucket when it was read. `truncated`: what comes after the last record is not named."""

    buckets: tuple[int, ...]
    touched: bytes
    records: tuple[tuple[str, bytes, bytes], ...]
    truncated: bool = False


Message = (
    Hello
    | Frames
    | Ack
    | Want
    | Digest
    | Ask
    | AskAnswer
    | SnapshotRequest
    | SnapshotChunk
    | Goodbye
    | DigestRequest
    | Inspect
    | Inspected
)
