"""The contract of a backend, held by LMDB and by its twin in memory alike."""

import pytest

from tallystick.store.port import StoreBroken, StoreError, Table

A, B, C, D = b"a", b"b", b"c", b"d"


def fill(backend, table=Table.STOCK, keys=(A, B, C, D)):
    backend.commit({table: {key: b"v" + key for key in keys}})


def keys_of(snapshot, *bounds, **options):
    return b"".join(key for key, _ in snapshot.scan(Table.STOCK, *bounds, **options))


def test_what_was_committed_is_there(backend):
    backend.commit({Table.META: {A: b"1", B: b""}, Table.ORDERS: {A: b"2"}})
    assert backend.get(Table.META, A) == b"1"
    assert backend.get(Table.META, B) == b""
    assert backend.get(Table.ORDERS, A) == b"2"
    assert backend.get(Table.ORDERS, B) is None


def test_none_deletes_and_may_find_nothing_to_delete(backend):
    fill(backend)
    backend.commit({Table.STOCK: {A: None, b"unknown": None, B: b"new"}})
    assert backend.get(Table.STOCK, A) is None
    assert backend.get_many(Table.STOCK, [A, B, C]) == {B: b"new", C: b"vc"}


def test_get_many_takes_keys_in_any_order_and_answers_those_that_are_there(backend):
    fill(backend)
    assert backend.get_many(Table.STOCK, [D, b"unknown", A]) == {A: b"va", D: b"vd"}
    assert backend.get_many(Table.STOCK, []) == {}


def test_the_last_key(backend):
    assert backend.last_key(Table.STOCK) is None
    fill(backend)
    assert backend.last_key(Table.STOCK) == D
    backend.commit({Table.STOCK: {D: None}})
    assert backend.last_key(Table.STOCK) == C


@pytest.mark.parametrize(
    ("start", "stop", "found"),
    [
        (None, None, b"abcd"),
        (b"", None, b"abcd"),
        (B, None, b"bcd"),
        (None, C, b"ab"),
        (B, D, b"bc"),
        (b"aa", b"cc", b"bc"),
        (B, B, b""),
        (D, A, b""),
        (b"e", None, b""),
        (None, b"", b""),
        (None, b"e", b"abcd"),
    ],
)
def test_a_scan_starts_inclusive_and_stops_exclusive_in_both_directions(backend, start, stop, found):
    fill(backend)
    with backend.snapshot() as snapshot:
        assert keys_of(snapshot, start, stop) == found
        assert keys_of(snapshot, start, stop, reverse=True) == found[::-1]


def test_a_scan_of_nothing(backend):
    with backend.snapshot() as snapshot:
        assert keys_of(snapshot) == keys_of(snapshot, A, B, reverse=True) == b""
        assert keys_of(snapshot, reverse=True) == b""


def test_two_scans_of_one_snapshot_do_not_disturb_each_other(backend):
    fill(backend)
    with backend.snapshot() as snapshot:
        rising, falling = snapshot.scan(Table.STOCK), snapshot.scan(Table.STOCK, reverse=True)
        pairs = [(up[0], down[0]) for up, down in zip(rising, falling, strict=True)]
    assert pairs == [(A, D), (B, C), (C, B), (D, A)]


def test_a_snapshot_does_not_see_what_is_written_meanwhile(backend):
    fill(backend)
    with backend.snapshot() as before:
        scan = before.scan(Table.STOCK)
        first = next(scan)
        backend.commit({Table.STOCK: {A: b"new", B: None, b"e": b"new"}})
        assert [first, *scan] == [(key, b"v" + key) for key in (A, B, C, D)]
        assert before.get(Table.STOCK, A) == b"va"
        with backend.snapshot() as after:
            assert keys_of(after) == b"acde"
            assert after.version == before.version + 1


def test_the_version_counts_commits(backend, world):
    version = backend.version
    fill(backend)
    fill(backend, keys=(A,))
    assert backend.version == version + 2
    with backend.snapshot() as snapshot:
        assert snapshot.version == version + 2
    backend.commit({})
    assert backend.version == version + 2
    assert world.crash().version == version + 2


def test_a_crash_loses_nothing_that_was_committed(backend, world):
    fill(backend)
    reopened = world.crash()
    with reopened.snapshot() as snapshot:
        assert keys_of(snapshot) == b"abcd"
    reopened.commit({Table.STOCK: {A: None}})
    assert world.crash().get(Table.STOCK, A) is None


def test_large_and_many_rows(backend):
    frame = bytes(range(256)) * (16 << 10)  # 4 MiB: the largest event goes alone
    many = {b"%08d" % number: b"x" * 100 for number in range(5_000)}
    backend.commit({Table.FRAMES: {A: frame}, Table.ORDERS: many})
    assert backend.get(Table.FRAMES, A) == frame
    with backend.snapshot() as snapshot:
        assert dict(snapshot.scan(Table.ORDERS)) == many


def test_the_room_shrinks_by_what_is_stored_and_grows_by_what_is_deleted(backend):
    before = backend.capacity()
    rows = {b"%08d" % number: b"x" * 1_000 for number in range(2_000)}
    backend.commit({Table.ORDERS: rows})
    full = backend.capacity()
    assert full.used_bytes > before.used_bytes + 2_000_000
    assert full.map_room_bytes < before.map_room_bytes - 2_000_000
    backend.commit({Table.ORDERS: dict.fromkeys(rows)})
    after = backend.capacity()
    assert after.map_room_bytes > full.map_room_bytes + 2_000_000
    # Free pages in our file are room on the disk too: the file never shrinks, so nothing else would show.
    assert after.disk_room_bytes - after.disk_free_bytes >= after.file_bytes - after.used_bytes


def test_capacity_adds_up(backend):
    fill(backend)
    capacity = backend.capacity()
    assert 0 < capacity.used_bytes <= capacity.file_bytes <= capacity.map_bytes
    assert capacity.map_room_bytes == capacity.map_bytes - capacity.used_bytes


def test_a_closed_backend_is_broken(backend):
    fill(backend)
    backend.close()
    with pytest.raises(StoreBroken):
        backend.get(Table.STOCK, A)
    with pytest.raises(StoreBroken):
        fill(backend)
    with pytest.raises(StoreBroken), backend.snapshot():
        pass


@pytest.mark.parametrize("key", [b"", b"k" * 512])
def test_a_key_that_is_empty_or_too_long_is_refused_whole(backend, key):
    with pytest.raises(StoreError, match="too long") as caught:
        backend.commit({Table.STOCK: {A: b"1", key: b"2"}})
    assert type(caught.value) is StoreError
    assert backend.get(Table.STOCK, A) is None
    backend.commit({Table.STOCK: {b"k" * 511: b"1"}})
