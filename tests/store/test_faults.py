"""Commits that fail, injected: what the store does then, and that it is none the worse for it."""

import pytest

from tallystick.store.memory import Fault, MemoryBackend, PowerLoss
from tallystick.store.port import StoreBroken, StoreFull, Table
from tallystick.store.store import Store
from tests.store.worlds import ENCODERS, Item, number_of

STOCK, ORDERS, META = Table.STOCK, Table.ORDERS, Table.META


@pytest.fixture
def backend():
    return MemoryBackend()


@pytest.fixture
def store(backend):
    return Store(backend, ENCODERS, slice_keys=1, backlog_events=40)


def commit(store, turn, events=1):
    store.commit({META: {b"turn": b"%d" % turn}}, {STOCK: {b"%02d" % turn: Item(turn)}}, events, b"%d" % turn)


def seen(store):
    """The turns whose rows a reader sees, eager and lazy rows agreeing."""
    with store.read() as reader:
        turns = [number_of(row) for _, row in reader.scan(STOCK)]
        assert turns[-1:] == [int(turn) for turn in [reader.get(META, b"turn")] if turn]
    return turns


def committed(store):
    """The turns whose rows are there, for readers and for the engine alike."""
    turns = seen(store)
    assert all(number_of(store.get_lazy(STOCK, b"%02d" % turn)) == turn for turn in turns)
    return turns


def test_a_commit_that_finds_no_room_changes_nothing(backend, store):
    commit(store, 1)
    backend.inject(Fault.FULL)
    with pytest.raises(StoreFull):
        commit(store, 2)
    assert committed(store) == [1]
    assert store.backlog == 1
    assert store.get_lazy(STOCK, b"02") is None
    commit(store, 3)
    assert committed(store) == [1, 3]


def test_readers_of_a_failed_commit_do_not_see_the_one_tried_again(backend, store):
    """A staged commit that failed must not lie over the next one, which has the same version."""
    commit(store, 1)
    backend.inject(Fault.FULL)
    with pytest.raises(StoreFull):
        store.commit({META: {b"turn": b"9"}}, {STOCK: {b"01": Item(9)}}, 1, b"9")
    commit(store, 2)
    assert committed(store) == [1, 2]


def half_full(store):
    """Enough for a checkpoint to begin with the next commit."""
    for turn in range(20):
        commit(store, turn)


def test_a_slice_that_finds_no_room_is_left_out_and_stays_dirty(backend, store):
    half_full(store)
    backend.inject(Fault.FULL)
    commit(store, 20)
    assert committed(store) == list(range(21))
    assert backend.get(STOCK, b"00") is None
    assert store.backlog == 21
    store.flush()
    assert store.checkpoint_position() == b"20"
    assert backend.get(STOCK, b"00") is not None
    assert committed(store) == list(range(21))


def test_after_a_slice_found_no_room_commits_go_without_for_a_while(backend, store):
    half_full(store)
    backend.inject(Fault.FULL)
    version = backend.version
    commit(store, 20)
    commit(store, 21)
    assert backend.get(STOCK, b"00") is None
    commit(store, 22)
    assert backend.get(STOCK, b"00") is not None
    assert backend.version == version + 3


def test_once_a_slice_found_room_again_they_go_with_commits_as_before(backend, store):
    half_full(store)
    backend.inject(Fault.FULL)
    commit(store, 20)
    store.idle()
    assert backend.get(STOCK, b"00") is not None
    commit(store, 21)
    assert backend.get(STOCK, b"01") is not None


def test_neither_with_the_slice_nor_without(backend, store):
    half_full(store)
    backend.inject(Fault.FULL, 1)
    backend.inject(Fault.FULL, 2)
    with pytest.raises(StoreFull):
        commit(store, 20)
    assert committed(store) == list(range(20))
    assert store.backlog == 20
    commit(store, 21)
    store.flush()
    assert committed(store) == [*range(20), 21]


