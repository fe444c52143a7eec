"""What the index tables must hold, worked out from all orders: keys are packed here once more, by hand."""

from __future__ import annotations

import struct
from collections import Counter
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
        if any(waits(record, wish) for wish in record.intents) or rivals(record) or money(record):
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


def rivals(record: OrderRecord) -> bool:
    """Whether some order that was placed twice has not exactly one claim that did not yield."""
    in_play: dict[bytes, list[bool]] = {}
    for status in fold(record).claims:
        yielded = status.state is State.DUPLICATE
        in_play.setdefault(bytes(status.claim.placed.body), []).append(not yielded)
    return any(len(claims) > 1 and sum(claims) != 1 for claims in in_play.values())


def money(record: OrderRecord) -> bool:
    """Whether some claim should be a sale by its payments, or was paid for after it had expired."""
    for claim in fold(record).claims:
        body = blake2b(bytes(claim.claim.placed.body), digest_size=16).digest()
        told: dict[str, Intent] = {}
        for fact in sorted(record.intents, key=lambda i: (i.hlc, i.dot)):
            if fact.kind == IntentKind.PAYMENT and fact.body_hash in (b"", body):
                told.setdefault(fact.request_id, fact)
        sums = Counter(dict.fromkeys(range(1, 7), 0))
        for fact in told.values():
            sums[fact.payment_kind] += fact.amount
        kept = sums[2] - sums[5] - sums[6]
        secured = kept + max(0, sums[1] - sums[3] - sums[2])
        enough = {2: secured >= claim.price, 3: kept >= claim.price, 4: kept >= claim.price > 0}
        when = claim.body.confirm_when
        came_in = [fact for fact in told.values() if fact.payment_kind in (1, 2)]
        if told and claim.state is State.HELD and when in (2, 3) and enough[when]:
            return True
        expired = claim.state is State.EXPIRED and claim.payments_seen is not None
        unseen = expired and len(came_in) > (claim.payments_seen or 0)
        if unseen and enough.get(when) and str(came_in[-1].dot) not in claim.cited:
            return True
    return False


def check_indexes(dump: Dump) -> None:
    """The tables list exactly what the orders say."""
    expected = expected_indexes(dump["orders"])
    for name in INDEXES:
        assert dump[name] == expected[name], name
