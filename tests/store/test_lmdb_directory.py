"""What a directory on a real disk can be: locked, foreign, rotten, left behind by a killed process."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import lmdb
import pytest

from tallystick.store.lmdb_backend import FORMAT_KEY, LmdbBackend
from tallystick.store.port import (
    CorruptRecord,
    StoreBroken,
    StoreError,
    StoreFull,
    StoreLocked,
    Table,
    WrongFormat,
)
from tallystick.store.record import pack
from tallystick.store.store import Store
from tests.store.worlds import ENCODERS, Item, integer

ORDERS, META = Table.ORDERS, Table.META


def run(script, *arguments, **options):
    """Run a Python script in a process of its own; its last line of output is JSON."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def answer(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


# ----------------------------------------------------------------------------------------------- the lock


def test_a_second_opener_in_this_process_is_told(tmp_path):
    first = LmdbBackend(tmp_path)
    with pytest.raises(StoreLocked, match="another process"):
        LmdbBackend(tmp_path)
    first.commit({META: {b"k": b"still fine"}})
    first.close()
    second = LmdbBackend(tmp_path)
    assert second.get(META, b"k") == b"still fine"
    second.close()


def test_a_second_process_is_told(tmp_path):
    first = LmdbBackend(tmp_path)
    script = """
        import json, sys
        from pathlib import Path
        from tallystick.store.lmdb_backend import LmdbBackend
        from tallystick.store.port import StoreLocked
        try:
            LmdbBackend(Path(sys.argv[1]))
        except StoreLocked:
            print(json.dumps("locked"))
    """
    assert answer(run(script, tmp_path)) == "locked"
    first.close()


def test_closing_twice_is_closing(tmp_path):
    backend = LmdbBackend(tmp_path)
    backend.close()
    backend.close()


# ---------------------------------------------------------------------------------------------- the format


def test_a_missing_directory_is_made(tmp_path):
    LmdbBackend(tmp_path / "a" / "b").close()
    assert (tmp_path / "a" / "b" / "data.mdb").exists()


def test_a_file_that_is_no_environment(tmp_path):
    (tmp_path / "data.mdb").write_bytes(b"not an environment" * 1_000)
    with pytest.raises(WrongFormat):
        LmdbBackend(tmp_path)


def test_the_other_line_of_lmdb(tmp_path):
    env = lmdb.open(str(tmp_path), lib_version=1)
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")
    env.close()
    with pytest.raises(WrongFormat, match="no environment of this version"):
        LmdbBackend(tmp_path)


def test_somebody_elses_environment_is_left_as_it_was(tmp_path):
    env = lmdb.open(str(tmp_path), lib_version=0, max_dbs=4)
    env.open_db(b"accounts")
    env.close()
    with pytest.raises(WrongFormat, match="format None"):
        LmdbBackend(tmp_path)
    env = lmdb.open(str(tmp_path), lib_version=0, max_dbs=4)
    assert env.dbs() == [b"accounts"]
    env.close()


def test_a_later_format_is_not_read(tmp_path):
    backend = LmdbBackend(tmp_path)
    backend.commit({META: {FORMAT_KEY: pack(META, FORMAT_KEY, b"2")}})
    backend.close()
    for _ in range(2):  # and the refusal lets go of the directory
        with pytest.raises(WrongFormat, match="b'2'"):
            LmdbBackend(tmp_path)


def test_a_map_that_fits_no_address_space(tmp_path):
    with pytest.raises(StoreError, match="address space"):
        LmdbBackend(tmp_path, map_bytes=1 << 60)


# ------------------------------------------------------------------------------------------- rot, and broken


def test_a_bit_flipped_on_the_disk(tmp_path):
    store = Store(LmdbBackend(tmp_path), ENCODERS)
    store.commit({ORDERS: {b"one": b"payload-one", b"two": b"payload-two"}}, {}, 1, b"1")
    store.close()
    file = tmp_path / "data.mdb"
    data = file.read_bytes()
    assert data.count(b"payload-two") == 1
    file.write_bytes(data.replace(b"payload-two", b"payload-tvo"))
    store = Store(LmdbBackend(tmp_path), ENCODERS)
    assert store.get(ORDERS, b"one") == b"payload-one"
    with pytest.raises(CorruptRecord, match="b'two'"):
        store.get(ORDERS, b"two")
    store.close()


def lmdb_error(kind, code):
    error = kind("mdb_txn_commit")
    error.code = code  # as py-lmdb sets it
    return error


class FailingEnvironment:
    """An environment whose transactions fail, as on a disk that is dying."""

    def __init__(self, env, writing, reading=None):
        self._env = env
        self._writing = writing
        self._reading = reading

    def begin(self, write=False, **options):
        error = self._writing if write else self._reading
        if error is not None:
            raise error
        return self._env.begin(**options)

    def __getattr__(self, name):
        return getattr(self._env, name)


@pytest.mark.parametrize(
    ("kind", "code"), [(lmdb.Error, errno.EIO), (lmdb.PanicError, -30795), (lmdb.CorruptedError, -30796)]
)
def test_a_failed_sync_ends_all_commits(tmp_path, monkeypatch, kind, code):
    backend = LmdbBackend(tmp_path)
    backend.commit({META: {b"k": b"1"}})
    whole = backend._env
    monkeypatch.setattr(backend, "_env", FailingEnvironment(whole, lmdb_error(kind, code)))
    with pytest.raises(StoreBroken):
        backend.commit({META: {b"k": b"2"}})
    monkeypatch.setattr(backend, "_env", whole)
    with pytest.raises(StoreBroken):
        backend.commit({META: {b"k": b"3"}})
    assert backend.get(META, b"k") == b"1"
    backend.close()


