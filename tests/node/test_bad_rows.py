"""A peer that sends a new node rows which no node keeps: its link ends, the process does not."""

from __future__ import annotations

import pytest

from tallystick.core.codec import encode
from tallystick.core.members import Member, MemberState
from tallystick.core.replication.effects import Alarm, Close, Send
from tallystick.core.replication.messages import Hello, SnapshotChunk, SnapshotRequest
from tallystick.node.inputs import Connected, Received
from tallystick.node.installing import Installer
from tallystick.node.snapshots import TABLES, Installation
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Table
from tests.node.driving import IDENTITY, Clock, make_driver, open_memory

MEMBER = encode(Member("eu", int(MemberState.ACTIVE)))


@pytest.mark.parametrize(
    ("key", "payload"),
    [(b"12345678", b"no record"), (b"12345678", encode((1, 2))), (b"12345678", b"\xc1"), (b"", b"")],
)
def test_the_link_ends_and_another_peer_is_asked(key, payload):
    """It ended the process, and again at each start."""
    driver = make_driver(open_memory(MemoryBackend()), Clock(), installer=Installer(Installation("s", "i")))
    links = {1: 0xA, 2: 0xB}
    for link, peer in links.items():
        hello = Hello(IDENTITY.cluster, peer, 1, "eu", "there:1")
        driver.turn([], [Connected(link), Received(link, hello)])
    opening = SnapshotChunk(TABLES[0].value, ((key, payload),), {}, last=True, touched=b"sums")
    effects = driver.turn([], [Received(1, opening)]).effects
    assert [each.reason for each in effects if isinstance(each, Alarm)] == ["BAD_SNAPSHOT"]
    assert [each.link for each in effects if isinstance(each, Close)] == [1]
    assert Send(2, SnapshotRequest("", b"")) in driver.turn([], []).effects


def test_what_has_rotted_here_is_told_and_no_peer_is_blamed():
    """It ended the process, and again at each start."""
    backend = MemoryBackend()
    driver = make_driver(open_memory(backend), Clock(), installer=Installer(Installation("s", "i")))
    driver.turn([], [Connected(1), Received(1, Hello(IDENTITY.cluster, 0xA, 1, "eu", "there:1"))])
    backend.commit({Table.MEMBERS: {b"12345678": b"rot"}})
    opening = SnapshotChunk(TABLES[0].value, ((b"12345678", MEMBER),), {}, last=True, touched=b"sums")
    effects = driver.turn([], [Received(1, opening)]).effects
    (alarm,) = [each for each in effects if isinstance(each, Alarm)]
    assert (alarm.reason, alarm.replica) == ("CORRUPT_RECORD", IDENTITY.replica)
    assert "let it join anew" in alarm.message
    assert not any(isinstance(each, Close) for each in effects)
    assert driver.turn([], [Received(1, opening)]).effects == []
