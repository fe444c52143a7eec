"""Emptying a new node's directory: everything that a snapshot brings goes, in commits of any size, over
crashes, what has rotted and what waits for a checkpoint too; nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.replica.view import View
from tallystick.core.stock.rights import EMPTY_STOCK, Row, Stock
from tallystick.node.clearing import TABLES, Clear
from tallystick.node.opening import ENCODERS
from tallystick.node.source import StoreSource
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import INDEXES, LAZY, Table
from tallystick.store.store import Store

KEYS = st.sets(st.binary(min_size=1, max_size=3), max_size=6)
STOCK = Stock(((1, Row(received=9)),))


def filled(rows: dict[Table, set[bytes]], *, flush: bool) -> tuple[MemoryBackend, Store]:
    """A directory with these rows, and some of those that stay."""
    backend = MemoryBackend()
    store = Store(backend, ENCODERS)
    stays = {Table.META: {b"identity": b"me"}, Table.FRAMES: {b"frame": b"bytes"}}
    eager = {
        t: dict.fromkeys(keys, b"" if t in INDEXES else b"row") for t, keys in rows.items() if t not in LAZY
    }
    lazy = {
        t: dict.fromkeys(keys, STOCK if t is Table.STOCK else b"") for t, keys in rows.items() if t in LAZY
    }
    store.commit(eager | stays, lazy, 0, b"")
    if flush:
        store.flush()
    return backend, store


def left(store: Store) -> dict[Table, list[bytes]]:
    with store.read() as reader:
        found = {table: [key for key, _ in reader.scan(table)] for table in Table}
    return {table: keys for table, keys in found.items() if keys}


@given(
    rows=st.fixed_dictionaries({}, optional=dict.fromkeys(TABLES, KEYS)),
    size=st.integers(1, 40),
    flush=st.booleans(),
    crash_after=st.integers(0, 12),
)
def test_all_goes_but_who_the_node_is(rows, size, flush, crash_after):
    backend, store = filled(rows, flush=flush)
    source, step, commits = StoreSource(store), Clear({}, size), 0
    for key in rows.get(Table.STOCK, ()):
        assert source.stock(key) == STOCK
    while not commits or not step.is_last:
        if commits == crash_after:
            backend = backend.crash()
            store = Store(backend, ENCODERS)
            source, step = StoreSource(store), Clear({}, size)
        view = View(source)
        eager, lazy, vector = step.join(view, store)
        again = step.join(View(source), store)
        assert again[:2] == (eager, lazy), "what found no room is tried again"
        if step.flushes:
            store.flush()
        store.commit(eager, lazy, 0, b"")
        source.adopt(view.stock)
        step.place = step.following
        commits += 1
        assert vector == {}
    assert left(store).keys() == {Table.META, Table.FRAMES}
    assert store.get(Table.META, b"identity") == b"me"
    assert all(source.stock(key) == EMPTY_STOCK for key in rows.get(Table.STOCK, ()))


@pytest.mark.parametrize("table", [Table.ORDERS, Table.STOCK])
def test_what_has_rotted_goes_too(table):
    backend, store = filled({table: {b"a", b"b"}}, flush=True)
    backend.rot(table, b"a")
    step = Clear({})
    store.commit(*step.join(View(StoreSource(store)), store)[:2], 0, b"")
    store.flush()
    assert left(store).keys() == {Table.META, Table.FRAMES}
