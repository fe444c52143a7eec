"""What the index tables must hold, worked out from all orders: keys are packed here once more, by hand."""

from __future__ import annotations

import struct

from tallystick.core.order.facts import decode_order
from tallystick.core.order.status import State, fold
from tests.kit.node import Dump

INDEXES = ("expiry", "intents", "by_time", "by_customer", "by_status")


def expected_indexes(orders: dict[bytes, bytes]) -> Dump:
    """All rows of the five indexes: each order listed where its fold says, and nowhere else."""
    expected: Dump = {name: {} for name in INDEXES}
    for key, data in orders.items():
        record = decode_order(data)
        status = fold(record)
        for claim in status.claims:
            if claim.state is State.HELD:
                expected["expiry"][struct.pack(">Q", claim.hold_until_ms) + key] = b""
        if status.counts is None:
            expected["intents"] |= {key: b""} if record.intents else {}
            continue
        placed = struct.pack(">Q", status.counts.claim.hlc) + key
        expected["by_time"][placed] = b""
        expected["by_status"][bytes([status.state]) + placed] = b""
        if status.counts.body.customer:
            expected["by_customer"][status.counts.body.customer.encode() + b"\0" + placed] = b""
    return expected


def check_indexes(dump: Dump) -> None:
    """The tables list exactly what the orders say."""
    expected = expected_indexes(dump["orders"])
    for name in INDEXES:
        assert dump[name] == expected[name], name
