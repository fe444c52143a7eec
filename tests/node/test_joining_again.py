"""A directory that a join has begun, opened once more: it goes on, and is new no longer than it must be."""

from __future__ import annotations

import pytest

from tallystick.core.clock import Head
from tallystick.core.codec import encode
from tallystick.core.members import Member, MemberState
from tallystick.core.replica.commands import SettleIn
from tallystick.core.replica.keys import member_key
from tallystick.core.replication.effects import Alarm
from tallystick.core.replication.messages import Me
from tallystick.node.installing import Installer
from tallystick.node.opening import Join, OtherCluster, open_on
from tallystick.node.peering import Peering
from tallystick.node.snapshots import Installation
from tallystick.node.source import StoreSource
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Table
from tallystick.store.store import Store
from tests.node.driving import open_memory

FIRST = Join("eu:7411", "c1.ff.nonce-1.signature")
SECOND = Join("us:7411", "c1.ff.nonce-2.signature")
JOINS = encode(Member("us", int(MemberState.JOINING)))
OTHER = 0xBEEF


def opened(backend: MemoryBackend, join: Join | None):
    return open_on(Store(backend, {}), "us", new_cluster=False, place="here", join=join)


def test_a_node_that_was_not_let_in_may_bring_another_code_to_another_seed():
    backend = MemoryBackend()
    first = opened(backend, FIRST)
    assert first.installation == Installation(*FIRST)
    again = opened(backend, SECOND)
    assert again.installation == Installation(*SECOND)
    assert again.identity == first.identity
    assert opened(backend, None).installation == Installation(*FIRST)


def test_a_directory_belongs_to_one_cluster():
    backend = MemoryBackend()
    opened(backend, FIRST)
    with pytest.raises(OtherCluster, match=r"cluster c1, and the invitation is to c2"):
        opened(backend, Join("eu:7411", "c2.ff.nonce.signature"))


@pytest.mark.parametrize("state", MemberState)
def test_who_is_an_active_member_joins_no_more(state):
    """It once waited, after every start, for the end of a joining that had ended."""
    backend = MemoryBackend()
    first = opened(backend, FIRST)
    key = member_key(first.identity.replica)
    first.store.commit({Table.MEMBERS: {key: encode(Member("us", state))}}, {}, 0, b"")
    assert (opened(backend, FIRST).installation is None) == (state >= MemberState.ACTIVE)


def has_read_all(here: int, own: bytes | None, backend: MemoryBackend) -> Peering:
    """A node that had all rows when it crashed, with its own record on disk."""
    node = open_memory(backend)
    seen = ((OTHER, 5, b"h"),)
    installer = Installer(Installation(*FIRST, low=seen, high=seen))
    identity = node.identity
    node.store.commit({Table.MEMBERS: {member_key(identity.replica): own}}, {}, 0, b"")
    me = Me(identity.cluster, identity.replica, 1, identity.region, "us:7411", frozenset())
    vector = {identity.replica: Head(0, b""), OTHER: Head(here, b"h")}
    members = {identity.replica: Member("us", MemberState.JOINING)}
    return Peering(me, vector, members, StoreSource(node.store), installer=installer)


@pytest.mark.parametrize(
    ("here", "own", "settles"), [(4, JOINS, False), (5, JOINS, True), (6, JOINS, True), (6, None, False)]
)
def test_a_node_that_had_all_when_it_crashed_settles_in_by_itself(here, own, settles):
    """That it is a member must be on its own disk: memory may have it of a process that it has left."""
    peering = has_read_all(here, own, MemoryBackend())
    peering.tick(0.0)
    chores = [command for chore in peering.take_chores() for command in chore.commands()]
    assert chores == ([SettleIn("us:7411")] if settles else [])


def test_its_own_record_that_has_rotted_is_told_once():
    """It ended the process."""
    backend = MemoryBackend()
    peering = has_read_all(5, JOINS, backend)
    backend.rot(Table.MEMBERS, member_key(peering.replicator.me.replica))
    for _ in range(3):
        peering.tick(0.0)
    alarms = [each for each in peering.take_effects() if isinstance(each, Alarm)]
    assert [alarm.reason for alarm in alarms] == ["CORRUPT_RECORD"]
    assert peering.take_chores() == []
