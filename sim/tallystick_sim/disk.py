"""The disk's twin: the store without a disk, with a witness of what is on it and the ways in which it fails.

A commit that lost its sync is not there after a crash; a commit may find no room, or take long. What was
written may rot, and all of it may be a copy: an old one that somebody put back, or one of two clones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from tallystick.store.memory import MemoryBackend, PowerLoss
from tallystick.store.port import Capacity, Rows, StoreFull, Table

Witness = Callable[[Mapping[Table, Rows]], None]
"""Is shown what has come to the disk: on it for good, whatever becomes of the commit's answer."""

RESERVE_BYTES = 4_096
_ROOMY = 1 << 40


class Disk(MemoryBackend):
    """One node's. `bitten` counts how often each of its faults was felt."""

    def __init__(self, bitten: Counter[str] | None = None) -> None:
        super().__init__(map_bytes=_ROOMY, disk_bytes=_ROOMY, reserve_bytes=RESERVE_BYTES)
        self.bitten: Counter[str] = Counter() if bitten is None else bitten
        self.witness: Witness | None = None
        self.slow_ms = 0.0
        """How long a commit takes."""
        self.commits = 0

    def commit(self, writes: Mapping[Table, Rows]) -> None:
        commits = self.commits
        try:
            super().commit(writes)
        except StoreFull:
            self.bitten["disk_full"] += 1
            raise
        except PowerLoss:
            kept = self.commits > commits
            self.bitten["crash_after_commit" if kept else "crash_before_commit"] += 1
            raise

    def capacity(self) -> Capacity:
        found = super().capacity()
        if found.disk_room_bytes < found.reserve_bytes:
            self.bitten["disk_full"] += 1
        return found

    def fill(self, room_bytes: int) -> None:
        """Somebody else's files leave so much room."""
        self.disk_bytes = self._used_bytes + room_bytes

    def empty(self) -> None:
        """There is room again."""
        self.disk_bytes = _ROOMY

    @property
    def is_filled(self) -> bool:
        """Whether `fill` is in force."""
        return self.disk_bytes != _ROOMY

    def clone(self) -> Disk:
        other = Disk(self.bitten)
        other.disk_bytes, other.slow_ms = self.disk_bytes, self.slow_ms
        other._tables = {table: rows.copy() for table, rows in self._tables.items()}
        other._version, other._used_bytes = self._version, self._used_bytes
        return other

    def crash(self) -> Disk:
        reopened = self.clone()
        self._dead = True
        return reopened

    def keys(self, table: Table) -> list[bytes]:
        """All of a table, in order."""
        return self._tables[table].keys()

    def rows(self, table: Table) -> Mapping[bytes, bytes]:
        """All of a table, as it is on the disk: not to be changed."""
        return self._tables[table].values

    def _apply(self, writes: Mapping[Table, Rows]) -> None:
        super()._apply(writes)
        self.commits += 1
        if self.witness is not None:
            self.witness(writes)
