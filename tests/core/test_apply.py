"""Applying a peer's entries: what no origin writes is skipped and reported, alike everywhere."""

from __future__ import annotations

from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.core.clock import Dot
from tallystick.core.codec import encode
from tallystick.core.members import Member, MemberState
from tallystick.core.order.document import EMPTY_DOCUMENT, DocumentUpdate, edit
from tallystick.core.order.facts import (
    Body,
    Claim,
    Decision,
    DecisionKind,
    Intent,
    IntentKind,
    Line,
    OrderRecord,
    Placed,
)
from tallystick.core.replica.apply import UnknownKind, apply_entries
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.view import View
from tallystick.core.stock.receipts import Booking, BookingKind, BookingRecord
from tallystick.core.stock.rights import Row
from tests.kit.effort import effort
from tests.kit.indexes import check_indexes
from tests.kit.node import Tables, overlay_of
from tests.kit.records import integers, values_of

ORDER, STOCK, BOOKING, DOCUMENT, MEMBER = map(int, EntryKind)
DOT = Dot(5, 9)
ME = 8
BODY = Body("EUR", (Line("1", "x", 2),), customer="ada")


def raw(*entry: Any) -> msgspec.Raw:
    return msgspec.Raw(encode(entry))


def claim(body: Any = BODY, **changes: Any) -> Claim:
    placed = Placed(msgspec.Raw(encode(body)), hold_until_ms=1_000)
    return Claim(5, 9, 77, replace(placed, **changes))


def order(*claims: Claim, intents: Any = (), decisions: Any = ()) -> OrderRecord:
    return OrderRecord(claims, tuple(intents), tuple(decisions))


LONG = Line("1", "x" * 129, 1)
INTENT = Intent(int(IntentKind.CANCEL), "r", 5, 9, 77)
DECISION = Decision(5, 9, 1, int(DecisionKind.CANCEL), 5, 9, 77)
UPDATE = edit(EMPTY_DOCUMENT, {}, {"note": "hi"}, 3).delta
RECEIPT = Booking(int(BookingKind.RECEIVE), 5, 9, 77, (("x", "", 4),))
ROW = Row(received=4, moved=((1, 2), (3, 1)))
NODE = f"{5:012x}"

GOOD = {
    "a placing": (ORDER, "o", order(claim())),
    "a wish": (ORDER, "o", order(intents=[INTENT])),
    "a decision": (ORDER, "o", order(decisions=[DECISION])),
    "a row": (STOCK, "x\0", ROW),
    "a receipt": (BOOKING, "b", BookingRecord((RECEIPT,))),
    "an edit": (DOCUMENT, "o", UPDATE),
    "a member": (MEMBER, NODE, Member("eu", int(MemberState.ACTIVE))),
    "a member by another": (MEMBER, f"{6:012x}", Member("eu", int(MemberState.DRAINING))),
}


@pytest.mark.parametrize("entry", GOOD.values(), ids=GOOD.keys())
def test_what_an_origin_writes_is_joined(entry):
    view = View(Tables())
    assert apply_entries(DOT, [raw(*entry)], view, ME) == []
    written = overlay_of(view)
    assert sum(map(len, written.values())) > 0
    assert apply_entries(DOT, [raw(*entry)], view, ME) == []
    assert overlay_of(view) == written


def test_what_a_peer_wrote_to_its_row_is_not_ours_to_frame():
    view = View(Tables())
    apply_entries(DOT, [raw(STOCK, "x\0", ROW)], view, ME)
    assert view.stock_of(b"x\0").rows == ((5, ROW),)
    assert not view.touched


def test_a_member_is_joined_to_what_is_known():
    view = View(Tables())
    for state in (MemberState.DRAINING, MemberState.ACTIVE):
        apply_entries(DOT, [raw(MEMBER, NODE, Member("eu", int(state)))], view, ME)
    assert view.member((5).to_bytes(8)) == Member("eu", int(MemberState.DRAINING))


PANICS = bytes.fromhex("01028000010000017703614000a80501017701310205010002f2a9a3a0b7df11010401")
PANICS_AFTER_AN_EDIT = bytes.fromhex("02020600a80500017703614063a80501017701310005010002f2a9a3a0b70811010401")

