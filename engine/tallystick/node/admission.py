"""Who may greet us: members, and who shows a good invitation."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping

from tallystick.core.clock import REPLICA_ID_MAX
from tallystick.core.invitations import Invitation, is_signed, read_invitation
from tallystick.core.members import Member, MemberState, node_name
from tallystick.core.replication.forks import FORK, OWN_CHAIN_LOST
from tallystick.core.replication.messages import Goodbye, Hello
from tallystick.node.settings import REGION

ADDRESS_MAX = 255
"""The longest name that DNS has."""

FINAL = frozenset(
    {
        *("WRONG_CLUSTER", "SELF", "PROTOCOL", "ENDED", OWN_CHAIN_LOST, FORK),
        *("INVITATION_BAD", "INVITATION_USED", "INVITATION_EXPIRED"),
    }
)
"""Reasons of a Goodbye that trying again does not mend."""


def turn_away(hello: Hello, members: Mapping[int, Member], *, installing: bool) -> Goodbye | None:
    """Why a peer that greets is no peer of ours, if it is not."""
    if not 0 < hello.replica <= REPLICA_ID_MAX:
        return Goodbye("NOT_A_MEMBER", f"no node has the id {hello.replica}")
    name = node_name(hello.replica)
    member = members.get(hello.replica)
    if member is None:
        # One that is new itself knows nobody yet: its peer is whoever it was told to join.
        stranger = not installing or bool(hello.invitation)
        return None if not stranger else Goodbye("NOT_A_MEMBER", f"node {name} is not known here (yet)")
    if member.state == MemberState.ENDED:
        return Goodbye("ENDED", f"node {name} is a member no more")
    return None


def read_hello(
    hello: Hello, members: Mapping[int, Member], admitting: MutableMapping[str, int], wall_ms: int
) -> Invitation | Goodbye:
    """The invitation that a stranger shows, if it lets him in; else why not. `admitting` says who is being
    let in with which nonce, and comes to name him: two may show one before either is a member."""
    well_formed = 0 < hello.replica <= REPLICA_ID_MAX and re.fullmatch(REGION, hello.region)
    if not well_formed or len(hello.address) > ADDRESS_MAX:
        return Goodbye("INVITATION_BAD", "no node has that id, region or address")
    try:
        invitation = read_invitation(hello.invitation)
    except ValueError as problem:
        return Goodbye("INVITATION_BAD", str(problem))
    secrets = [member.secret for member in members.values() if member.secret]
    if not any(is_signed(invitation, secret) for secret in secrets):
        return Goodbye("INVITATION_BAD", "no member of this cluster gave that invitation")
    if invitation.expires_s * 1000 < wall_ms:
        return Goodbye("INVITATION_EXPIRED", "the invitation has expired: ask for another")
    taken = admitting.setdefault(invitation.nonce, hello.replica) != hello.replica
    if taken or any(member.invitation == invitation.nonce for member in members.values()):
        return Goodbye("INVITATION_USED", "another node has joined with this invitation: ask for another")
    return invitation
