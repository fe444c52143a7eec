"""Pieces of a snapshot: every row comes once, a piece answers one request, vectors bound what was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.clock import Head
from tallystick.core.codec import decode, encode
from tallystick.core.members import Member, MemberState
from tallystick.core.replica.keys import stock_key
from tallystick.core.replica.view import View
from tallystick.core.replication.effects import Send
from tallystick.core.replication.messages import Hello, SnapshotChunk, SnapshotRequest
from tallystick.core.stock.rights import Row, Stock
from tallystick.node.clearing import Clear
from tallystick.node.inputs import Closed, Connected, Received
from tallystick.node.installing import BadRows, Installer, Step
from tallystick.node.opening import ENCODERS
from tallystick.node.snapshots import (
    INSTALLING_KEY,
    TABLES,
    Installation,
    covers,
    follows_request,
    higher,
    join_chunk,
    next_request,
    read_chunk,
)
from tallystick.node.source import StoreSource
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Table
from tallystick.store.store import Store
from tests.kit.effort import effort
from tests.kit.node import Tables
from tests.node.driving import IDENTITY, Clock, make_driver, open_memory


def head(seq: int) -> Head:
    return Head(seq, seq.to_bytes(32))


vectors = st.dictionaries(st.integers(1, 4), st.integers(1, 6).map(head), max_size=4)
keys = st.sets(st.binary(min_size=1, max_size=4), max_size=12)


@given(vectors, vectors)
def test_the_maximum_is_above_both(one, other):
    high = higher(one, other)
    assert covers(high, one)
    assert covers(high, other)
    assert {replica: at.seq for replica, at in higher(other, one).items()} == {
        replica: max(one.get(replica, head(0)).seq, other.get(replica, head(0)).seq)
        for replica in one.keys() | other.keys()
    }
    assert higher(None, one) == one


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


START = SnapshotRequest("", b"")
A, B = (0xA, 1), (0xB, 1)
ON = SnapshotRequest(TABLES[0].value, b"a")
"""What follows the opening of `begun_with`."""


def received(installer: Installer, link: int, piece: SnapshotChunk, now_ms: int = 0) -> Step:
    installer.received(link, piece, now_ms)
    step = installer.step({})
    assert isinstance(step, Step)
    installer.done(step)
    return step


def cleared(installer: Installer) -> None:
    """What there is to clear away is cleared away."""
    step, store = installer.step({}), open_memory(MemoryBackend()).store
    assert isinstance(step, Clear)
    step.join(View(StoreSource(store)), store)
    installer.done(step)


def begun_with(process: tuple[int, int], link: int) -> Installer:
    """It has the first piece, and waits for the next one."""
    installer = Installer(Installation("seed", "code"))
    assert installer.ask({link: process}, 0) == (link, START)
    received(installer, link, opening(b"a", at=3))
    assert installer.ask({link: process}, 0) == (link, ON)
    return installer


def test_the_first_piece_says_what_touched_the_digests():
    assert follows_request(opening(b"a"), START)
    assert not follows_request(chunk(TABLES[0], b"b"), START), "a later piece of that table"


def test_with_another_it_begins_again_with_nothing():
    """Rows of one branch of a chain stayed with those of another (the simulator, seed 703)."""
    installer = begun_with(A, 4)
    assert installer.ask({5: (0xA, 2)}, 1) == (5, START)
    for late in (opening(b"a", at=9), chunk(TABLES[0], b"b", at=9, after=b"a")):
        installer.received(4, late, 1)
        installer.received(5, chunk(TABLES[0], b"b", after=b"a"), 1)
        assert isinstance(installer.step({}), Clear)
    installer.received(5, opening(at=2, last=True), 1)
    cleared(installer)
    step = installer.step({})
    assert isinstance(step, Step)
    assert step.vector == {}
    installer.done(step)
    for table in TABLES[1:]:
        assert installer.ask({5: (0xA, 2)}, 2) == (5, SnapshotRequest(table.value, b""))
        step = received(installer, 5, chunk(table, at=2, last=True))
    assert (step.adopts, step.vector, step.touched) == (True, {1: head(2)}, b"sums")
    assert installer.caught_up({1: head(2)}), "what the first one brought is forgotten"


def test_with_the_first_it_begins_with_what_is_there():
    installer = Installer(Installation("seed", "code"))
    assert installer.ask({4: A}, 0) == (4, START)
    assert installer.step({}) is None


def test_after_a_crash_it_begins_again_with_nothing():
    """Nobody knows any more of whom those rows were, nor which of them are cleared away on disk: that is
    known when there are others."""
    installer = Installer(Installation("seed", "code"))
    assert installer.ask({4: A}, 0) == (4, START)
    begun = received(installer, 4, opening(b"a", at=9))
    after_crash = Installer(decode(begun.meta[INSTALLING_KEY] or b"", Installation))
    cleared(after_crash)
    assert after_crash.ask({5: B}, 1) == (5, START)
    step = received(after_crash, 5, opening(b"b", at=3))
    assert decode(step.meta[INSTALLING_KEY] or b"", Installation).high == ((1, *head(3)),)


def test_what_a_piece_brought_that_was_refused_is_forgotten():
    installer = Installer(Installation("seed", "code"))
    assert installer.ask({4: A}, 0) == (4, START)
    installer.received(4, opening(b"a", at=9), 1)
    installer.refuse(BadRows("rows"), 7, lambda _: A[0])
    assert installer.ask({5: B}, 2) == (5, START)
    step = received(installer, 5, opening(b"b", at=3))
    assert decode(step.meta[INSTALLING_KEY] or b"", Installation).high == ((1, *head(3)),)


def test_a_crash_after_all_is_cleared_away_brings_nothing_back():
    """Rows of lazy tables were on disk again: what deletes them had waited for a checkpoint."""
    backend = MemoryBackend()
    driver = make_driver(open_memory(backend), Clock(), installer=Installer(Installation("s", "i")))
    hello = Hello(IDENTITY.cluster, *A, "eu", "there:1")
    rows = ((stock_key("tea", ""), encode(Stock(((1, Row(received=9)),)))),)
    member = (b"12345678", encode(Member("eu", int(MemberState.ACTIVE))))
    driver.turn([], [Connected(1), Received(1, hello)])
    driver.turn([], [Received(1, SnapshotChunk(TABLES[0].value, (member,), {1: head(3)}, True, b"sums"))])
    driver.turn([], [Received(1, SnapshotChunk(TABLES[1].value, rows, {1: head(3)}))])
    driver.store.flush()
    driver.turn([], [Closed(1), Connected(2), Received(2, hello._replace(boot=2))])
    while driver.peering.installer is not None and driver.peering.installer.has_rows:
        driver.turn([], [])
    again = open_memory(backend.crash())
    assert again.installation is not None
    driver = make_driver(again, Clock(), installer=Installer(again.installation))
    driver.turn([], [])
    driver.turn([], [])
    with driver.store.read() as reader:
        assert not [key for table in TABLES for key, _ in reader.scan(table)]


def test_what_it_has_reached_is_what_the_first_piece_says():
    """And over a new link to that process it goes on; the old one is not listened to."""
    installer = begun_with(A, 4)
    assert installer.ask({5: A}, 1) == (5, ON)
    installer.received(4, chunk(TABLES[0], b"b", after=b"a"), 1)
    assert not installer.has_rows
    step = received(installer, 5, chunk(TABLES[0], at=5, last=True, after=b"a"))
    for link, table in enumerate(TABLES[1:], 6):
        assert installer.ask({link: A}, 2) == (link, SnapshotRequest(table.value, b""))
        step = received(installer, link, chunk(table, at=link, last=True))
    assert (step.adopts, step.vector, step.touched) == (True, {1: head(3)}, b"sums")
    assert not installer.caught_up({1: head(link - 1)})
    assert installer.caught_up({1: head(link)})


def test_what_was_read_before_the_first_piece_is_not_taken():
    """The answer to an older request, that was asked for again later: what touched the digests would be of
    more than all that is here."""
    installer = begun_with(A, 4)
    installer.received(4, chunk(TABLES[0], b"b", at=2, after=b"a"), 1)
    assert not installer.has_rows
    installer.received(4, chunk(TABLES[0], b"b", at=3, after=b"a"), 1)
    assert installer.has_rows


def test_rows_that_came_before_the_link_was_lost_are_not_asked_for_again():
    installer = Installer(Installation("seed", "code"))
    installer.ask({4: A}, 0)
    installer.received(4, opening(b"a"), 1)
    assert installer.ask({5: A}, 1) is None
    step = installer.step({})
    assert step is not None
    installer.done(step)
    assert installer.ask({5: A}, 1) == (5, ON)


@pytest.mark.parametrize(("links", "link"), [({5: A}, 5), ({5: B, 6: A}, 5), ({4: A, 5: B}, 5), ({4: A}, 4)])
def test_after_bad_rows_it_begins_again_whoever_comes_next(links, link):
    installer = begun_with(A, 4)
    installer.received(4, chunk(TABLES[0], b"b", after=b"a"), 1)
    installer.refuse(BadRows("rows"), 7, lambda _: A[0])
    assert installer.ask(links, 2) == (link, START)
    assert isinstance(installer.step({}), Clear)


@pytest.mark.parametrize(("boot", "goes_on"), [(1, True), (2, False)])
def test_a_node_knows_the_process_at_the_other_end_by_its_greeting(boot, goes_on):
    driver = make_driver(open_memory(MemoryBackend()), Clock(), installer=Installer(Installation("s", "i")))
    member = (b"12345678", encode(Member("eu", int(MemberState.ACTIVE))))
    hello = Hello(IDENTITY.cluster, *A, "eu", "there:1")
    piece = SnapshotChunk(TABLES[0].value, (member,), {}, touched=b"sums")
    driver.turn([], [Connected(1), Received(1, hello)])
    driver.turn([], [Received(1, piece)])
    driver.turn([], [Closed(1)])
    effects = driver.turn([], [Connected(2), Received(2, hello._replace(boot=boot))]).effects
    assert Send(2, SnapshotRequest(TABLES[0].value, member[0]) if goes_on else START) in effects
    with driver.store.read() as reader:
        assert [key for key, _ in reader.scan(Table.MEMBERS)] == ([member[0]] if goes_on else [])
