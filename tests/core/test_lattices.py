"""Every lattice of the core keeps every law of the kit."""

from __future__ import annotations

from itertools import pairwise
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.clock import Head, forks, join_vectors
from tallystick.core.codec import Record
from tallystick.core.members import Member, MemberState, join_members
from tests.kit import laws
from tests.kit.effort import effort
from tests.kit.lattices import LATTICES, vectors
from tests.kit.records import all_records

RECORDS = [lattice for lattice in LATTICES if lattice.name != "Vector"]


@pytest.mark.parametrize("lattice", LATTICES, ids=lambda lattice: lattice.name)
@given(data=st.data())
def test_the_laws_hold(lattice, data):
    states = data.draw(lattice.triples)
    for law in laws.LATTICE_LAWS:
        law(lattice, *states)


@pytest.mark.parametrize("lattice", RECORDS, ids=lambda lattice: lattice.name)
@effort(30)
@given(data=st.data())
def test_equal_states_have_equal_bytes(lattice, data):
    a, b, c = data.draw(lattice.triples)
    laws.equal_bytes(lattice, a, b, c)
    for law in laws.RECORD_LAWS:
        law(lattice.join(a, b))


def test_no_join_is_forgotten():
    """A new record that a `join_…` function takes must be given its laws in the kit."""
    joined = set()
    for record in all_records():
        module = __import__(record.__module__, fromlist=["_"])
        for name, value in vars(module).items():
            if name.startswith("join_") and value.__module__ == record.__module__:
                joined |= {hint for hint in get_type_hints(value).values() if _is_record(hint)}
    # Documents are equal if what they were made of is: their bytes may differ, see test_joined_documents.
    elsewhere = {"DocumentRecord"}
    assert {record.__name__ for record in joined} == {lattice.name for lattice in RECORDS} | elsewhere


def _is_record(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, Record)


def test_members_only_move_forward():
    states = [Member("eu", state) for state in sorted(MemberState)]
    for earlier, later in pairwise(states):
        assert join_members(earlier, later) == join_members(later, earlier) == later


@given(vectors, vectors)
def test_forks_are_what_both_sides_number_alike_and_hash_differently(left, right):
    expected = {r for r in left if r in right and left[r][0] == right[r][0] and left[r][1] != right[r][1]}
    assert set(forks(left, right)) == expected == set(forks(right, left))


def test_of_a_fork_the_lower_hash_stands():
    low, high = {1: Head(5, b"\x01" * 32)}, {1: Head(5, b"\x02" * 32)}
    assert join_vectors(low, high) == join_vectors(high, low) == low
    assert join_vectors(low, {1: Head(6, b"\xff" * 32)}) == {1: Head(6, b"\xff" * 32)}
