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


class Member(
    Record,
    frozen=True,
    rename={
        "region": "r",
        "state": "s",
        "founded_ms": "f",
        "version": "v",
        "address": "a",
        "invitation": "i",
        "secret": "k",
    },
):
    """One node's incarnation. `region` is a label that several may share.

    `version` counts the records of one state: a member that moved to another address writes the next.
    `invitation` is the nonce that it was let in with, used up by this. `secret` is the founder's: what
    invitations are signed with.
    """

    region: str
    state: int
    founded_ms: int = 0
    version: int = 0
    address: str = ""
    invitation: str = ""
    secret: bytes = b""


def join_members(left: Member, right: Member) -> Member:
    """The further record; of two equally far the one whose content sorts higher."""
    return max(left, right, key=_rank)


def _rank(member: Member) -> tuple[int | str | bytes, ...]:
    return (
        member.state,
        member.version,
        member.region,
        member.founded_ms,
        member.address,
        member.invitation,
        member.secret,
    )


def node_name(replica: int) -> str:
    """A replica id as people see it: 12 hexadecimal digits."""
    return f"{replica:012x}"
