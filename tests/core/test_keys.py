"""Keys of the tables sort as people list, and fit into the store."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.limits import Limits
from tallystick.core.order.status import State
from tallystick.core.replica import keys
from tallystick.core.replica.view import IndexPlace, View
from tests.kit.node import Tables

LMDB_KEY_BYTES_MAX = 511
u64 = st.integers(0, (1 << 64) - 1)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=6)
order_ids = st.text("ab", min_size=1, max_size=3)


@given(st.lists(st.tuples(u64, order_ids)))
def test_holds_sort_by_their_end_then_id(holds):
    made = [keys.expiry_key(until, order_id) for until, order_id in holds]
    assert sorted(made) == [keys.expiry_key(*hold) for hold in sorted(holds)]


@given(st.lists(st.tuples(u64, u64, st.binary(min_size=32, max_size=32))))
def test_frames_sort_by_origin_then_sequence(frames):
    assert sorted(keys.frame_key(*frame) for frame in frames) == [keys.frame_key(*f) for f in sorted(frames)]


@given(names, names)
def test_a_stock_key_is_read_as_it_is_written(sku, location):
    assert keys.split_stock_key(keys.stock_key(sku, location)) == (sku, location)


@given(st.lists(st.tuples(names, names)))
def test_items_sort_by_sku_then_location(items):
    ordered = sorted(items, key=lambda item: (item[0].encode(), item[1].encode()))
    assert sorted(keys.stock_key(*item) for item in items) == [keys.stock_key(*item) for item in ordered]


def test_the_longest_keys_fit_into_the_store():
    limits = Limits()
    order_id = b"o" * limits.order_id_bytes_max
    view = View(Tables())
    view.put_index(order_id, int(State.HELD), (1 << 64) - 1, "c" * limits.customer_bytes_max)
    made = [*view.by_time, *view.by_customer, *view.by_status]
    made.append(keys.stock_key("s" * limits.sku_bytes_max, "l" * limits.location_bytes_max))
    made.append(keys.expiry_key((1 << 64) - 1, order_id.decode()))
    assert max(map(len, made)) <= LMDB_KEY_BYTES_MAX


def test_an_order_that_moves_leaves_its_old_places():
    view = View(Tables())
    before, after = IndexPlace(2, 10, "ada"), IndexPlace(3, 11, "bob")
    view.move_index(b"o", None, before)
    view.move_index(b"o", before, after)
    for table in (view.by_time, view.by_customer, view.by_status):
        (gone,) = (key for key, value in table.items() if value is None)
        (listed,) = (key for key, value in table.items() if value is not None)
        assert gone.endswith((10).to_bytes(8) + b"o")
        assert listed.endswith((11).to_bytes(8) + b"o")
    assert {key.partition(b"\0")[0] for key in view.by_customer} == {b"ada", b"bob"}
    assert {key[:1] for key in view.by_status} == {b"\x02", b"\x03"}