def test_a_meta_page_that_found_no_room_is_broken_not_full(tmp_path, monkeypatch):
    """The disk says that it is full, but it was the meta page: what is on the disk is not known any more."""
    backend = LmdbBackend(tmp_path)
    full, panic = lmdb_error(lmdb.DiskError, errno.ENOSPC), lmdb_error(lmdb.PanicError, -30795)
    whole = backend._env
    monkeypatch.setattr(backend, "_env", FailingEnvironment(whole, full))
    with pytest.raises(StoreFull):
        backend.commit({META: {b"k": b"1"}})
    monkeypatch.setattr(backend, "_env", FailingEnvironment(whole, full, panic))
    with pytest.raises(StoreBroken):
        backend.commit({META: {b"k": b"1"}})
    backend.close()


def test_a_write_cut_short_on_a_disk_with_room_is_not_taken_for_a_full_disk(tmp_path):
    """A limit on the size of files makes real short writes; LMDB says EIO, and the disk has room: broken."""
    script = """
        import json, resource, sys
        from pathlib import Path
        from tallystick.store.lmdb_backend import LmdbBackend
        from tallystick.store.port import StoreBroken, StoreFull, Table
        backend = LmdbBackend(Path(sys.argv[1]), map_bytes=1 << 30)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
        seen = "never"
        for number in range(100):
            try:
                backend.commit({Table.FRAMES: {b"%04d" % number: b"x" * 700_000}})
            except (StoreBroken, StoreFull) as error:
                seen = type(error).__name__
                break
        kept = sum(backend.get(Table.FRAMES, b"%04d" % n) == b"x" * 700_000 for n in range(number))
        print(json.dumps([seen, kept == number > 0]))
    """
    assert answer(run(script, tmp_path)) == ["StoreBroken", True]


# ----------------------------------------------------------------------------------------------------- kill


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    """P2: a killed process has lost no commit that returned, and half of one leaves no trace."""
    script = """
        import sys
        from pathlib import Path
        from tallystick.store.lmdb_backend import LmdbBackend
        from tallystick.store.port import Table
        from tallystick.store.store import Store
        store = Store(LmdbBackend(Path(sys.argv[1])), {Table.STOCK: bytes}, slice_keys=50, backlog_events=400)
        for turn in range(1_000_000):
            orders = {b"%08d-%02d" % (turn, n): b"%d" % turn for n in range(20)}
            items = {b"%02d" % n: b"%d" % turn for n in range(40)}
            store.commit(
                {Table.ORDERS: orders, Table.META: {b"turn": b"%d" % turn}},
                {Table.STOCK: items}, 20, b"%d" % turn,
            )
            print(turn, flush=True)
    """
    process = run(script, tmp_path)
    for line in process.stdout:
        if int(line) >= 60:
            break
    process.send_signal(signal.SIGKILL)
    acknowledged = int((process.communicate()[0].split() or [line])[-1])
    store = Store(LmdbBackend(tmp_path), ENCODERS)
    turn = integer(store.get(META, b"turn"))
    assert acknowledged <= turn <= acknowledged + 1
    with store.read() as reader:
        orders = list(reader.scan(ORDERS))
        reached = [integer(row) for _, row in reader.scan(Table.STOCK)]
    assert len(orders) == 20 * (turn + 1)
    assert all(integer(value) == int(key[:8]) for key, value in orders)
    position = integer(store.checkpoint_position())
    assert turn - 40 <= position <= min(reached)
    assert len(reached) == 40
    store.close()


def test_readers_left_behind_by_a_killed_process_do_not_pin_pages(tmp_path):
    """LMDB forgets them by itself, unless another process (say, one that copies) has the environment open."""
    LmdbBackend(tmp_path).close()
    copier = run(
        """
        import sys, lmdb
        env = lmdb.open(sys.argv[1], readonly=True)
        print("open", flush=True)
        sys.stdin.read()
        """,
        tmp_path,
        stdin=subprocess.PIPE,
    )
    assert copier.stdout.readline() == "open\n"
    killed = run(
        """
        import os, signal, sys
        from pathlib import Path
        from tallystick.store.lmdb_backend import LmdbBackend
        with LmdbBackend(Path(sys.argv[1])).snapshot():
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path,
    )
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    backend = LmdbBackend(tmp_path)
    assert str(killed.pid) not in backend._env.readers()
    backend.close()
    copier.communicate()


def test_no_descriptor_is_left_open(tmp_path):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    if not Path("/proc/self/fd").exists():
        pytest.skip("counting descriptors needs /proc")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "data.mdb").write_bytes(b"no environment" * 1_000)
    before = descriptors()
    for _ in range(3):
        store = Store(LmdbBackend(tmp_path / "node"), ENCODERS)
        store.commit({META: {b"k": b"v"}}, {Table.STOCK: {b"k": Item(1)}}, 1, b"1")
        with pytest.raises(StoreLocked):
            LmdbBackend(tmp_path / "node")
        with pytest.raises(WrongFormat):
            LmdbBackend(tmp_path / "foreign")
        store.close()
    assert descriptors() == before


def test_full_is_not_broken():
    assert not issubclass(StoreFull, StoreBroken)
    assert issubclass(StoreFull, StoreError)
