"""Readers in other threads beside commits and checkpoints: one committed state each, never torn."""

import sys
import threading

import pytest

from tallystick.store.port import StoreError, Table
from tallystick.store.store import Store
from tests.store.worlds import ENCODERS, Item, integer, number_of

ORDERS, META = Table.ORDERS, Table.META
STOCK, BY_TIME, BY_STATUS = Table.STOCK, Table.BY_TIME, Table.BY_STATUS
ITEMS = [b"%02d" % number for number in range(8)]


@pytest.fixture(autouse=True)
def _switch_threads_all_the_time():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def write(store, turn):
    """All rows say the turn; one order comes, and the one before it moves from one status to the next."""
    key = b"%06d" % turn
    before = b"%06d" % (turn - 1)
    lazy = {
        STOCK: {item: Item(turn) for item in ITEMS},
        BY_TIME: {key: b""},
        BY_STATUS: {b"held/" + key: b"", b"held/" + before: None, b"sold/" + before: b""},
    }
    store.commit({ORDERS: {key: b"%d" % turn}, META: {b"turn": b"%d" % turn}}, lazy, 1, b"%d" % turn)


def check(reader):
    """Everything that a reader sees is of one turn. Answers which."""
    turn = integer(reader.get(META, b"turn"))
    expected = [b"%06d" % number for number in range(1, turn + 1)]
    assert [number_of(reader.get_lazy(STOCK, item)) for item in ITEMS] == [turn] * len(ITEMS)
    assert [number_of(row) for _, row in reader.scan(STOCK)] == [turn] * len(ITEMS)
    assert [key for key, _ in reader.scan(BY_TIME)] == expected
    assert [key for key, _ in reader.scan(BY_TIME, expected[turn // 2], reverse=True)] == expected[
        : turn // 2 - 1 if turn // 2 else None : -1
    ]
    assert [key for key, _ in reader.scan(ORDERS)] == expected
    assert [key for key, _ in reader.scan(BY_STATUS, b"held/", b"held0")] == [b"held/" + expected[-1]]
    sold = [key for key, _ in reader.scan(BY_STATUS, b"sold/")]
    assert sold == [b"sold/000000"] + [b"sold/" + key for key in expected[:-1]]
    return turn


class Watcher(threading.Thread):
    """Reads until told to stop: each state twice, each at least as new as what was acknowledged before."""

    def __init__(self, store, acknowledged):
        super().__init__()
        self.store = store
        self.acknowledged = acknowledged
        self.stopping = threading.Event()
        self.read_one = threading.Semaphore(0)
        self.problem = None

    def run(self):
        try:
            while not self.stopping.is_set():
                at_least = self.acknowledged[-1]
                with self.store.read() as reader:
                    turn = check(reader)
                    assert check(reader) == turn
                assert turn >= at_least
                self.read_one.release()
        except (AssertionError, StoreError) as problem:
            self.problem = problem
            self.read_one.release()


def test_every_reader_sees_one_committed_state(backend):
    store = Store(backend, ENCODERS, slice_keys=7, backlog_events=24)
    write(store, 1)
    acknowledged = [1]
    watchers = [Watcher(store, acknowledged) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    for turn in range(2, 200):
        write(store, turn)
        acknowledged.append(turn)
        if turn % 17 == 0:
            store.idle()
        if turn % 4 == 0:  # so that nobody is left behind, however the threads are scheduled
            assert all(watcher.read_one.acquire(timeout=60) for watcher in watchers)
        if any(watcher.problem for watcher in watchers):
            break
    for watcher in watchers:
        watcher.stopping.set()
        watcher.join()
        if watcher.problem:
            raise watcher.problem
    assert integer(store.checkpoint_position()) > 150


def test_a_reader_that_stays_open_keeps_its_state_through_checkpoints(backend):
    store = Store(backend, ENCODERS, slice_keys=5, backlog_events=10)
    for turn in range(1, 20):
        write(store, turn)
    with store.read() as reader:
        seen = check(reader)
        moved_on = threading.Thread(target=lambda: [write(store, turn) for turn in range(20, 60)])
        moved_on.start()
        while moved_on.is_alive():
            assert check(reader) == seen
        store.flush()
        assert check(reader) == seen == 19
    with store.read() as reader:
        assert check(reader) == 59
