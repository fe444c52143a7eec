"""A peer's backlog is applied in large slices, and in small ones while orders wait here."""

from __future__ import annotations

from tallystick.node.slicing import EVENTS_BESIDE, EVENTS_MAX, QUIET_S, Slices


def test_a_node_that_sells_nothing_takes_large_slices():
    assert Slices().events(0, 0.0) == EVENTS_MAX


def test_while_orders_come_slices_are_small_also_between_them():
    slices = Slices()
    assert slices.events(3, 10.0) == EVENTS_BESIDE
    assert slices.events(0, 10.0 + QUIET_S / 2) == EVENTS_BESIDE
    assert slices.events(0, 10.0 + 2 * QUIET_S) == EVENTS_MAX


def test_beside_many_orders_peers_get_as_many():
    slices = Slices()
    assert slices.events(100, 0.0) == 100
    assert slices.events(2_000, 0.0) == EVENTS_MAX
