"""Pieces of a snapshot: every row comes once, a piece answers one request, vectors bound what was seen."""

from __future__ import annotations

from collections import deque
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.clock import Head
from tallystick.core.codec import decode, encode
from tallystick.core.members import Member, MemberState
from tallystick.core.replica.view import View
from tallystick.core.replication.effects import Send
from tallystick.core.replication.messages import Hello, SnapshotChunk, SnapshotRequest
from tallystick.core.stock.rights import Row, Stock
from tallystick.node.inputs import Closed, Connected, Received
from tallystick.node.installing import ANSWER_MS, ANSWER_MS_MAX, BadRows, Installer, Step
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
from tests.node.driving import IDENTITY, Clock, make_driver, open_memory


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


START = SnapshotRequest("", b"")
A, B = (0xA, 1), (0xB, 1)


def installed(installer: Installer, link: int, piece: SnapshotChunk, now_ms: int = 0) -> Step:
    installer.received(link, piece, now_ms)
    step = installer.step({})
    assert step is not None
    installer.done(step)
    return step


def test_the_first_piece_says_what_touched_the_digests():
    assert follows_request(opening(b"a"), START)
    assert not follows_request(chunk(TABLES[0], b"b"), START), "a later piece of that table"


def test_who_is_silent_or_gone_is_followed_by_the_next():
    installer = Installer(Installation("seed", "code"))
    assert installer.ask({}, 0) is None
    assert installer.ask({4: A, 7: B}, 0) == (4, START)
    assert installer.ask({4: A, 7: B}, ANSWER_MS - 1) is None
    assert installer.ask({4: A, 7: B}, ANSWER_MS) == (7, START)
    assert installer.ask({4: A}, ANSWER_MS + 1) == (4, START)


def test_who_is_silent_is_not_asked_over_another_link_while_there_is_another():
    installer = Installer(Installation("seed", "code"))
    assert installer.ask({4: A, 5: A, 7: B}, 0) == (4, START)
    assert installer.ask({4: A, 5: A, 7: B}, ANSWER_MS) == (7, START)


def test_over_a_thin_line_it_comes_to_its_end_all_the_same():
    """It began again each time that a piece took longer than a peer may be silent, and never ended."""
    installer, took_ms, now_ms = Installer(Installation("seed", "code")), 3 * ANSWER_MS, 0
    links = {4: A}
    for table in TABLES:
        first = table is TABLES[0]
        request = START if first else SnapshotRequest(table.value, b"")
        assert installer.ask(links, now_ms) == (4, request)
        for waited_ms in range(100, took_ms, 100):
            assert installer.ask(links, now_ms + waited_ms) in (None, (4, request))
        now_ms += took_ms
        step = installed(installer, 4, opening(last=True) if first else chunk(table, last=True), now_ms)
    assert step.adopts


def asks_next(installer: Installer, now_ms: int) -> int:
    """When it asks its one peer next, to a hundred milliseconds."""
    return next(at_ms for at_ms in count(now_ms, 100) if installer.ask({4: A}, at_ms))


@pytest.mark.parametrize(
    ("answers", "patience_ms"),
    [
        ([(1, 100)], ANSWER_MS),
        ([(1, 1_500)], 3_000),
        ([(2, 100)], ANSWER_MS),
        ([(20, 100)], ANSWER_MS),
        ([(1, 2 * ANSWER_MS_MAX)], ANSWER_MS_MAX),
        ([(2, 100), (2, 3_000)], 6_000),
        ([(2, 3_500), (1, 100)], 7_000),
    ],
)
def test_the_slowest_piece_says_how_long_to_wait(answers, patience_ms):
    """Patience only grew: whose first pieces were lost in bad weather waited a minute for each that was lost
    later. `answers`: how often each was asked for, and how long after it came."""
    installer, now_ms, after = Installer(Installation("seed", "code")), 0, b""
    for number, (tries, took_ms) in enumerate(answers):
        for _ in range(tries):
            now_ms = asks_next(installer, now_ms)
        now_ms += took_ms
        name = b"%d" % number
        piece = chunk(TABLES[0], name, after=after) if number else opening(name)
        installed(installer, 4, piece, now_ms)
        after = name
    assert asks_next(installer, now_ms) == now_ms
    assert asks_next(installer, now_ms) == now_ms + patience_ms


def test_nobody_was_slow_while_nobody_was_linked():
    installer = Installer(Installation("seed", "code"))
    assert installer.ask({4: A}, 0) == (4, START)
    assert installer.ask({}, 2 * ANSWER_MS) is None
    assert installer.ask({5: A}, 4 * ANSWER_MS) == (5, START)
    assert installer.ask({5: A}, 5 * ANSWER_MS) == (5, START)


