"""The store on either backend: what is visible when, what checkpoints write, what opening finds."""

import pytest

from tallystick.store.port import CorruptRecord, Table
from tallystick.store.store import Store
from tests.store.worlds import ENCODERS, Item, encode_item, integer, number_of

STOCK, BY_TIME, ORDERS, META = Table.STOCK, Table.BY_TIME, Table.ORDERS, Table.META


class Shop:
    """A store whose commits are numbered, so that their number is the position."""

    def __init__(self, backend, **options):
        self.backend = backend
        self.store = Store(backend, ENCODERS, **options)
        self.commits = 0

    def commit(self, lazy, writes=None, events=1):
        self.store.commit(writes or {META: {b"n": b"x"}}, lazy, events, b"%d" % (self.commits + 1))
        self.commits += 1

    def stock(self, key):
        return number_of(self.store.get_lazy(STOCK, key))


@pytest.fixture
def shop(backend):
    return Shop(backend, slice_keys=2, backlog_events=10)


def items(*numbers):
    return {STOCK: {b"%02d" % number: Item(number) for number in numbers}}


def keys_of(rows):
    return [key for key, _ in rows]


def test_eager_rows_are_on_the_disk_and_lazy_ones_in_memory(shop):
    item = Item(7)
    shop.commit({STOCK: {b"k": item}, BY_TIME: {b"t": b""}}, {ORDERS: {b"o": b"order"}})
    assert shop.store.get(ORDERS, b"o") == b"order"
    assert shop.store.get_lazy(STOCK, b"k") is item
    assert shop.store.get_lazy(BY_TIME, b"t") == b""
    assert shop.backend.get(STOCK, b"k") is None
    assert shop.store.get_many(ORDERS, [b"o", b"unknown"]) == {b"o": b"order"}


def test_an_eager_deletion(shop):
    shop.commit({}, {ORDERS: {b"o": b"order"}})
    shop.commit({}, {ORDERS: {b"o": None}})
    assert shop.store.get(ORDERS, b"o") is None


def test_a_lazy_deletion_hides_what_is_stored(shop):
    shop.commit(items(1, 2))
    shop.store.flush()
    shop.commit({STOCK: {b"01": None}})
    assert shop.store.get_lazy(STOCK, b"01") is None
    with shop.store.read() as reader:
        assert reader.get_lazy(STOCK, b"01") is None
        assert keys_of(reader.scan(STOCK)) == [b"02"]
    shop.store.flush()
    assert shop.backend.get(STOCK, b"01") is None


def test_objects_are_encoded_when_they_are_written_and_not_before(world):
    encoded = []

    def encode(item):
        encoded.append(item.number)
        return encode_item(item)

    store = Store(world.open(), {STOCK: encode})
    for number in (1, 2, 3):
        store.commit({}, {STOCK: {b"k": Item(number)}}, 1, b"p")
    assert encoded == []
    store.flush()
    assert encoded == [3]
    assert number_of(store.get_lazy(STOCK, b"k")) == 3


def test_flush_writes_everything_and_the_position(shop, world):
    shop.commit(items(3, 1, 2) | {BY_TIME: {b"t": b""}})
    assert shop.store.backlog == 1
    assert shop.store.checkpoint_position() is None
    shop.store.flush()
    assert shop.store.backlog == 0
    again = Shop(world.crash())
    assert again.store.checkpoint_position() == b"1"
    assert [again.stock(b"%02d" % number) for number in (1, 2, 3)] == [1, 2, 3]
    assert again.store.get_lazy(BY_TIME, b"t") == b""


def test_idle_writes_one_slice_at_a_time(shop):
    shop.commit(items(1, 2, 3, 4, 5))
    assert shop.store.idle()
    assert shop.backend.get(STOCK, b"02") is not None
    assert shop.backend.get(STOCK, b"03") is None
    assert shop.store.idle()
    assert shop.store.checkpoint_position() is None
    assert not shop.store.idle()
    assert shop.store.checkpoint_position() == b"1"
    version = shop.backend.version
    assert not shop.store.idle()
    assert shop.backend.version == version


