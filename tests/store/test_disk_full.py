"""A full map and a full disk, for real: refused cleanly, reads go on, writes come back with room."""

import json
import shutil
import subprocess
import sys
import textwrap

import pytest

from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.port import StoreFull, Table
from tallystick.store.store import Store
from tests.store.worlds import ENCODERS, Item, integer, number_of

ORDERS, META, STOCK = Table.ORDERS, Table.META, Table.STOCK
MAP_BYTES = 1 << 20


def commit(store, turn, size=2_000):
    store.commit(
        {ORDERS: {b"%06d" % turn: b"%06d" % turn * (size // 6)}, META: {b"turn": b"%d" % turn}},
        {STOCK: {b"%03d" % (turn % 50): Item(turn)}},
        1,
        b"%d" % turn,
    )


def fill(store, turn=0):
    """Commit until it is full; answers the first turn that was refused."""
    while True:
        try:
            commit(store, turn)
        except StoreFull:
            return turn
        turn += 1


def check(store, turns):
    """Exactly the first so many turns are there, whole, for the engine and for readers."""
    assert store.get(META, b"turn") == b"%d" % (turns - 1)
    with store.read() as reader:
        assert [(key, len(value)) for key, value in reader.scan(ORDERS)] == [
            (b"%06d" % turn, 1_998) for turn in range(turns)
        ]
        for row in range(50):
            expected = max(turn for turn in range(turns) if turn % 50 == row)
            assert number_of(reader.get_lazy(STOCK, b"%03d" % row)) == expected
            assert number_of(store.get_lazy(STOCK, b"%03d" % row)) == expected


def test_a_full_map_refuses_and_a_larger_one_takes_it_up_again(tmp_path):
    store = Store(LmdbBackend(tmp_path, map_bytes=MAP_BYTES, reserve_bytes=0), ENCODERS, backlog_events=100)
    turns = fill(store)
    assert turns > 200
    check(store, turns)
    assert fill(store, turns) == turns  # again, and it is as full as it was
    check(store, turns)
    store.close()
    store = Store(LmdbBackend(tmp_path, map_bytes=4 * MAP_BYTES, reserve_bytes=0), ENCODERS)
    position = integer(store.checkpoint_position())
    lost = range(position + 1, turns)
    store.seed({STOCK: {b"%03d" % (turn % 50): Item(turn) for turn in lost}}, len(lost), b"%d" % (turns - 1))
    check(store, turns)
    commit(store, turns)
    check(store, turns + 1)
    store.close()


def test_the_reserve_is_what_deleting_needs(tmp_path):
    """Callers are refused while there is still room for what makes room, and it then comes back."""
    store = Store(LmdbBackend(tmp_path, map_bytes=MAP_BYTES, reserve_bytes=200_000), ENCODERS)
    turn = 0
    while (reason := store.writable()) is None:
        commit(store, turn)
        turn += 1
    assert "the map has room for" in reason
    store.commit({ORDERS: dict.fromkeys(b"%06d" % gone for gone in range(turn // 2))}, {}, 0, b"p")
    assert store.writable() is None
    for more in range(turn, turn + 50):
        commit(store, more)
    store.close()


def test_pages_that_were_freed_are_counted_as_room_once(tmp_path):
    """The file never shrinks, and its high-water mark alone would call a store full that is empty."""
    backend = LmdbBackend(tmp_path, map_bytes=MAP_BYTES, reserve_bytes=0)
    rows = {b"%06d" % number: b"x" * 1_000 for number in range(500)}
    backend.commit({ORDERS: rows})
    backend.commit({ORDERS: dict.fromkeys(rows)})
    capacity = backend.capacity()
    assert capacity.file_bytes > 500_000
    assert capacity.used_bytes < 100_000
    assert capacity.map_room_bytes > MAP_BYTES - 100_000
    assert capacity.disk_room_bytes > capacity.disk_free_bytes + 400_000
    for turn in range(20):  # and it is true: rows come and go for ever in a file that does not grow
        for _ in range(2):  # LMDB reuses a page from the second commit after the one that freed it
            backend.commit({META: {b"turn": b"%d" % turn}})
        backend.commit({ORDERS: {key + b"%d" % turn: value for key, value in rows.items()}})
        backend.commit({ORDERS: {key + b"%d" % turn: None for key in rows}})
    assert backend.capacity().file_bytes < MAP_BYTES
    backend.close()


# A disk of 12 MiB in memory, mounted for this process alone. A file of ballast leaves it less and less room,
# which moves the point where it is full over all that LMDB writes: single pages, runs of pages, large values.
ON_A_SMALL_DISK = """
    import json, os, subprocess, sys
    from pathlib import Path
    from tallystick.store.lmdb_backend import LmdbBackend
    from tallystick.store.port import StoreFull, Table
    from tallystick.store.store import Store
    from tests.store.test_disk_full import check, commit
    from tests.store.worlds import ENCODERS

    disk = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", disk], check=True)
    causes = set()
    for room in range(600_000, 2_000_000, 61_441):
        store = Store(LmdbBackend(disk / str(room), reserve_bytes=0), ENCODERS, backlog_events=100)
        free = os.statvfs(disk).f_bavail * 4096
        (disk / "ballast").write_bytes(bytes(free - room))
        turn, frame = 0, 0
        while True:
            try:
                commit(store, turn)
                turn += 1
                store.commit({Table.FRAMES: {b"%04d" % frame: b"f" * 30_000}}, {}, 0, b"%d" % (turn - 1))
                frame += 1
            except StoreFull as full:
                causes.add(full.__cause__.code)
                break
        if turn > 50:
            check(store, turn)
        assert store.capacity().disk_free_bytes < 200_000
        (disk / "ballast").unlink()
        commit(store, turn)
        store.flush()
        store.close()
        store = Store(LmdbBackend(disk / str(room), reserve_bytes=0), ENCODERS)
        assert store.get(Table.META, b"turn") == b"%d" % turn
        with store.read() as reader:
            assert len(list(reader.scan(Table.ORDERS))) == turn + 1
            assert all(value == b"f" * 30_000 for _, value in reader.scan(Table.FRAMES))
        store.close()
        subprocess.run(["rm", "-r", disk / str(room)], check=True)
    print(json.dumps(sorted(causes)))
"""


def can_mount(directory):
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(directory)]
    return (
        shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0
    )


def test_a_full_disk(tmp_path):
    if not can_mount(tmp_path):
        pytest.skip("a small disk of one's own needs Linux with user namespaces")
    command = ["unshare", "-rm", sys.executable, "-c", textwrap.dedent(ON_A_SMALL_DISK), str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=".")
    assert process.returncode == 0, process.stderr
    # Both ways in which LMDB tells: no room at all (28), and a write that was cut short (5).
    assert json.loads(process.stdout) == [5, 28]
