"""What the index tables must hold, worked out from all orders: keys are packed here once more, by hand."""

from __future__ import annotations

import struct
from hashlib import blake2b

from tallystick.core.order.facts import Intent, IntentKind, OrderRecord, decode_order
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
        if any(waits(record, wish) for wish in record.intents):
            expected["intents"][key] = b""
        if status.counts is None:
            continue
        placed = struct.pack(">Q", status.counts.claim.hlc) + key
        expected["by_time"][placed] = b""
        expected["by_status"][bytes([status.state]) + placed] = b""
        if status.counts.body.customer:
            expected["by_customer"][status.counts.body.customer.encode() + b"\0" + placed] = b""
    return expected


def waits(record: OrderRecord, wish: Intent) -> bool:
    """Whether some claim that has not yielded has not answered the wish, nor the same one sent elsewhere."""
    if wish.kind not in (IntentKind.CANCEL, IntentKind.CONFIRM, IntentKind.EXTEND):
        return False
    same = [w for w in record.intents if (w.kind, w.request_id) == (wish.kind, wish.request_id)]
    for status in fold(record).claims:
        body = blake2b(bytes(status.claim.placed.body), digest_size=16).digest()
        names = {str(w.dot) for w in same if w.body_hash in (b"", body)}
        chain = {d.number: d for d in record.decisions if d.claim == status.dot}
        cited = {chain[number].cites for number in range(1, status.decided + 1)}
        if wish.body_hash in (b"", body) and status.state is not State.DUPLICATE and not names & cited:
            return True
    return not record.claims


def check_indexes(dump: Dump) -> None:
    """The tables list exactly what the orders say."""
    expected = expected_indexes(dump["orders"])
    for name in INDEXES:
        assert dump[name] == expected[name], name