def test_what_changes_while_a_checkpoint_runs_belongs_to_the_next(shop, world):
    shop.commit(items(1, 2, 3))
    shop.store.idle()
    shop.commit({STOCK: {b"01": Item(100), b"03": Item(300)}})
    while shop.store.checkpoint_position() is None:
        shop.store.idle()
    assert shop.store.checkpoint_position() == b"1"
    assert (shop.stock(b"01"), shop.stock(b"03")) == (100, 300)
    stored = Shop(world.crash())
    assert (stored.stock(b"01"), stored.stock(b"03")) == (1, 3)


def test_slices_go_with_commits_once_half_of_the_backlog_is_fresh(shop):
    for number in range(5):
        shop.commit(items(number))
    assert shop.backend.get(STOCK, b"00") is None
    version = shop.backend.version
    shop.commit(items(5))
    assert shop.backend.get(STOCK, b"01") is not None
    assert shop.backend.version == version + 1


@pytest.mark.parametrize(
    "sizes", [[1] * 60, [3] * 30, [1, 9, 2, 7, 10, 1, 4], [25, 1, 11, 30, 2], [10, 10, 1]]
)
def test_the_backlog_is_bounded(shop, sizes):
    for turn, events in enumerate(sizes):
        shop.commit(items(*range(turn * 7, turn * 7 + 20)), events=events)
        assert shop.store.backlog <= max(10, events)
    assert shop.stock(b"%02d" % (7 * len(sizes))) == 7 * len(sizes)


def test_a_busy_store_needs_no_commits_for_checkpoints_alone(shop):
    """However many rows an event has, and however few a slice: the pace is what the backlog asks for."""
    store = Store(shop.backend, ENCODERS, slice_keys=1, backlog_events=100)
    version = shop.backend.version
    for turn in range(200):
        rows = {BY_TIME: {b"%04d-%02d" % (turn, number): b"" for number in range(20)}}
        store.commit({META: {b"n": b"x"}}, rows, 3 + turn % 3, b"%d" % turn)
    assert shop.backend.version == version + 200
    assert integer(store.checkpoint_position()) > 150


def test_a_crash_between_slices_is_replayed_from_the_last_finished_checkpoint(shop, world):
    shop.commit(items(1, 2))
    shop.store.flush()
    shop.commit({STOCK: {b"01": Item(10), b"02": Item(20), b"03": Item(30)}})
    shop.store.idle()
    again = Shop(world.crash())
    assert again.store.checkpoint_position() == b"1"
    # The first slice is there and the last is not: rows may be newer than the position, never older.
    assert [again.stock(key) for key in (b"01", b"02", b"03")] == [10, 20, None]
    again.store.seed({STOCK: {b"01": Item(10), b"02": Item(20), b"03": Item(30)}}, 1, b"2")
    assert again.store.backlog == 1
    assert again.stock(b"03") == 30
    again.store.flush()
    assert again.store.checkpoint_position() == b"2"


def test_seeding_more_than_the_backlog_writes_it(world):
    store = Store(world.open(), ENCODERS, slice_keys=2, backlog_events=10)
    store.seed(items(*range(8)), 8, b"8")
    assert store.backlog == 8
    store.seed(items(*range(8, 16)), 8, b"16")
    assert store.backlog == 0
    assert store.checkpoint_position() == b"16"


def test_a_table_in_the_wrong_hands_is_refused_before_anything_is_written(shop):
    version = shop.backend.version
    for writes, lazy in (({STOCK: {b"k": b"1"}}, {}), ({}, {ORDERS: {b"k": Item(1)}})):
        with pytest.raises(ValueError, match="wrong"):
            shop.store.commit(writes, lazy, 1, b"p")
    with pytest.raises(ValueError, match="wrong"):
        shop.store.seed({ORDERS: {}}, 1, b"p")
    assert shop.backend.version == version


# ------------------------------------------------------------------------------------------------- readers