def test_if_all_are_slow_each_is_given_longer():
    installer, asked = Installer(Installation("seed", "code")), []
    for now_ms in range(0, 15 * ANSWER_MS, 100):
        found = installer.ask({4: A, 7: B}, now_ms)
        asked += [(now_ms // ANSWER_MS, found[0])] if found else []
    assert asked == [(0, 4), (1, 7), (3, 4), (7, 7)]


def test_with_another_it_begins_again_and_forgets_no_maximum():
    """It remembers a maximum that was forgotten with the peer, and with a crash: effects whose causes were
    nowhere."""
    installer = Installer(Installation("seed", "code"))
    assert installer.ask({4: A}, 0) == (4, START)
    begun = installed(installer, 4, opening(b"a", at=9))
    assert installer.ask({5: B}, 1) is None
    assert installer.ask({5: B}, 1 + ANSWER_MS) == (5, START)
    for late in (opening(b"a", at=9), chunk(TABLES[0], b"b", at=9)):
        installer.received(4, late, 1)
        installer.received(5, chunk(TABLES[0], b"b"), 1)
        assert not installer.has_rows
    after_crash = Installer(decode(begun.meta[INSTALLING_KEY] or b"", Installation))
    assert after_crash.ask({5: B}, 1) == (5, START)
    for each in (installer, after_crash):
        step = installed(each, 5, opening(at=3, last=True))
        for table in TABLES[1:]:
            assert each.ask({5: B}, 2) == (5, SnapshotRequest(table.value, b""))
            step = installed(each, 5, chunk(table, at=3, last=True))
        assert step.adopts
        assert step.vector == {1: head(3)}
        assert each.ask({5: B}, 3) is None
        assert not each.caught_up({1: head(8)})
        assert each.caught_up({1: head(9)})


ON = SnapshotRequest(TABLES[0].value, b"a")
"""What follows the opening of `begun_with`."""


def begun_with(process: tuple[int, int], link: int) -> Installer:
    """It has the first piece, and waits for the next one."""
    installer = Installer(Installation("seed", "code"))
    assert installer.ask({link: process}, 0) == (link, START)
    installed(installer, link, opening(b"a", at=3))
    assert installer.ask({link: process}, 0) == (link, ON)
    return installer


@pytest.mark.parametrize(
    ("links", "asked"),
    [
        ({5: A}, (5, ON)),
        ({5: B, 6: A}, (6, ON)),
        ({5: (0xA, 2)}, (5, START)),  # it has restarted, or is a clone
        ({5: (0xA, 2), 6: B}, (5, START)),
    ],
)
def test_if_only_the_link_is_gone_it_goes_on_over_another(links, asked):
    """It began again with every link that was lost: in bad weather it never came to the end."""
    assert begun_with(A, 4).ask(links, 1) == asked


def test_who_is_gone_is_waited_for_as_long_as_who_is_silent():
    """Else all that was read of it is to be read again of the next: where links flap it came to no end."""
    installer = begun_with(A, 4)
    assert installer.ask({}, 500) is None
    assert installer.ask({5: B}, 1_000) is None
    assert installer.ask({5: B}, 999 + ANSWER_MS) is None
    assert installer.ask({5: B, 6: A}, 999 + ANSWER_MS) == (6, ON)
    assert installer.ask({5: B}, 5_000) is None, "gone again: that counts anew"
    assert installer.ask({5: B}, 5_000 + ANSWER_MS) == (5, START)


def test_of_whom_nothing_came_nobody_waits():
    installer = Installer(Installation("seed", "code"))
    assert installer.ask({4: A}, 0) == (4, START)
    assert installer.ask({5: B}, 1) == (5, START)


KIB = {
    Table.MEMBERS: (1,),
    Table.STOCK: (512, 512, 50),
    Table.ORDERS: (512, 512, 512, 512, 30),
    Table.RECEIPTS: (512, 20),
    Table.DOCUMENTS: (10,),
}
"""What is read, piece by piece: the last one of a table is small."""


def pieces() -> dict[SnapshotRequest, tuple[SnapshotChunk, int]]:
    """By what asks for it: each piece, and its size."""
    found = {}
    for table, sizes in KIB.items():
        after = b""
        for number, kib in enumerate(sizes, 1):
            name, last = b"%d" % number, number == len(sizes)
            first = table is TABLES[0] and not after
            touched = b"sums" if first else b""
            request = START if first else SnapshotRequest(table.value, after)
            found[request] = chunk(table, name, last=last, touched=touched, after=after), kib
            after = name
    return found


@pytest.mark.parametrize("peers", [1, 2, 3])
@pytest.mark.parametrize("kib_s", [25, 100, 200, 400])
def test_over_any_line_it_comes_to_an_end(kib_s, peers):
    """After a table's last rows, few and quick, it waited too little for the next table's, left that peer for
    another, and began again, for ever. Each peer's answers come one after the other, those to requests that
    were given up too."""
    installer, answers = Installer(Installation("seed", "code")), pieces()
    links = {number: (number, 1) for number in range(peers)}
    free_ms, coming = dict.fromkeys(links, 0), deque[tuple[int, int, SnapshotChunk]]()
    for now_ms in range(0, 900_000, 100):
        for due in [each for each in coming if each[0] <= now_ms]:
            coming.remove(due)
            installer.received(due[1], due[2], now_ms)
            step = installer.step({})
            if step is not None:
                installer.done(step)
        asked = installer.ask(links, now_ms)
        if asked:
            link, (piece, kib) = asked[0], answers[asked[1]]
            free_ms[link] = max(free_ms[link], now_ms) + kib * 1_000 // kib_s
            coming.append((free_ms[link], link, piece))
    assert not installer.reads_rows


def test_what_it_went_on_with_is_of_the_first_piece():
    """What touched the digests was told with that one."""
    installer = begun_with(A, 4)
    assert installer.ask({5: A}, 1) == (5, ON)
    installer.received(4, chunk(TABLES[0], b"b", after=b"a"), 1)
    assert not installer.has_rows, "the old link is not listened to"
    step = installed(installer, 5, chunk(TABLES[0], at=5, last=True, after=b"a"))
    for link, table in enumerate(TABLES[1:], 6):
        assert installer.ask({link: A}, 2) == (link, SnapshotRequest(table.value, b""))
        step = installed(installer, link, chunk(table, at=link, last=True))
    assert (step.adopts, step.vector, step.touched) == (True, {1: head(3)}, b"sums")
    assert not installer.caught_up({1: head(link - 1)})
    assert installer.caught_up({1: head(link)})


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
