"""Stored values: what was written comes back, and nothing else passes for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.store.port import BARE, CorruptRecord, Table
from tallystick.store.record import pack, pack_rows, unpack

tables = st.sampled_from(sorted(Table))
packed_tables = st.sampled_from(sorted(set(Table) - BARE))
keys = st.binary(min_size=1, max_size=40)


@given(tables, keys, st.binary(max_size=300))
def test_a_payload_comes_back(table, key, payload):
    assert unpack(table, key, pack(table, key, payload)) == payload


@given(tables, st.dictionaries(keys, st.none() | st.binary(max_size=60)))
def test_packing_a_commit_is_packing_each_row(table, rows):
    one_by_one = {key: None if row is None else pack(table, key, row) for key, row in rows.items()}
    assert pack_rows(table, rows) == one_by_one


@given(packed_tables, keys, st.binary(max_size=60), st.data())
def test_no_bit_can_flip_unseen(table, key, payload, data):
    value = bytearray(pack(table, key, payload))
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    value[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptRecord) as caught:
        unpack(table, key, bytes(value))
    assert (caught.value.table, caught.value.key) == (table, key)


@given(packed_tables, packed_tables, keys, keys, st.binary(max_size=60))
def test_a_value_belongs_to_its_table_and_key(table, other_table, key, other_key, payload):
    if (table, key) != (other_table, other_key):
        with pytest.raises(CorruptRecord):
            unpack(other_table, other_key, pack(table, key, payload))


@pytest.mark.parametrize("length", range(5))
def test_a_value_cut_short_is_corrupt(length):
    with pytest.raises(CorruptRecord):
        unpack(Table.ORDERS, b"key", pack(Table.ORDERS, b"key", b"")[:length])


def test_frames_and_indexes_are_stored_bare():
    assert pack(Table.FRAMES, b"key", b"frame") == b"frame"
    assert pack(Table.BY_TIME, b"key", b"") == b""
