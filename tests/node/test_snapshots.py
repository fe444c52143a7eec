"""Pieces of a snapshot: every row comes once, a piece answers one request, vectors bound what was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.clock import Head
from tallystick.core.codec import decode, encode
from tallystick.core.members import Member
from tallystick.core.replica.view import View
from tallystick.core.replication.messages import SnapshotChunk, SnapshotRequest
from tallystick.core.stock.rights import Row, Stock
from tallystick.node.installing import ANSWER_MS, Installer, Step
from tallystick.node.opening import ENCODERS
from tallystick.node.snapshots import (
    INSTALLING_KEY,
    TABLES,
    Installation,
    covers,
    follows_request,
    higher,
    join_chunk,
    lower,
    next_request,
    read_chunk,
)
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Table
from tallystick.store.store import Store
from tests.kit.effort import effort
from tests.kit.node import Tables


def head(seq: int) -> Head:
    return Head(seq, seq.to_bytes(32))


vectors = st.dictionaries(st.integers(1, 4), st.integers(1, 6).map(head), max_size=4)
keys = st.sets(st.binary(min_size=1, max_size=4), max_size=12)


@given(vectors, vectors)
def test_the_minimum_is_below_both_and_the_maximum_above(one, other):
    low, high = lower(one, other), higher(one, other)
    assert covers(one, low)
    assert covers(other, low)
    assert covers(high, one)
    assert covers(high, other)
    assert lower(other, one) == low
    assert {replica: at.seq for replica, at in higher(other, one).items()} == {
        replica: max(one.get(replica, head(0)).seq, other.get(replica, head(0)).seq)
        for replica in one.keys() | other.keys()
    }
    assert lower(None, one) == one
    assert higher(None, one) == one
    assert covers(low, high) == (low == high)


@effort(60)
@given(keys, keys, st.integers(1, 200))
def test_following_the_pieces_brings_every_row_once(members, items, bytes_max):
    """Rows at rest and dirty ones alike, in pieces of any size."""
    store = Store(MemoryBackend(), ENCODERS, slice_keys=2, backlog_events=4)
    record = encode(Member("eu", 2))
    stock = {key: Stock(((1, Row(received=len(key))),)) for key in items}
    for place, key in enumerate(sorted(items)):
        store.commit({}, {Table.STOCK: {key: stock[key]}}, 1, b"")
        if place % 3 == 0:
            store.idle()
    store.commit({Table.MEMBERS: dict.fromkeys(members, record)}, {}, 0, b"")
    found: list[tuple[str, bytes]] = []
    tables, view = Tables(), None
    view = View(tables)
    request: tuple[str, bytes] | None = ("", b"")
    while request is not None:
        with store.read() as reader:
            chunk = read_chunk(reader, *request, bytes_max)._replace(touched=b"sums")
        assert follows_request(chunk, SnapshotRequest(*request))
        found += [(chunk.table, key) for key, _ in chunk.rows]
        if chunk.table in (Table.MEMBERS, Table.STOCK):
            join_chunk(chunk, view)
        request = next_request(chunk)
    assert found == [
        *((Table.MEMBERS.value, key) for key in sorted(members)),
        *((Table.STOCK.value, key) for key in sorted(items)),
    ]
    assert dict(view.stock) == stock
    assert view.members == dict.fromkeys(members, record)


def chunk(
    table: Table, *names: bytes, at: int = 1, last: bool = False, touched: bytes = b"", after: bytes = b""
) -> SnapshotChunk:
    rows = tuple((name, b"") for name in names)
    return SnapshotChunk(table.value, rows, {1: head(at)}, last, touched, after)


def opening(*names: bytes, at: int = 1, last: bool = False) -> SnapshotChunk:
    return chunk(TABLES[0], *names, at=at, last=last, touched=b"sums")


@pytest.mark.parametrize(
    ("piece", "fits"),
    [
        (chunk(Table.STOCK, b"c", after=b"b"), True),
        (chunk(Table.STOCK, b"a", b"b", b"c"), False),
        (chunk(Table.STOCK, b"d", after=b"c"), False),  # beyond: what comes before it would be missing
        (chunk(Table.STOCK, last=True, after=b"b"), True),
        (chunk(Table.STOCK, after=b"b"), False),
        (chunk(Table.MEMBERS, b"z", after=b"b"), False),
        (chunk(Table.ORDERS, b"z", after=b"b"), False),
    ],
)
def test_a_piece_answers_one_request(piece, fits):
    assert follows_request(piece, SnapshotRequest(Table.STOCK.value, b"b")) is fits


def installed(installer: Installer, link: int, piece: SnapshotChunk) -> Step:
    installer.received(link, piece)
    step = installer.step({})
    assert step is not None
    installer.done(step)
    return step


def test_the_first_piece_says_what_touched_the_digests():
    first = SnapshotRequest("", b"")
    assert follows_request(opening(b"a"), first)
    assert not follows_request(chunk(TABLES[0], b"b"), first), "a later piece of that table"


def test_who_is_silent_or_gone_is_followed_by_the_next():
    installer = Installer(Installation("seed", "code"))
    assert installer.ask([], 0) is None
    assert installer.ask([4, 7], 0) == (4, SnapshotRequest("", b""))
    assert installer.ask([4, 7], ANSWER_MS - 1) is None
    assert installer.ask([4, 7], ANSWER_MS) == (7, SnapshotRequest("", b""))
    assert installer.ask([4], ANSWER_MS + 1) == (4, SnapshotRequest("", b""))


def test_over_a_thin_line_it_comes_to_its_end_all_the_same():
    """It began again each time that a piece took longer than a peer may be silent, and never ended."""
    installer, took_ms, now_ms = Installer(Installation("seed", "code")), 3 * ANSWER_MS, 0
    links = [4]
    for table in TABLES:
        first = table is TABLES[0]
        request = SnapshotRequest("" if first else table.value, b"")
        assert installer.ask(links, now_ms) == (4, request)
        for waited_ms in range(100, took_ms, 100):
            assert installer.ask(links, now_ms + waited_ms) in (None, (4, request))
        now_ms += took_ms
        step = installed(installer, 4, opening(last=True) if first else chunk(table, last=True))
    assert step.adopts


def test_if_all_are_slow_each_is_given_longer():
    installer, asked = Installer(Installation("seed", "code")), []
    for now_ms in range(0, 15 * ANSWER_MS, 100):
        found = installer.ask([4, 7], now_ms)
        asked += [(now_ms // ANSWER_MS, found[0])] if found else []
    assert asked == [(0, 4), (1, 7), (3, 4), (7, 7)]


def test_with_another_it_begins_again_and_forgets_no_maximum():
    """It remembers a maximum that was forgotten with the peer, and with a crash: effects whose causes were
    nowhere."""
    installer = Installer(Installation("seed", "code"))
    assert installer.ask([4], 0) == (4, SnapshotRequest("", b""))
    begun = installed(installer, 4, opening(b"a", at=9))
    assert installer.ask([5], 1) == (5, SnapshotRequest("", b""))
    for late in (opening(b"a", at=9), chunk(TABLES[0], b"b", at=9)):
        installer.received(4, late)
        installer.received(5, chunk(TABLES[0], b"b"))
        assert not installer.has_rows
    after_crash = Installer(decode(begun.meta[INSTALLING_KEY] or b"", Installation))
    assert after_crash.ask([5], 1) == (5, SnapshotRequest("", b""))
    for each in (installer, after_crash):
        step = installed(each, 5, opening(at=3, last=True))
        for table in TABLES[1:]:
            assert each.ask([5], 2) == (5, SnapshotRequest(table.value, b""))
            step = installed(each, 5, chunk(table, at=3, last=True))
        assert step.adopts
        assert step.vector == {1: head(3)}
        assert each.ask([5], 3) is None
        assert not each.caught_up({1: head(8)})
        assert each.caught_up({1: head(9)})
