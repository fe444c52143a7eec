"""LMDB behind the store's port: one environment a node, one writer, one named database a table.

Synced in full (`sync`, `metasync`, no `writemap`): with less, a crash undoes an acknowledged commit, and a
full disk kills the process. py-lmdb gives the interpreter lock away at every single put and get, those inside
`putmulti` and `getmulti` included, so beside a busy thread each row costs a race for the lock. What helps is
fewer rows and a short `sys.setswitchinterval`. Beginning a read transaction keeps the lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias
from weakref import WeakSet

import lmdb

from tallystick.store.port import (
    Capacity,
    Rows,
    StoreBroken,
    StoreError,
    StoreFull,
    StoreLocked,
    Table,
    WrongFormat,
)
from tallystick.store.record import pack, unpack

MAP_BYTES: Final = 64 << 30
"""How far the data file may grow, by default. The map is sparse: an empty one takes a few KiB."""

RESERVE_BYTES_MAX: Final = 256 << 20
RESERVE_SHARE: Final = 0.05
"""The default reserve: this share of the file system, but no more than that many bytes."""

FORMAT_KEY: Final = b"store.format"
FORMAT: Final = b"1"

_READERS_MAX: Final = 512
_LIB_VERSION: Final = 0  # py-lmdb ships LMDB 0.9 and 1.0, whose files cannot read each other
_META_PAGES: Final = 2

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# A write that a full disk cut short is reported as EIO, just as a failed sync is. The largest write that LMDB
# issues at once is one value, so a disk with less room than the largest frame was simply full.
_SHORT_WRITE_BYTES: Final = 8 << 20

_Databases: TypeAlias = Mapping[Table, lmdb._Database]
# Generic in the stubs only, hence the quotes.
_Transaction: TypeAlias = "lmdb.Transaction[bytes]"
_Cursor: TypeAlias = "lmdb.Cursor[bytes]"


class LmdbSnapshot:
    """A read transaction, as the port's `Snapshot`."""

    __slots__ = ("_databases", "_scans", "_txn")

    def __init__(self, txn: _Transaction, databases: _Databases) -> None:
        self._txn = txn
        self._databases = databases
        self._scans: WeakSet[Generator[tuple[bytes, bytes], None, None]] = WeakSet()

    def close(self) -> None:
        """Give the slot in LMDB's table of readers back, now.

        py-lmdb does so when the transaction *object* goes away, and an exception on its way to a caller can
        keep that alive (through the frames of its traceback) until the garbage collector comes by.
        """
        for scan in list(self._scans):
            scan.close()
        self._txn.abort()
        del self._txn

    @property
    def version(self) -> int:
        return self._txn.id()

    def get(self, table: Table, key: bytes) -> bytes | None:
        return self._txn.get(key, db=self._databases[table])

    def scan(
        self, table: Table, start: bytes | None = None, stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        scan = self._scan(table, start, stop, reverse)
        self._scans.add(scan)
        return scan

    def _scan(
        self, table: Table, start: bytes | None, stop: bytes | None, reverse: bool
    ) -> Generator[tuple[bytes, bytes], None, None]:
        with self._txn.cursor(self._databases[table]) as cursor:
            yield from (_fall if reverse else _rise)(cursor, start, stop)


def _rise(cursor: _Cursor, start: bytes | None, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    if not (cursor.set_range(start) if start else cursor.first()):
        return
    for key, value in cursor.iternext():
        if stop is not None and key >= stop:
            return
        yield key, value


def _fall(cursor: _Cursor, start: bytes | None, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    # `stop` itself is not in the range: step back from the first key at or after it.
    at_or_after_stop = stop is not None and cursor.set_range(stop)
    if not (cursor.prev() if at_or_after_stop else cursor.last()):
        return
    for key, value in cursor.iterprev():
        if start is not None and key < start:
            return
        yield key, value


class LmdbBackend:
    """The port's `Backend` on one directory, which is made when it isn't there.

    `map_bytes` bounds the data file (address space, not disk). `reserve_bytes` is what `capacity` reports as
    the reserve; by default min(256 MiB, 5% of the file system).

    Raises StoreLocked, WrongFormat, StoreFull (no room even for an empty environment), StoreError.
    """

    def __init__(
        self, directory: Path, *, map_bytes: int = MAP_BYTES, reserve_bytes: int | None = None
    ) -> None:
        _make_directory(directory)
        self._directory = directory
        self._map_bytes = map_bytes
        self._reserve_bytes = _default_reserve(directory) if reserve_bytes is None else reserve_bytes
        self._broken = ""
        self._lock = _lock_directory(directory)
        try:
            self._env = self._open()
            self._databases = self._open_tables()
        except BaseException:
            os.close(self._lock)
            raise
        self._page_bytes = self._env.stat()["psize"]
        self._version = self._env.info()["last_txnid"]

    def _open(self) -> lmdb.Environment:
        try:
            env = lmdb.open(
                str(self._directory),
                map_size=self._map_bytes,
                max_dbs=len(Table),
                max_readers=_READERS_MAX,
                max_spare_txns=1,
                lib_version=_LIB_VERSION,
                readahead=False,  # lookups are random: reading ahead evicts pages that are needed
                sync=True,
                metasync=True,
                writemap=False,
            )
        except (lmdb.VersionMismatchError, lmdb.InvalidError) as error:
            raise WrongFormat(f"{self._directory} is no environment of this version: {error}") from error
        except lmdb.MemoryError as error:
            raise StoreError(f"no address space for a map of {self._map_bytes} bytes: {error}") from error
        except lmdb.Error as error:
            kind = StoreFull if error.code in _FULL else StoreError
            raise kind(f"cannot open {self._directory}: {error}") from error
        env.reader_check()  # a killed process leaves its readers behind, and they pin freed pages
        return env

    def _open_tables(self) -> _Databases:
        try:
            with self._env.begin(write=True) as txn:
                empty = txn.stat()["entries"] == 0
                databases = {table: self._env.open_db(table.encode(), txn=txn) for table in Table}
                self._check_format(txn, databases[Table.META], empty)
        except lmdb.Error as error:
            verdict = self._verdict(error)
            self._env.close()
            raise verdict from error
        except StoreError:
            self._env.close()
            raise
        # The files are new names in the directory, and a name is durable only when its directory is synced.
        _sync_directory(self._directory)
        return databases

    def _check_format(self, txn: _Transaction, meta: lmdb._Database, empty: bool) -> None:
        if empty:
            txn.put(FORMAT_KEY, pack(Table.META, FORMAT_KEY, FORMAT), db=meta)
            return
        stored = txn.get(FORMAT_KEY, db=meta)
        found = None if stored is None else unpack(Table.META, FORMAT_KEY, stored)
        if found != FORMAT:
            raise WrongFormat(f"{self._directory} has format {found!r}; this version reads {FORMAT!r}")

    @property
    def version(self) -> int:
        return self._version

    def get(self, table: Table, key: bytes) -> bytes | None:
        try:
            with self._env.begin() as txn:
                return txn.get(key, db=self._databases[table])
        except lmdb.Error as error:
            raise self._verdict(error) from error

    def get_many(self, table: Table, keys: Collection[bytes]) -> dict[bytes, bytes]:
        try:
            with self._env.begin() as txn, txn.cursor(self._databases[table]) as cursor:
                return dict(cursor.getmulti(sorted(keys)))
        except lmdb.Error as error:
            raise self._verdict(error) from error

    def last_key(self, table: Table) -> bytes | None:
        with self.snapshot() as snapshot:
            return next((key for key, _ in snapshot.scan(table, reverse=True)), None)

    def commit(self, writes: Mapping[Table, Rows]) -> None:
        if self._broken:
            raise StoreBroken(self._broken)
        try:
            with self._env.begin(write=True) as txn:
                for table, rows in writes.items():
                    _write_rows(txn, self._databases[table], rows)
            self._version = self._env.info()["last_txnid"]
        except lmdb.Error as error:
            raise self._verdict(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[LmdbSnapshot]:
        try:
            snapshot = LmdbSnapshot(self._env.begin(), self._databases)
            try:
                yield snapshot
            finally:
                snapshot.close()
        except lmdb.Error as error:
            raise self._verdict(error) from error

    def capacity(self) -> Capacity:
        """How much room there is.

        The file's high-water mark counts freed pages as if they were in use, and py-lmdb does not show the
        list of free pages; so what is used is added up from the trees themselves. Left out are the pages of
        the free list itself (two in a thousand of what it lists), and that a freed page is not reused before
        the second commit after, nor while an older snapshot is open: the reserve is there for that.
        """
        try:
            with self._env.begin() as txn:
                stats = [self._env.stat(), *(txn.stat(database) for database in self._databases.values())]
        except lmdb.Error as error:
            raise self._verdict(error) from error
        pages = _META_PAGES + sum(
            stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats
        )
        disk = os.statvfs(self._directory)
        return Capacity(
            used_bytes=pages * self._page_bytes,
            file_bytes=(self._env.info()["last_pgno"] + 1) * self._page_bytes,
            map_bytes=self._map_bytes,
            disk_free_bytes=disk.f_bavail * disk.f_frsize,
            reserve_bytes=self._reserve_bytes,
        )

    def close(self) -> None:
        self._env.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _verdict(self, error: lmdb.Error) -> StoreError:
        """What an error of LMDB's means to us. What we do not know is taken to be the worst."""
        if isinstance(error, lmdb.BadValsizeError):
            return StoreError(f"a key is empty or too long: {error}")
        if isinstance(error, lmdb.ReadersFullError):
            return StoreError(f"{_READERS_MAX} snapshots are open: {error}")
        full = (
            isinstance(error, lmdb.MapFullError)
            or error.code in _FULL
            or (error.code == errno.EIO and self._disk_is_full())
        )
        if full and not self._panicked():
            return StoreFull(str(error))
        self._broken = str(error)
        return StoreBroken(self._broken)

    def _disk_is_full(self) -> bool:
        disk = os.statvfs(self._directory)
        return disk.f_bavail * disk.f_frsize < _SHORT_WRITE_BYTES

    def _panicked(self) -> bool:
        """Whether the meta page could not be written: LMDB then refuses every transaction until reopened."""
        try:
            self._env.begin().abort()
        except lmdb.Error:
            return True
        return False


def _write_rows(txn: _Transaction, database: lmdb._Database, rows: Rows) -> None:
    """Deletions one by one, then the puts in one call, in key order: the cursor stays on its page."""
    if None in rows.values():
        for key in sorted(key for key, value in rows.items() if value is None):
            txn.delete(key, db=database)
    items = [(key, value) for key in sorted(rows) if (value := rows[key]) is not None]
    with txn.cursor(database) as cursor:
        cursor.putmulti(items)


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(parents=True)
        _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock_directory(directory: Path) -> int:
    """A lock held until its descriptor is closed, by the kernel if need be. It guards against a second
    opener in this process too: LMDB's own locks would let another process write beside us."""
    handle = os.open(directory / "tallystick.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise StoreLocked(f"{directory} is open in another process") from error
    return handle


def _default_reserve(directory: Path) -> int:
    disk = os.statvfs(directory)
    return min(RESERVE_BYTES_MAX, int(disk.f_blocks * disk.f_frsize * RESERVE_SHARE))
