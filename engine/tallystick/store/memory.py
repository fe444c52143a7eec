"""The backend without a disk, with a model of how a disk fails: LMDB's twin for the simulator and the tests.

Deterministic: it has no clock and no randomness of its own; whoever holds it says what fails, and when.
"""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, auto
from itertools import chain
from threading import Lock
from typing import Final

from tallystick.store.port import KEY_BYTES_MAX, Capacity, Rows, StoreBroken, StoreError, StoreFull, Table

_TIB: Final = 1 << 40


class Fault(Enum):
    """What happens to a commit."""

    FULL = auto()
    """It finds no room: StoreFull, and nothing was written. The commits after it are not concerned."""
    BROKEN = auto()
    """Its sync fails: StoreBroken, as in all commits after it. `kept` says what opening again will find."""
    POWER = auto()
    """The power goes while it is written: PowerLoss. `kept` says what opening again will find."""


class PowerLoss(Exception):
    """The machine that this backend was part of is no more: go on with what `crash` returns."""


class _Rows:
    """One table. While a snapshot has it, it is not written: the writer goes on with a copy."""

    __slots__ = ("shared", "sorted", "values")

    def __init__(self, values: dict[bytes, bytes], ordered: list[bytes] | None) -> None:
        self.values = values
        self.sorted = ordered
        self.shared = False

    def copy(self) -> "_Rows":
        return _Rows(dict(self.values), None if self.sorted is None else list(self.sorted))

    def keys(self) -> list[bytes]:
        if self.sorted is None:
            self.sorted = sorted(self.values)
        return self.sorted

    def put(self, key: bytes, value: bytes | None) -> None:
        known = key in self.values
        if value is not None:
            self.values[key] = value
        elif known:
            del self.values[key]
        if self.sorted is not None and known != (value is not None):
            if known:
                del self.sorted[bisect_left(self.sorted, key)]
            else:
                insort(self.sorted, key)


_Tables = dict[Table, _Rows]


