"""Who greets with an invitation becomes a member: only what can be a node."""

from __future__ import annotations

import pytest

from tallystick.core.clock import REPLICA_ID_MAX
from tallystick.core.invitations import Invitation, invite
from tallystick.core.members import Member, MemberState
from tallystick.core.replication.messages import Goodbye, Hello
from tallystick.node.admission import read_hello, turn_away

SECRET = bytes(32)
MEMBERS = {1: Member("eu", int(MemberState.ACTIVE), secret=SECRET)}
CODE = str(invite(SECRET, "c", "nonce", 1_000))


def shown(replica: int = 2, region: str = "us", address: str = "us:7411"):
    hello = Hello("c", replica, 1, region, address, invitation=CODE)
    return read_hello(hello, MEMBERS, {}, 0)


def test_a_good_invitation_lets_a_node_in():
    assert isinstance(shown(), Invitation)


@pytest.mark.parametrize(
    "odd",
    [
        {"replica": 0},
        {"replica": REPLICA_ID_MAX + 1},
        {"region": ""},
        {"region": "a\0b"},
        {"region": "x" * 100},
        {"address": "x" * 300},
    ],
)
def test_what_can_be_no_node_is_turned_away(odd):
    answer = shown(**odd)
    assert isinstance(answer, Goodbye)
    assert answer.reason == "INVITATION_BAD"


@pytest.mark.parametrize("replica", [0, REPLICA_ID_MAX + 1])
def test_nobody_has_such_an_id(replica):
    """A node that knows nobody yet takes whoever it was told to join for a member."""
    assert turn_away(Hello("c", replica, 1, "eu", ""), {}, installing=True) is not None
    assert turn_away(Hello("c", 7, 1, "eu", ""), {}, installing=True) is None
