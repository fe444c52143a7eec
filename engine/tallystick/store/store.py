"""The store that the engine uses: eager tables committed at once, lazy tables by checkpoints."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from tallystick.store.port import Backend, Capacity, Rows, Table

LazyRows = Mapping[bytes, object | None]
"""Dirty rows of one lazy table: key to object (b"" in an index), or to None, which deletes."""

Encoder = Callable[[object], bytes]


class Reader(Protocol):
    """One committed state of all tables (an exact cut: eager and lazy tables alike)."""

    def get(self, table: Table, key: bytes) -> bytes | None: ...

    def get_lazy(self, table: Table, key: bytes) -> object | bytes | None: ...

    def scan(
        self, table: Table, start: bytes | None = None, stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, object]]: ...


class Store:
    """SIGNATURES ONLY, being filled in."""

    def __init__(
        self,
        backend: Backend,
        encoders: Mapping[Table, Encoder],
        slice_keys: int = 600,
        backlog_events: int = 100_000,
    ) -> None: ...

    def get(self, table: Table, key: bytes) -> bytes | None: ...

    def get_many(self, table: Table, keys: Collection[bytes]) -> dict[bytes, bytes]: ...

    def get_lazy(self, table: Table, key: bytes) -> object | bytes | None: ...

    def absent(self, key: bytes) -> bool: ...

    def commit(
        self,
        writes: Mapping[Table, Rows],
        lazy: Mapping[Table, LazyRows],
        events: int,
        position: bytes,
    ) -> None: ...

    def idle(self) -> bool: ...

    def flush(self) -> None: ...

    @property
    def backlog(self) -> int: ...

    def checkpoint_position(self) -> bytes | None: ...

    def seed(self, lazy: Mapping[Table, LazyRows], events: int, position: bytes) -> None: ...

    def read(self) -> AbstractContextManager[Reader]: ...

    def writable(self) -> str | None: ...

    def capacity(self) -> Capacity: ...

    def close(self) -> None: ...
