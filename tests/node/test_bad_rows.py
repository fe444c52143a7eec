"""A peer that sends a new node rows which no node keeps: its link ends, the process does not."""

from __future__ import annotations

import pytest

from tallystick.core.codec import encode
from tallystick.core.members import Member, MemberState
from tallystick.core.replica.keys import member_key
from tallystick.core.replication.effects import Alarm, Close, Effect, Send
from tallystick.core.replication.messages import Hello, SnapshotChunk, SnapshotRequest
from tallystick.node.inputs import Connected, Received
from tallystick.node.installing import Installer
from tallystick.node.snapshots import TABLES, Installation
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Table
from tests.node.driving import IDENTITY, Clock, make_driver, open_memory
from tests.node.logs import take_errors

MEMBER = encode(Member("eu", int(MemberState.ACTIVE)))


@pytest.mark.parametrize(
    ("key", "payload"),
    [
        (b"12345678", b"no record"),
        (b"12345678", encode((1, 2))),
        (b"12345678", b"\xc1"),
        (b"", MEMBER),
        (b"1" * 600, MEMBER),
    ],
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


def test_a_piece_that_says_nothing_is_no_answer():
    """What comes after its last row was asked for, and it had none."""
    driver = make_driver(open_memory(MemoryBackend()), Clock(), installer=Installer(Installation("s", "i")))
    driver.turn([], [Connected(1), Received(1, Hello(IDENTITY.cluster, 0xA, 1, "eu", "there:1"))])
    driver.turn([], [Received(1, SnapshotChunk(TABLES[0].value, (), {}, touched=b"sums"))])
    assert driver.peering.installer is not None
    assert not driver.peering.installer.has_rows


def test_who_has_a_rotten_record_gives_no_snapshot_and_goes_on(logs):
    """A new node that asked ended the process, and then asked the next."""
    backend = MemoryBackend()
    open_memory(backend).store.commit({Table.MEMBERS: {member_key(0xA): MEMBER}}, {}, 0, b"")
    backend = backend.crash()
    driver = make_driver(open_memory(backend), Clock())
    hello = Hello(IDENTITY.cluster, 0xA, 1, "eu", "there:1", installing=True)
    driver.turn([], [Connected(1), Received(1, hello)])
    asks = Received(1, SnapshotRequest("", b""))
    assert answers(driver.turn([], [asks]).effects)
    backend.rot(Table.MEMBERS, member_key(0xA))
    assert not answers(driver.turn([], [asks]).effects)
    assert take_errors(logs) == ["no snapshot can be read here"]


def answers(effects: list[Effect]) -> list[SnapshotChunk]:
    return [e.message for e in effects if isinstance(e, Send) and isinstance(e.message, SnapshotChunk)]
