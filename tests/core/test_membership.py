"""Members come: founded, admitted, settled in, found elsewhere; in whatever order others hear of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.codec import encode
from tallystick.core.errors import WrongState
from tallystick.core.members import Member, MemberState, join_members
from tallystick.core.replica.commands import Admit, Found, SettleIn
from tallystick.core.replica.keys import member_key
from tests.kit.node import Node

ADMIT = Admit(2, "us", "there:1", "nonce")
STATES = st.sampled_from([int(state) for state in MemberState])


def member(node: Node, replica: int) -> Member:
    found = node.view.member(member_key(replica))
    assert found is not None
    return found


def heard(node: Node, record: Member) -> None:
    """The node knows this record of itself."""
    node.view.put_member(member_key(node.id), record)


def test_the_founder_is_active_and_signs_invitations():
    node = Node(1)
    assert node.step(Found("eu", "here:1", b"secret"), 1_000).writes
    expected = Member("eu", int(MemberState.ACTIVE), 1_000, address="here:1", secret=b"secret")
    assert member(node, 1) == expected


def test_who_is_admitted_is_joining_and_admitted_once():
    node = Node(1)
    assert node.step(ADMIT, 5).writes
    expected = Member("us", int(MemberState.JOINING), 5, address="there:1", invitation="nonce")
    assert member(node, 2) == expected
    assert node.step(ADMIT._replace(nonce="another"), 6).replayed
    assert member(node, 2) == expected


def test_who_was_admitted_settles_in_once():
    node = Node(2)
    heard(node, Member("us", int(MemberState.JOINING), 5, address="there:1", invitation="nonce"))
    assert node.step(SettleIn("there:2"), 9).writes
    settled = member(node, 2)
    assert (settled.state, settled.version, settled.address) == (MemberState.ACTIVE, 0, "there:2")
    assert settled.invitation == "nonce"
    assert node.step(SettleIn("there:2"), 10).replayed


@pytest.mark.parametrize("state", [MemberState.ACTIVE, MemberState.DRAINING])
def test_who_moved_says_so_with_a_higher_version(state):
    node = Node(2)
    before = Member("us", int(state), version=3, address="there:1")
    heard(node, before)
    assert node.step(SettleIn("there:9"), 9).writes
    after = member(node, 2)
    assert (after.state, after.version, after.address) == (state, 4, "there:9")
    assert join_members(before, after) == after


@pytest.mark.parametrize("record", [None, Member("us", int(MemberState.ENDED))])
def test_who_is_no_member_does_not_settle_in(record):
    node = Node(2)
    if record is not None:
        heard(node, record)
    with pytest.raises(WrongState) as refusal:
        node.step(SettleIn("there:1"), 9)
    assert refusal.value.reason == "NOT_A_MEMBER"


records = st.builds(
    Member,
    st.sampled_from(["eu", "us"]),
    STATES,
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["", "a"]),
)


@given(records, records, records)
def test_records_join_in_any_order(one, other, third):
    assert join_members(one, other) == join_members(other, one)
    assert join_members(one, join_members(other, third)) == join_members(join_members(one, other), third)
    assert join_members(one, one) == one
    assert join_members(one, other).state == max(one.state, other.state)
    assert encode(join_members(one, other)) in (encode(one), encode(other))
