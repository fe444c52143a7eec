"""The edge cache: what it calls absent is absent, and new ids at the edge are answered without a look-up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.store.edge import EdgeCache
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Table
from tallystick.store.store import Store

ids = st.integers(0, 60).map(lambda number: b"%02d" % number)
commits = st.dictionaries(ids, st.sampled_from([b"order", b"order", b"order", None]), max_size=6)


def neighbours_in(table):
    def neighbours(key):
        below, above = [k for k in table if k < key], [k for k in table if k > key]
        return max(below, default=None), min(above, default=None)

    return neighbours


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    present=st.sets(ids),
    keys_max=st.integers(2, 12),
    steps=st.lists(st.tuples(commits, st.lists(ids, max_size=80)), max_size=20),
)
def test_a_key_called_absent_is_absent(present, keys_max, steps):
    table = set(present)
    edge = EdgeCache(max(table, default=None), keys_max)
    for rows, asked in steps:
        edge.add(rows)
        table -= rows.keys()
        table |= {key for key, value in rows.items() if value is not None}
        for key in asked:
            if edge.absent(key):
                assert key not in table
            elif key not in table:
                edge.missed(key, neighbours_in(table))
        assert not any(edge.absent(key) for key in table)


class CountingBackend(MemoryBackend):
    gets = 0

    def get(self, table, key):
        self.gets += table is Table.ORDERS
        return super().get(table, key)


def place(store, ids):
    for order_id in ids:
        assert store.get(Table.ORDERS, order_id) is None
        store.commit({Table.ORDERS: {order_id: b"order"}}, {}, 1, b"p")


def rising(prefix, count):
    return [b"%s%08d" % (prefix, number) for number in range(count)]


def test_ids_in_time_order_are_never_looked_up():
    backend = CountingBackend()
    backend.commit({Table.ORDERS: dict.fromkeys(rising(b"018", 10), b"")})
    place(Store(backend, {}), rising(b"019", 500))
    assert backend.gets == 0


def test_ids_a_little_out_of_order_are_never_looked_up():
    backend = CountingBackend()
    ids = rising(b"019", 500)
    for at in range(0, 500, 50):
        ids[at : at + 50] = reversed(ids[at : at + 50])
    place(Store(backend, {}), ids)
    assert backend.gets == 0


def test_an_outlier_does_not_end_the_use_of_the_edge():
    """One order id such as `zzz` was the last key for ever, and every id after it a look-up."""
    backend = CountingBackend()
    backend.commit({Table.ORDERS: {b"zzz": b"", b"018": b""}})
    place(Store(backend, {}), rising(b"019", 500))
    assert backend.gets == 64


def test_families_of_ids_that_take_turns_cost_a_few_look_ups_a_turn():
    backend = CountingBackend()
    backend.commit({Table.ORDERS: dict.fromkeys([b"018", b"order-", b"zzz"], b"")})
    store = Store(backend, {})
    for prefix in (b"019", b"order-", b"02"):
        place(store, rising(prefix, 300))
    assert backend.gets == 3 * 64


def test_the_cache_is_bounded_and_keeps_the_upper_half():
    edge = EdgeCache(None, keys_max=100)
    ids = rising(b"019", 1_000)
    for at in range(0, 1_000, 10):
        edge.add(dict.fromkeys(ids[at : at + 10], b""))
        assert len(edge._keys) <= 100
        assert not edge.absent(ids[at])
    assert edge.absent(ids[-1] + b"x")
    assert edge.absent(ids[-40] + b"x")
    assert not edge.absent(ids[0] + b"x")


@pytest.mark.parametrize("elsewhere", [b"01", b"04"])
def test_changes_to_orders_elsewhere_do_not_crowd_out_the_edge(elsewhere):
    edge = EdgeCache(None, keys_max=100)
    for _ in range(64):
        edge.missed(b"02", lambda key: (b"019", b"0399"))
    edge.add({b"03": b""})
    for at in range(0, 1_000, 10):
        edge.add(dict.fromkeys(rising(elsewhere, 1_000)[at : at + 10], b""))
        assert len(edge._keys) <= 100
    assert edge.absent(b"025")
    assert not edge.absent(b"03")