def test_a_reader_sees_one_committed_state(shop):
    shop.commit(items(1, 2) | {BY_TIME: {b"t1": b""}}, {ORDERS: {b"o": b"old"}})
    with shop.store.read() as before:
        shop.commit(
            {STOCK: {b"01": Item(10), b"02": None, b"03": Item(3)}, BY_TIME: {b"t2": b""}},
            {ORDERS: {b"o": b"new"}},
        )
        shop.store.flush()
        shop.commit({STOCK: {b"01": Item(100)}})
        assert before.get(ORDERS, b"o") == b"old"
        assert [number_of(before.get_lazy(STOCK, key)) for key in (b"01", b"02", b"03")] == [1, 2, None]
        assert keys_of(before.scan(BY_TIME)) == [b"t1"]
        with shop.store.read() as after:
            assert after.get(ORDERS, b"o") == b"new"
            rows = {key: number_of(row) for key, row in after.scan(STOCK)}
    assert rows == {b"01": 100, b"03": 3}


def test_a_scan_merges_stored_frozen_and_fresh_rows(shop):
    shop.commit(items(1, 4, 7, 10))
    shop.store.flush()
    shop.commit({STOCK: {b"02": Item(2), b"04": None, b"05": Item(5), b"10": Item(1010)}})
    shop.store.idle()
    shop.commit({STOCK: {b"02": Item(202), b"04": Item(404), b"05": None, b"06": Item(6)}})
    expected = [(1, 1), (2, 202), (4, 404), (6, 6), (7, 7), (10, 1010)]
    with shop.store.read() as reader:
        for start, stop in ((None, None), (b"02", b"10"), (b"03", b"06"), (b"00", b"01"), (b"04", b"04")):
            inside = [
                (b"%02d" % key, number)
                for key, number in expected
                if (start is None or start <= b"%02d" % key) and (stop is None or b"%02d" % key < stop)
            ]
            rows = [(key, number_of(row)) for key, row in reader.scan(STOCK, start, stop)]
            fallen = [(key, number_of(row)) for key, row in reader.scan(STOCK, start, stop, reverse=True)]
            assert (rows, fallen) == (inside, inside[::-1])


def test_many_readers_in_turn_each_keep_their_state(shop):
    with_their_states = []
    entered = []
    for turn in range(12):
        shop.commit({STOCK: {b"%02d" % (turn % 5): Item(turn)}, BY_TIME: {b"%02d" % turn: b""}})
        context = shop.store.read()
        entered.append(context)
        with_their_states.append((turn, context.__enter__()))
    for turn, reader in with_their_states:
        assert len(list(reader.scan(BY_TIME))) == turn + 1
        for key in range(5):
            written = [number for number in range(turn + 1) if number % 5 == key]
            assert number_of(reader.get_lazy(STOCK, b"%02d" % key)) == (written[-1] if written else None)
    for context in entered:
        context.__exit__(None, None, None)


# ------------------------------------------------------------------------------------------------- rot


def test_a_rotten_record_is_reported_by_name(world, backend):
    store = Store(backend, ENCODERS)
    store.commit({ORDERS: {b"good": b"1", b"rotten": b"2"}}, items(1), 1, b"p")
    store.flush()
    value = bytearray(backend.get(ORDERS, b"rotten"))
    value[-1] ^= 4
    backend.commit({ORDERS: {b"rotten": bytes(value)}, STOCK: {b"01": bytes(value)}})
    assert store.get(ORDERS, b"good") == b"1"
    with pytest.raises(CorruptRecord, match="rotten") as caught:
        store.get(ORDERS, b"rotten")
    assert (caught.value.table, caught.value.key) == (ORDERS, b"rotten")
    with pytest.raises(CorruptRecord):
        store.get_many(ORDERS, [b"good", b"rotten"])
    with pytest.raises(CorruptRecord):
        store.get_lazy(STOCK, b"01")
    with store.read() as reader:
        with pytest.raises(CorruptRecord):
            reader.get(ORDERS, b"rotten")
        scan = reader.scan(ORDERS)
        assert next(scan) == (b"good", b"1")
        with pytest.raises(CorruptRecord):
            next(scan)
