"""Members come: one founds the cluster, others are admitted by a member and become active by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tallystick.core.errors import WrongState
from tallystick.core.members import Member, MemberState, node_name
from tallystick.core.replica.commands import Admit, Found, SettleIn
from tallystick.core.replica.keys import member_key
from tallystick.core.replica.outcome import EntryKind, Now, Outcome
from tallystick.core.replica.view import View

if TYPE_CHECKING:
    from tallystick.core.replica.step import Replica


def found(replica: Replica, command: Found, now: Now, view: View) -> Outcome:
    """The first event of a cluster."""
    member = Member(
        command.region, int(MemberState.ACTIVE), now.ms, address=command.address, secret=command.secret
    )
    return _write(view, replica.replica, member)


def admit(replica: Replica, command: Admit, now: Now, view: View) -> Outcome:
    """Let a node in that showed a good invitation. Asked again for the same node, nothing is written."""
    if view.member(member_key(command.replica)) is not None:
        return Outcome(replayed=True)
    member = Member(
        command.region, int(MemberState.JOINING), now.ms, address=command.address, invitation=command.nonce
    )
    return _write(view, command.replica, member)


def settle_in(replica: Replica, command: SettleIn, now: Now, view: View) -> Outcome:
    """This node is up to date, and reached at this address: it is active. Raises WrongState before it was
    admitted, or after it has ended."""
    known = view.member(member_key(replica.replica))
    if known is None or known.state > MemberState.DRAINING:
        raise WrongState(
            "NOT_A_MEMBER", f"node {node_name(replica.replica)} is no member of this cluster", {}
        )
    if known.state >= MemberState.ACTIVE and known.address == command.address:
        return Outcome(replayed=True)
    state = max(known.state, int(MemberState.ACTIVE))
    version = known.version + 1 if state == known.state else 0
    return _write(
        view, replica.replica, replace(known, state=state, version=version, address=command.address)
    )


def _write(view: View, replica: int, member: Member) -> Outcome:
    view.put_member(member_key(replica), member)
    return Outcome(((int(EntryKind.MEMBER), node_name(replica), member),))
