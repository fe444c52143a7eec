"""Documents at rest, joined: as if every update had come one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.order.document import (
    EMPTY_DOCUMENT,
    DocumentRecord,
    DocumentUpdate,
    apply_update,
    edit,
    join_documents,
    show,
)
from tests.kit.effort import effort

EDITS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["note", "email", "tags.a"]),
        st.sampled_from(["", "hello", "hello there", "日本"]),
        st.booleans(),
    ),
    max_size=12,
)


@effort(60)
@given(EDITS)
def test_two_that_edited_apart_come_together(edits):
    """Two write, now and then one hears all of the other; joined either way both show the same, which is what
    whoever had each update one by one shows."""
    sides = [EMPTY_DOCUMENT, EMPTY_DOCUMENT]
    updates: list[DocumentUpdate] = []
    for side, key, value, hears in edits:
        if hears:
            sides[side] = join_documents(sides[side], sides[1 - side])
        edited = edit(sides[side], {}, {key: value}, 7 + side)
        sides[side] = edited.record
        updates.append(edited.delta)
    left, right = join_documents(*sides), join_documents(*sides[::-1])
    one_by_one = EMPTY_DOCUMENT
    for update in updates:
        one_by_one = apply_update(one_by_one, update)
    assert left.updates == right.updates == one_by_one.updates
    assert show(left, {}) == show(right, {}) == show(one_by_one, {})
    assert join_documents(left, sides[0]) is left
    assert join_documents(left, EMPTY_DOCUMENT) is left


@pytest.mark.parametrize("state", [b"\xff", b"not an update"])
def test_what_is_no_document_is_refused(state):
    with pytest.raises(ValueError, match="update"):
        join_documents(EMPTY_DOCUMENT, DocumentRecord(state, (b"x",)))
