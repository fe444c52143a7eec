"""What the nodes say that they have, held against each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tallystick.client.values.node import NodeStatus

Vector = Mapping[str, int]
"""By node: how many of its events are there."""


def everything(statuses: Iterable[NodeStatus]) -> dict[str, int]:
    """What at least one of them has."""
    highest: dict[str, int] = {}
    for status in statuses:
        for node, events in status.vector.items():
            highest[node] = max(events, highest.get(node, 0))
    return highest


def have(statuses: Iterable[NodeStatus], wanted: Vector) -> bool:
    """Whether every one of them has at least that."""
    return all(status.vector.get(node, 0) >= events for status in statuses for node, events in wanted.items())


def same_events(statuses: Iterable[NodeStatus]) -> bool:
    """Whether all have the same."""
    first, *others = [dict(status.vector) for status in statuses]
    return all(vector == first for vector in others)


def digests_equal(statuses: Iterable[NodeStatus]) -> bool:
    """Whether all name the same state. A digest that is not known yet equals none."""
    digests = {status.digest for status in statuses}
    return len(digests) == 1 and "" not in digests
