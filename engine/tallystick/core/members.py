"""Members: a replicated map from replica id to a record that only moves forward."""

from __future__ import annotations

from enum import IntEnum

from tallystick.core.codec import Record


class MemberState(IntEnum):
    """The life of a member; a later state wins over an earlier one."""

    JOINING = 1
    ACTIVE = 2
    DRAINING = 3
    ENDED = 4


class Member(Record, frozen=True, rename={"region": "r", "state": "s", "founded_ms": "f"}):
    """One node's incarnation. `region` is a label that several may share."""

    region: str
    state: int
    founded_ms: int = 0


def join_members(left: Member, right: Member) -> Member:
    """The further record; of two equally far the one whose content sorts higher."""
    return max(left, right, key=lambda member: (member.state, member.region, member.founded_ms))


def node_name(replica: int) -> str:
    """A replica id as people see it: 12 hexadecimal digits."""
    return f"{replica:012x}"
