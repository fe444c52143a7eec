"""The port that the engine's durable state goes through, and the errors that may come back.

A backend is a handful of ordered byte tables with one atomic, durable write at a time. LMDB is one; the
in-memory twin with a crash model, which the simulator uses, is the other. One suite of tests holds for both.

Errors::

    StoreError                 something about the store; nothing was written unless said otherwise
    ├── StoreFull              map or disk: nothing was written, reads go on, writes come back with room
    ├── StoreBroken            a failed sync or meta write (indefinite): the process must end and open again
    ├── CorruptRecord          a stored value fails its checksum; carries the table and the key
    ├── StoreLocked            another process has this directory
    └── WrongFormat            the directory holds something that this version cannot read
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol


class Table(StrEnum):
    """The tables. A `StrEnum`, because its hash is that of the string: in C, on every lookup."""

    FRAMES = "frames"
    ORDERS = "orders"
    EXPIRY = "expiry"
    INTENTS = "intents"
    MEMBERS = "members"
    META = "meta"
    RECEIPTS = "receipts"
    DOCUMENTS = "documents"
    STOCK = "stock"
    BY_TIME = "by_time"
    BY_CUSTOMER = "by_customer"
    BY_STATUS = "by_status"


LAZY: Final = frozenset({Table.STOCK, Table.BY_TIME, Table.BY_CUSTOMER, Table.BY_STATUS})
"""Tables with random keys: their dirty rows wait in memory and are written by checkpoints."""

EAGER: Final = frozenset(Table) - LAZY
"""Tables that are written in each commit."""

INDEXES: Final = frozenset({Table.EXPIRY, Table.INTENTS, Table.BY_TIME, Table.BY_CUSTOMER, Table.BY_STATUS})
"""Tables whose keys say everything: every value is empty."""

BARE: Final = INDEXES | {Table.FRAMES}
"""Tables stored without a checksum of ours: indexes are empty, frames end with their own BLAKE2b."""

KEY_BYTES_MAX: Final = 511
"""LMDB's limit on a key. Keys are never empty."""

Rows = Mapping[bytes, bytes | None]
"""What to write to one table: key to value, or to None, which deletes."""


class StoreError(Exception):
    """The root of everything that the store raises. Definite unless a subclass says otherwise."""


class StoreFull(StoreError):
    """No room in the map or on the disk. Definite: nothing was written, and reads go on."""


class StoreBroken(StoreError):
    """A sync or a meta write failed, or the environment panicked: what is on disk is unknown.

    Indefinite. Memory is never trusted over disk: the process must end; opening again finds the truth.
    """


class CorruptRecord(StoreError):
    """A stored value does not fit its checksum."""

    def __init__(self, table: Table, key: bytes) -> None:
        super().__init__(f"corrupt record in {table.value} at {key!r}")
        self.table = table
        self.key = key


class StoreLocked(StoreError):
    """Another process (or another open backend of this one) has the directory."""


class WrongFormat(StoreError):
    """The directory holds another format than this version reads."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much room there is, in bytes."""

    used_bytes: int
    """What live data takes; pages that are free for reuse are not in it."""
    file_bytes: int
    """How far the data file has grown; it never shrinks."""
    map_bytes: int
    """How far it may grow."""
    disk_free_bytes: int
    """What the file system still gives to us."""
    reserve_bytes: int
    """Callers' writes are refused when there is less room than this."""

    @property
    def map_room_bytes(self) -> int:
        """What can still be stored before the map is full: free pages and pages never used."""
        return self.map_bytes - self.used_bytes

    @property
    def disk_room_bytes(self) -> int:
        """What can still be stored before the disk is full: free pages in our file, and the free disk."""
        return self.disk_free_bytes + self.file_bytes - self.used_bytes


class Snapshot(Protocol):
    """One committed state, whatever is written meanwhile. Usable from any one thread at a time."""

    @property
    def version(self) -> int:
        """The number of the last commit that it shows: one more for each commit that wrote anything."""
        ...

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The stored value, or None."""
        ...

    def scan(
        self, table: Table, start: bytes | None = None, stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start ≤ key < stop, in key order, or in falling order; None is an open end."""
        ...


class Backend(Protocol):
    """Ordered byte tables with atomic, durable commits.

    One thread, the engine's, calls everything, except that any thread may call `snapshot` and `capacity`.
    """

    @property
    def version(self) -> int:
        """The number of the last commit, as `Snapshot.version` counts."""
        ...

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The latest committed value, or None."""
        ...

    def get_many(self, table: Table, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """The latest committed values of the keys that are there: one transaction for all of them."""
        ...

    def last_key(self, table: Table) -> bytes | None:
        """The greatest key of the table, or None when it is empty."""
        ...

    def commit(self, writes: Mapping[Table, Rows]) -> None:
        """Write all of it or nothing, durably: when this returns it survives loss of power.

        Raises StoreFull (nothing was written) or StoreBroken (unknown; the process must end).
        """
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """The latest committed state. Keep it short: it holds back the reuse of freed pages."""
        ...

    def capacity(self) -> Capacity:
        """How much room there is. Cheap: meant to be called after each commit."""
        ...

    def close(self) -> None:
        """Let go of the directory. Nothing is written: what was committed is durable already."""
        ...
