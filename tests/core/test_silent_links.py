"""A link on which nothing comes any more is ended: nobody is to count on it."""

from __future__ import annotations

from tallystick.core.replication.effects import Close
from tallystick.core.replication.messages import Ack, Me
from tallystick.core.replication.replicator import HEARTBEAT_MS, SILENCE_MS, Replicator

LINK = 7


def closings(replicator: Replicator) -> list[Close]:
    return [effect for effect in replicator.take_effects() if isinstance(effect, Close)]


def connected(*, greeted: bool) -> Replicator:
    replicator = Replicator(Me("c", 1, 1, "eu"), {}, lambda _: None)
    replicator.connected(LINK, 0)
    if greeted:
        replicator.received(LINK, Me("c", 2, 1, "us").greeting({}, installing=False), 0)
    return replicator


def test_a_silent_link_is_ended_at_once_and_told_so_once():
    for greeted in (True, False):
        replicator = connected(greeted=greeted)
        replicator.tick(SILENCE_MS - 1)
        assert closings(replicator) == []
        replicator.tick(SILENCE_MS)
        (closing,) = closings(replicator)
        assert (closing.link, closing.reason, closing.final) == (LINK, "SILENT", False)
        replicator.tick(SILENCE_MS + HEARTBEAT_MS)
        assert closings(replicator) == []


def test_who_says_something_each_second_keeps_his_link():
    replicator = connected(greeted=True)
    for now in range(0, 3 * SILENCE_MS, HEARTBEAT_MS):
        replicator.received(LINK, Ack({}), now)
        replicator.tick(now)
    assert closings(replicator) == []
