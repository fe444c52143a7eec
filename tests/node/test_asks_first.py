"""A node that has peers asks them for its own head before it decides anything by itself."""

from __future__ import annotations

from tallystick.core.replica.commands import Found, ReceiveStock
from tallystick.node.chores import Chore
from tallystick.store.memory import MemoryBackend
from tests.node.driving import NODE, Clock, make_driver, open_memory
from tests.node.workload import hold


def test_no_hold_ends_before_peers_were_asked():
    """A disk that was rolled back ended old holds as soon as it was up: under numbers that were taken."""
    backend, clock = MemoryBackend(), Clock()
    driver = make_driver(open_memory(backend), clock)
    for command in (Found("eu"), ReceiveStock("r-1", NODE, (("tea", "", 10),)), hold("o-1", 1)):
        driver.turn([Chore(command)], [])
    clock.advance(3600)
    again = make_driver(open_memory(backend), clock, sweep_ms=0)
    again.asks_first = True
    again.turn([], [])
    assert again.head == driver.head
    again.asks_first = False
    again.turn([], [])
    assert again.head.seq == driver.head.seq + 1
