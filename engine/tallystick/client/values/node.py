"""The node that a client talks to."""

from __future__ import annotations

import enum
from datetime import datetime

from tallystick.client.values.base import Value


class WriteState(enum.StrEnum):
    """Whether a node takes writes."""

    OPEN = "open"
    REFUSED = "refused"
    """The disk is nearly full: reads go on, writes come back when there is room."""
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
