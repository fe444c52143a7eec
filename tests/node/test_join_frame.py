"""Frames that can't be joined, or not all of them: the node says so and lives on."""

from __future__ import annotations

import pytest

from tallystick.core.clock import EMPTY_HEAD
from tallystick.core.frame import encode_frame
from tallystick.core.order.facts import OrderRecord
from tallystick.core.replica.view import View
from tallystick.node.joining import join_frame
from tallystick.store.port import CorruptRecord, Table
from tests.node.checking import Joined

ORDER = 1


class Rotten(Joined):
    def order(self, key: bytes) -> bytes | None:
        raise CorruptRecord(Table.ORDERS, key)


@pytest.mark.parametrize("events", [[[(ORDER, "o", 5)]], ["no list of entries"]], ids=["entry", "frame"])
def test_what_nobody_writes_is_passed_over(events, logs):
    """Saying so in the log ended the process (the simulator, seed 63)."""
    view = View(Joined())
    assert join_frame(encode_frame(2, EMPTY_HEAD, 1, events), view, 1) is None
    assert not view.orders
    assert [entry["dot"] for entry in logs] == ["000000000002:1"]
    logs.clear()


def test_a_record_that_rotted_stops_the_origin(logs):
    frame = encode_frame(2, EMPTY_HEAD, 1, [[(ORDER, "o", OrderRecord())]])
    problem = join_frame(frame, View(Rotten()), 1)
    assert problem is not None
    assert problem.reason == "QUARANTINED"
    assert [entry["dot"] for entry in logs] == ["000000000002:1"]
    logs.clear()
