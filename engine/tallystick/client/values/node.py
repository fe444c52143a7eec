"""The node that a client talks to, and the others of its cluster."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime

from tallystick.client.values.base import Value


class WriteState(enum.StrEnum):
    """Whether a node takes writes."""

    OPEN = "open"
    REFUSED = "refused"
    """The disk is nearly full: reads go on, writes come back when there is room."""
    UNKNOWN = "unknown"


class LinkState(enum.StrEnum):
    """How a node is connected to a peer."""

    UP = "up"
    DOWN = "down"
    STOPPED = "stopped"
    """For good: a fork, an ended member, a version that knows more. `problem` says what to do."""
    UNKNOWN = "unknown"


class MemberState(enum.StrEnum):
    """The life of a member; it only moves forward."""

    JOINING = "joining"
    ACTIVE = "active"
    DRAINING = "draining"
    ENDED = "ended"
    UNKNOWN = "unknown"


class StorageStatus(Value, frozen=True, kw_only=True):
    """How a node's disk is."""

    write_state: WriteState
    reason: str = ""
    """Why writes are refused, while they are."""
    used_bytes: int = 0
    map_bytes: int = 0
    disk_free_bytes: int = 0
    reserve_bytes: int = 0
    checkpoint_backlog: int = 0
    """Events whose indexes are not in the tables yet."""


class PeerStatus(Value, frozen=True, kw_only=True):
    """A peer, as the node that answers sees it."""

    node: str
    region: str
    address: str
    link: LinkState
    heard_time: datetime | None = None
    """When anything was last heard of it, over a link of its own."""
    lag_events: int = 0
    """Its events that are known of and not here."""
    unacked_events: int = 0
    """Events of the node that answers which the peer has not on disk, as far as known."""
    agreed_time: datetime | None = None
    """When its digests were last found equal."""
    problem: str = ""
    """Why there is no link, if there is a reason to name."""


class NodeStatus(Value, frozen=True, kw_only=True):
    """Who answers, and how it is."""

    cluster: str
    node: str
    """The id to name in writes of stock."""
    region: str
    version: str
    start_time: datetime | None
    storage: StorageStatus
    sequence: int
    """Events that this node has written."""
    peers: tuple[PeerStatus, ...] = ()
    vector: Mapping[str, int] = {}
    """By node: events of it that are on disk here."""
    digest: str = ""
    """Names the whole state, in hexadecimal: equal where the events are. Empty while it is being counted."""
    unreplicated_orders: int = 0
    """Orders of this node that are on no other disk yet."""
    state: MemberState = MemberState.UNKNOWN
    installing: bool = False
    """A snapshot is being read in: the node answers nothing but its status."""
    divergences: int = 0
    """Differences found between records that should be equal. Anything but 0 is an alarm."""


class Member(Value, frozen=True, kw_only=True):
    """One node's life in the cluster."""

    node: str
    region: str
    address: str
    state: MemberState
    join_time: datetime | None


class Invitation(Value, frozen=True, kw_only=True):
    """What lets one new node in."""

    code: str
    """A secret: `tally node start --join HOST:PORT --invitation CODE`."""
    expire_time: datetime | None


class Difference(Value, frozen=True, kw_only=True):
    """A record that is not what it should be."""

    node: str
    """The peer that has it otherwise; empty: the node's own digests do not fit its records."""
    table: str
    record: str
    """An order id, sku@location, a receipt's id, a node; or the bucket, where no record could be named."""
    problem: str


class Verification(Value, frozen=True, kw_only=True):
    """What a node found that read everything it has, and compared it."""

    records: int
    differences: tuple[Difference, ...]
    compared: tuple[str, ...]
    """Peers that were compared with."""
    unreachable: tuple[str, ...]
    """Peers that could not be."""
    in_motion: int = 0
    """Buckets, of 4,096 a peer, that changed all the time and could not be compared: 0 is a full proof."""