class MemorySnapshot:
    """The tables as they were, as the port's `Snapshot`."""

    __slots__ = ("_tables", "version")

    def __init__(self, tables: _Tables, version: int) -> None:
        self._tables = tables
        self.version = version

    def get(self, table: Table, key: bytes) -> bytes | None:
        return self._tables[table].values.get(key)

    def scan(
        self, table: Table, start: bytes | None = None, stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._tables[table]
        keys = rows.keys()
        low = 0 if start is None else bisect_left(keys, start)
        high = len(keys) if stop is None else bisect_left(keys, stop)
        for index in range(high - 1, low - 1, -1) if reverse else range(low, high):
            yield keys[index], rows.values[keys[index]]


class MemoryBackend:
    """The port's `Backend` in memory.

    `map_bytes` and `disk_bytes` bound the sum of all keys and values, and may be changed at any time.
    """

    def __init__(self, *, map_bytes: int = _TIB, disk_bytes: int = _TIB, reserve_bytes: int = 0) -> None:
        self.map_bytes = map_bytes
        self.disk_bytes = disk_bytes
        self.reserve_bytes = reserve_bytes
        self._lock = Lock()
        self._tables: _Tables = {table: _Rows({}, None) for table in Table}
        self._version = 0
        self._used_bytes = 0
        self._attempts = 0
        self._faults: dict[int, tuple[Fault, bool]] = {}
        self._broken = False
        self._dead = False

    # ---------------------------------------------------------------------------------------- the port

    @property
    def version(self) -> int:
        return self._version

    def get(self, table: Table, key: bytes) -> bytes | None:
        self._check_alive()
        return self._tables[table].values.get(key)

    def get_many(self, table: Table, keys: Collection[bytes]) -> dict[bytes, bytes]:
        self._check_alive()
        values = self._tables[table].values
        return {key: values[key] for key in sorted(keys) if key in values}

    def last_key(self, table: Table) -> bytes | None:
        self._check_alive()
        keys = self._tables[table].keys()
        return keys[-1] if keys else None

    def commit(self, writes: Mapping[Table, Rows]) -> None:
        self._check_alive()
        if self._broken:
            raise StoreBroken("an earlier commit failed")
        self._attempts += 1
        fault, kept = self._faults.pop(self._attempts, (None, True))
        if fault is Fault.FULL:
            raise StoreFull("injected")
        if kept:
            self._apply(writes)
        if fault is Fault.BROKEN:
            self._broken = True
            raise StoreBroken("injected")
        if fault is Fault.POWER:
            self._dead = True
            raise PowerLoss

    @contextmanager
    def snapshot(self) -> Iterator[MemorySnapshot]:
        self._check_alive()
        with self._lock:
            for rows in self._tables.values():
                rows.shared = True
            snapshot = MemorySnapshot(dict(self._tables), self._version)
        yield snapshot

    def capacity(self) -> Capacity:
        self._check_alive()
        return Capacity(
            used_bytes=self._used_bytes,
            file_bytes=self._used_bytes,
            map_bytes=self.map_bytes,
            disk_free_bytes=max(0, self.disk_bytes - self._used_bytes),
            reserve_bytes=self.reserve_bytes,
        )

    def close(self) -> None:
        self._dead = True

    # ------------------------------------------------------------------------------- the model of failures

    def inject(self, fault: Fault, nth: int = 1, *, kept: bool = False) -> None:
        """Let the nth commit from now fail. `kept`: it is on the disk all the same (of no use with FULL)."""
        self._faults[self._attempts + nth] = (fault, kept)

    def rot(self, table: Table, key: bytes, bit: int = 0) -> None:
        """Flip one bit of a stored value, counted from its start."""
        value = bytearray(self._tables[table].values[key])
        value[bit // 8] ^= 1 << bit % 8
        with self._lock:
            self._writable(table).put(key, bytes(value))

    def crash(self) -> "MemoryBackend":
        """Lose the power, and open again what is on the disk. This backend is dead from then on."""
        reopened = self.clone()
        self._dead = True
        return reopened

    def clone(self) -> "MemoryBackend":
        """A copy of the disk, opened: for a backup that is restored, or a machine that was cloned."""
        other = MemoryBackend(
            map_bytes=self.map_bytes, disk_bytes=self.disk_bytes, reserve_bytes=self.reserve_bytes
        )
        other._tables = {table: rows.copy() for table, rows in self._tables.items()}
        other._version = self._version
        other._used_bytes = self._used_bytes
        return other

    def _apply(self, writes: Mapping[Table, Rows]) -> None:
        for key in chain.from_iterable(writes.values()):
            if not 0 < len(key) <= KEY_BYTES_MAX:
                raise StoreError("a key is empty or too long")
        used = self._used_bytes + sum(self._growth(table, rows) for table, rows in writes.items())
        if used > self._used_bytes:
            for name, room in (("map", self.map_bytes), ("disk", self.disk_bytes)):
                if used > room:
                    raise StoreFull(f"the {name} is full")
        with self._lock:
            for table, rows in writes.items():
                target = self._writable(table)
                for key, value in rows.items():
                    target.put(key, value)
            self._used_bytes = used
            if any(writes.values()):
                self._version += 1

    def _growth(self, table: Table, rows: Rows) -> int:
        values = self._tables[table].values
        growth = 0
        for key, value in rows.items():
            before = values.get(key)
            growth += 0 if value is None else len(key) + len(value)
            growth -= 0 if before is None else len(key) + len(before)
        return growth

    def _writable(self, table: Table) -> _Rows:
        rows = self._tables[table]
        if rows.shared:
            rows = self._tables[table] = rows.copy()
        return rows

    def _check_alive(self) -> None:
        if self._dead:
            raise StoreBroken("this backend was closed, or its machine lost power")