BAD = {
    "no entry": msgspec.Raw(msgpack.packb(5)),
    "too short": msgspec.Raw(msgpack.packb([ORDER, "o"])),
    "a key that is no UTF-8": msgspec.Raw(b"\x93\x01\xa1\xff\x80"),
    "a kind that is no number": msgspec.Raw(msgpack.packb(["1", "o", {}])),
    "too deep": msgspec.Raw(b"\x93\x01\xa1o\x81\xa1z" + b"\x91" * 100_000 + b"\xc0"),
    "no order": raw(ORDER, "o", [1, 2]),
    "an order id that can't be": raw(ORDER, "o o", order(claim())),
    "another's placing": raw(ORDER, "o", order(replace(claim(), replica=6))),
    "another event's placing": raw(ORDER, "o", order(replace(claim(), seq=8))),
    "another's wish": raw(ORDER, "o", order(intents=[replace(INTENT, replica=6)])),
    "another's decision": raw(ORDER, "o", order(decisions=[replace(DECISION, replica=6)])),
    "a stamp before 1970": raw(ORDER, "o", order(replace(claim(), hlc=-1))),
    "a body that is none": raw(ORDER, "o", order(claim(body=5))),
    "a hold before 1970": raw(ORDER, "o", order(claim(hold_until_ms=-1))),
    "units below 0 that are short": raw(ORDER, "o", order(claim(short=(("1", -1),)))),
    "a line without units": raw(ORDER, "o", order(claim(replace(BODY, lines=(Line("1", "x", 0),))))),
    "a line without a sku": raw(ORDER, "o", order(claim(replace(BODY, lines=(Line("1", "", 1),))))),
    "a sku too long for a key": raw(ORDER, "o", order(claim(replace(BODY, lines=(LONG,))))),
    "a customer too long for a key": raw(ORDER, "o", order(claim(replace(BODY, customer="a" * 129)))),
    "a customer that ends the key": raw(ORDER, "o", order(claim(replace(BODY, customer="a\0b")))),
    "a hold extended to before 1970": raw(ORDER, "o", order(decisions=[replace(DECISION, hold_until_ms=-1)])),
    "a cut of less than nothing": raw(ORDER, "o", order(decisions=[replace(DECISION, lines=(("1", -1),))])),
    "a wish for less than nothing": raw(ORDER, "o", order(intents=[replace(INTENT, lines=(("1", -1),))])),
    "no row": raw(STOCK, "x\0", {"re": "many"}),
    "no stock item": raw(STOCK, "x", ROW),
    "a stock item without a sku": raw(STOCK, "\0here", ROW),
    "a location that ends a key": raw(STOCK, "x\0a\0b", ROW),
    "a cell below 0": raw(STOCK, "x\0", Row(received=-1)),
    "moved cells below 0": raw(STOCK, "x\0", Row(moved=((1, -1),))),
    "moved cells out of order": raw(STOCK, "x\0", Row(moved=((3, 1), (1, 2)))),
    "moved cells twice": raw(STOCK, "x\0", Row(moved=((1, 1), (1, 2)))),
    "no booking": raw(BOOKING, "b", 5),
    "a booking id that can't be": raw(BOOKING, "", BookingRecord((RECEIPT,))),
    "another's booking": raw(BOOKING, "b", BookingRecord((replace(RECEIPT, replica=6),))),
    "no update": raw(DOCUMENT, "o", 5),
    "an update of nothing": raw(DOCUMENT, "o", DocumentUpdate(b"")),
    "an update at which pycrdt panics": raw(DOCUMENT, "o", DocumentUpdate(PANICS)),
    "an edit of no order": raw(DOCUMENT, "", UPDATE),
    "no member": raw(MEMBER, NODE, {"r": 5}),
    "a member in no state": raw(MEMBER, NODE, Member("eu", 9)),
    "a member without a name": raw(MEMBER, "me", Member("eu", 2)),
}  # fmt: skip