def test_a_full_store_never_has_more_backlog_than_it_may(backend, store):
    """Memory is bounded too: when checkpoints find no room, in the end commits don't either."""
    used = None
    for turn in range(60):
        try:
            commit(store, turn)
        except StoreFull:
            used = turn
            break
        backend.disk_bytes = backend.capacity().used_bytes + 6  # for the turn, not for a slice
        assert store.backlog <= 40
    assert used == 40
    assert committed(store) == list(range(40))
    backend.disk_bytes = 1 << 30
    commit(store, 40)
    assert committed(store) == list(range(41))


def test_idle_that_finds_no_room_can_be_asked_again(backend, store):
    commit(store, 1)
    commit(store, 2)
    backend.inject(Fault.FULL)
    with pytest.raises(StoreFull):
        store.idle()
    assert committed(store) == [1, 2]
    store.flush()
    assert store.checkpoint_position() == b"2"


@pytest.mark.parametrize("kept", [False, True])
def test_a_failed_sync_is_for_ever(backend, store, kept):
    commit(store, 1)
    backend.inject(Fault.BROKEN, kept=kept)
    with pytest.raises(StoreBroken):
        commit(store, 2)
    with pytest.raises(StoreBroken):
        commit(store, 3)
    with pytest.raises(StoreBroken):
        backend.commit({META: {b"turn": b"3"}})
    # Until the process ends, readers see a state that was committed, whichever it is.
    assert seen(store) == ([1, 2] if kept else [1])
    reopened = backend.crash()
    assert reopened.get(META, b"turn") is not None
    assert (reopened.version == 2) is kept


@pytest.mark.parametrize("kept", [False, True])
def test_power_lost_in_a_commit_leaves_all_or_nothing(backend, store, kept):
    commit(store, 1)
    backend.inject(Fault.POWER, kept=kept)
    with pytest.raises(PowerLoss):
        store.commit({ORDERS: {b"o": b"order"}, META: {b"turn": b"2"}}, {}, 1, b"2")
    with pytest.raises(StoreBroken):
        store.get(META, b"turn")
    reopened = Store(backend.crash(), ENCODERS)
    assert reopened.get(ORDERS, b"o") == (b"order" if kept else None)
    assert reopened.get(META, b"turn") == (b"2" if kept else b"1")


def test_the_nth_commit_fails_and_no_other(backend):
    backend.inject(Fault.FULL, 3)
    for turn in range(1, 6):
        if turn == 3:
            with pytest.raises(StoreFull):
                backend.commit({META: {b"%d" % turn: b""}})
        else:
            backend.commit({META: {b"%d" % turn: b""}})
    assert backend.last_key(META) == b"5"
    assert backend.get(META, b"3") is None


def test_rot_is_seen_in_memory_too(backend, store):
    commit(store, 1)
    with store.read() as before:
        backend.rot(META, b"turn", bit=41)
        assert before.get(META, b"turn") == b"1"
    with pytest.raises(Exception, match="corrupt record in meta"):
        store.get(META, b"turn")


def test_a_clone_goes_its_own_way(backend, store):
    commit(store, 1)
    clone = backend.clone()
    commit(store, 2)
    assert Store(clone, ENCODERS).get(META, b"turn") == b"1"
    assert store.get(META, b"turn") == b"2"


@pytest.mark.parametrize("kind", ["map", "disk"])
def test_callers_writes_are_refused_below_the_reserve_and_come_back(backend, store, kind):
    assert store.writable() is None
    backend.reserve_bytes = 1_000
    setattr(backend, f"{kind}_bytes", 1_500)
    store.commit({META: {b"ballast": b"x" * 600}}, {}, 1, b"1")
    reasons = [store.writable() for _ in range(20)]
    assert reasons[-1] is not None
    assert kind in reasons[-1]
    store.commit({META: {b"more": b"from the reserve"}}, {}, 1, b"2")
    setattr(backend, f"{kind}_bytes", 100_000)
    assert store.writable() is None
