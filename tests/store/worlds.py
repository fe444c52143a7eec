"""What the suites run in: a place for a backend, in which it can be opened, crashed and opened again."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Protocol

from tallystick.store.checkpoint import Encoder
from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Backend, Table


class World(Protocol):
    """A disk with at most one open backend on it."""

    def open(self) -> Backend: ...

    def crash(self) -> Backend:
        """What opening finds after the process died in the middle of what it was doing."""
        ...

    def close(self) -> None: ...


class LmdbWorld:
    def __init__(self, directory: Path, map_bytes: int = 1 << 30) -> None:
        self.directory = directory
        self.map_bytes = map_bytes
        self.backend: LmdbBackend | None = None

    def open(self) -> LmdbBackend:
        self.backend = LmdbBackend(self.directory, map_bytes=self.map_bytes, reserve_bytes=0)
        return self.backend

    def crash(self) -> LmdbBackend:
        # LMDB writes nothing when it is closed, so closing is what dying is to the file.
        self.close()
        return self.open()

    def close(self) -> None:
        if self.backend is not None:
            self.backend.close()


class MemoryWorld:
    def __init__(self) -> None:
        self.backend = MemoryBackend()

    def open(self) -> MemoryBackend:
        return self.backend

    def crash(self) -> MemoryBackend:
        self.backend = self.backend.crash()
        return self.backend

    def close(self) -> None:
        self.backend.close()


class Item:
    """An object as the engine hands it in: not its payload, and encoded only when it is written."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def encode_item(item: Item) -> bytes:
    return pickle.dumps(item.number)


def integer(value: Any) -> int:
    """The number that a payload spells; a row that isn't there is a failed test."""
    assert isinstance(value, bytes)
    return int(value)


def number_of(row: Any) -> int | None:
    """The number of a stock row, whether it is an object still or a payload already."""
    if row is None:
        return None
    return row.number if isinstance(row, Item) else pickle.loads(row)


ENCODERS: dict[Table, Encoder] = {Table.STOCK: encode_item}