@pytest.mark.parametrize("entry", BAD.values(), ids=BAD.keys())
def test_what_no_origin_writes_is_skipped_and_reported(entry):
    view, alone = View(Tables()), View(Tables())
    around = raw(STOCK, "y\0", ROW)
    apply_entries(DOT, [around], alone, ME)
    (skipped,) = apply_entries(DOT, [around, entry, around], view, ME)
    assert skipped.place == 1
    assert skipped.problem
    assert overlay_of(view) == overlay_of(alone)


def test_an_unknown_kind_stops_the_stream():
    """It is a newer version's: skipping it would lose it for good."""
    view = View(Tables())
    with pytest.raises(UnknownKind, match="event 000000000005:9 holds an entry of the unknown kind 6"):
        apply_entries(DOT, [raw(6, "k", {})], view, ME)
    assert not any(overlay_of(view).values())


def test_an_update_that_only_some_states_cannot_take_is_no_skip():
    """Others may have taken it: the origin is quarantined instead, and nothing of this view is kept."""
    entry = raw(DOCUMENT, "o", DocumentUpdate(PANICS_AFTER_AN_EDIT))
    assert apply_entries(DOT, [entry], View(Tables()), ME) == []
    view = View(Tables())
    record = edit(EMPTY_DOCUMENT, {"note": "hello"}, {"note": "hello world", "email": "a@b"}, 5).record
    view.put_document(b"o", record)
    with pytest.raises(ValueError, match="not an update"):
        apply_entries(DOT, [entry], view, ME)


def test_decisions_on_a_claim_that_has_not_come_are_kept_and_listed_nowhere():
    view = View(Tables())
    apply_entries(DOT, [raw(ORDER, "o", order(decisions=[DECISION]))], view, ME)
    assert list(overlay_of(view)["orders"]) == [b"o"]
    assert not view.intents
    assert not view.by_time


def ours(fact: Any) -> Any:
    return replace(fact, replica=DOT.replica, seq=DOT.seq)


bodies = values_of(Body).map(lambda body: msgspec.Raw(encode(body)))
absurd_orders = st.builds(
    OrderRecord,
    st.lists(
        st.builds(Claim, integers, integers, integers, st.builds(Placed, bodies)).map(ours), max_size=1
    ).map(tuple),
    st.lists(values_of(Intent).map(ours), max_size=2).map(tuple),
    st.lists(values_of(Decision).map(ours), max_size=2).map(tuple),
)
absurd = st.one_of(
    st.tuples(st.just(ORDER), st.just("o"), absurd_orders),
    st.tuples(st.just(STOCK), st.just("x\0"), values_of(Row)),
    st.tuples(st.just(BOOKING), st.just("b"), values_of(BookingRecord)),
    st.tuples(st.just(DOCUMENT), st.just("o"), st.builds(DocumentUpdate, st.binary(max_size=20))),
    st.tuples(st.just(MEMBER), st.just(NODE), values_of(Member)),
    st.tuples(st.integers(1, 5), st.text(max_size=3), st.binary(max_size=20)),
)


@effort(80)
@given(st.lists(absurd, min_size=1, max_size=4))
def test_whatever_is_said_is_joined_once_or_skipped(entries):
    """Well-typed nonsense: what passes leaves tables that agree, and coming twice changes nothing."""
    tables = Tables()
    said = [raw(*entry) for entry in entries]
    first = View(tables)
    skipped = apply_entries(DOT, said, first, ME)
    tables.write(first)
    check_indexes(tables.merged(View(tables)))
    again = View(tables)
    assert apply_entries(DOT, said, again, ME) == skipped
    assert tables.merged(again) == tables.merged(View(tables))


@given(st.lists(st.binary(max_size=60).filter(lambda data: data[:2] != b"\x93\x06"), max_size=3))
@example([b"\x93\x05\xacabcdefabcdef\x81\xa1r\xa1\xff"])
def test_for_any_bytes_nothing_worse_than_skipping_follows(noise):
    view = View(Tables())
    try:
        skipped = apply_entries(DOT, [msgspec.Raw(data) for data in noise], view, ME)
    except UnknownKind:
        return
    assert len(skipped) == len(noise) or any(overlay_of(view).values())
