"""The order's document: what people edit together merges, and equal updates show equal details."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.order.document import (
    EMPTY_DOCUMENT,
    DocumentRecord,
    DocumentUpdate,
    apply_update,
    edit,
    etag,
    show,
)
from tests.kit.effort import effort

PLACED = {"note": "call first", "email": "a@b", "tags.gift": "1"}
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
changes = st.dictionaries(
    st.sampled_from(["note", "email", "phone", "tags.gift"]),
    st.one_of(st.none(), words),
    min_size=1,
    max_size=3,
)


def merged(record: DocumentRecord, *deltas: DocumentUpdate) -> DocumentRecord:
    for delta in deltas:
        record = apply_update(record, delta)
    return record


def test_until_it_is_edited_what_was_placed_is_shown():
    assert show(EMPTY_DOCUMENT, PLACED) == PLACED
    assert show(EMPTY_DOCUMENT, {"note": "", "email": "a@b"}) == {"email": "a@b"}


@given(st.lists(changes, max_size=4), st.dictionaries(st.sampled_from(sorted(PLACED)), words))
def test_alone_an_edit_does_what_it_says(edits, placed):
    record, expected = EMPTY_DOCUMENT, dict(placed)
    for wanted in edits:
        record = edit(record, placed, wanted, 7).record
        expected |= {key: value or "" for key, value in wanted.items()}
        assert show(record, placed) == {key: value for key, value in sorted(expected.items()) if value}
        assert list(show(record, placed)) == sorted(show(record, placed))


@given(words, words, words)
def test_a_note_is_edited_in_place(before, after, placed):
    """Signs of one to four bytes: pycrdt counts bytes where Python counts signs."""
    first = edit(EMPTY_DOCUMENT, {"note": placed}, {"note": before}, 7).record
    assert show(edit(first, {"note": placed}, {"note": after}, 7).record, {}) == (
        {"note": after} if after else {}
    )


def test_edits_of_different_fields_both_stand():
    ours = edit(EMPTY_DOCUMENT, PLACED, {"email": "c@d"}, 1)
    theirs = edit(EMPTY_DOCUMENT, PLACED, {"phone": "5", "tags.gift": None}, 2)
    expected = {"email": "c@d", "note": "call first", "phone": "5"}
    assert show(merged(ours.record, theirs.delta), PLACED) == expected
    assert show(merged(theirs.record, ours.delta), PLACED) == expected


def test_two_who_edit_the_note_first_at_once_do_not_write_it_twice():
    """Each used to bring in the placed text as its own: "please call firstcall first!" was left."""
    ours = edit(EMPTY_DOCUMENT, PLACED, {"note": "call first!"}, 1)
    theirs = edit(EMPTY_DOCUMENT, PLACED, {"note": "please call first"}, 2)
    for record in (merged(ours.record, theirs.delta), merged(theirs.record, ours.delta)):
        assert show(record, PLACED)["note"] == "please call first!"


def test_later_edits_of_the_note_merge_by_character():
    base = edit(EMPTY_DOCUMENT, {}, {"note": "löve it"}, 9)
    ours = edit(base.record, {}, {"note": "I löve it"}, 1)
    theirs = edit(base.record, {}, {"note": "löve this"}, 2)
    for record in (merged(ours.record, theirs.delta), merged(theirs.record, ours.delta)):
        assert show(record, {})["note"] == "I löve this"


def test_the_same_update_twice_is_one():
    edited = edit(EMPTY_DOCUMENT, PLACED, {"note": "x"}, 1)
    assert merged(edited.record, edited.delta) is edited.record
    assert len(merged(EMPTY_DOCUMENT, edited.delta, edited.delta).updates) == 1


class Said(NamedTuple):
    """One edit: who made it, as his how many-th, and how many of each origin's he had heard."""

    origin: int
    number: int
    heard: dict[int, int]
    delta: DocumentUpdate


@st.composite
def histories(draw: st.DrawFn) -> list[Said]:
    """Three origins edit one document, each hearing of the others now and then, causes before effects."""
    said: list[Said] = []
    records = dict.fromkeys((1, 2, 3), EMPTY_DOCUMENT)
    heard: dict[int, dict[int, int]] = {me: {1: 0, 2: 0, 3: 0} for me in records}
    for _ in range(draw(st.integers(2, 7))):
        me = draw(st.sampled_from([1, 2, 3]))
        for told in said:
            if met(told, heard[me]) and draw(st.booleans()):
                records[me] = apply_update(records[me], told.delta)
                heard[me][told.origin] = told.number
        edited = edit(records[me], PLACED, draw(changes), me)
        records[me] = edited.record
        said.append(Said(me, heard[me][me] + 1, dict(heard[me]), edited.delta))
        heard[me][me] += 1
    return said


def met(told: Said, heard: dict[int, int]) -> bool:
    """Whether it is next in its origin's order, and all that it was made upon is there."""
    return heard[told.origin] == told.number - 1 and all(heard[r] >= n for r, n in told.heard.items())


@st.composite
def deliveries(draw: st.DrawFn, said: list[Said]) -> list[DocumentUpdate]:
    """Every update, some twice, in any order that frames can arrive in."""
    heard, left, order = {1: 0, 2: 0, 3: 0}, list(said), []
    while left:
        told = draw(st.sampled_from([told for told in left if met(told, heard)]))
        heard[told.origin] = told.number
        left.remove(told)
        order.append(told.delta)
        if draw(st.booleans()):
            order.append(draw(st.sampled_from(order)))
    return order


@effort(60)
@given(st.data())
def test_equal_updates_show_equal_details_in_any_order_that_frames_arrive_in(data):
    said = data.draw(histories())
    one, other = (merged(EMPTY_DOCUMENT, *data.draw(deliveries(said))) for _ in "ab")
    assert one.updates == other.updates
    assert show(one, PLACED) == show(other, PLACED)
    assert etag(show(one, PLACED)) == etag(show(other, PLACED))


def test_an_etag_changes_with_the_details_and_only_with_them():
    edited = edit(EMPTY_DOCUMENT, PLACED, {"phone": "5"}, 1).record
    assert etag(show(edited, PLACED)) == etag({"phone": "5", **PLACED}) != etag(PLACED)
    back = edit(edited, PLACED, {"phone": None}, 1).record
    assert etag(show(back, PLACED)) == etag(PLACED)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\xff" * 9, b"\x01\x01\xff\xff\xff\xff\x0f"])
def test_what_is_no_update_is_refused(data):
    with pytest.raises(ValueError, match="update"):
        apply_update(EMPTY_DOCUMENT, DocumentUpdate(data))


@given(st.binary(max_size=40))
def test_any_bytes_are_an_update_or_refused(data):
    try:
        record = apply_update(EMPTY_DOCUMENT, DocumentUpdate(data))
    except ValueError:
        return
    assert len(record.updates) == 1
    show(record, PLACED)
