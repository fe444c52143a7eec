"""One committed state of all tables, for any thread: a backend's snapshot under what is dirty."""

from bisect import bisect_left
from collections.abc import Iterator
from heapq import merge

from tallystick.store.dirty import MISSING, Layer, Layers, look_up
from tallystick.store.port import LAZY, CorruptRecord, Snapshot, Table
from tallystick.store.record import unpack

Row = tuple[bytes, object]


class Reader:
    """One committed state, eager and lazy tables alike, whatever is committed meanwhile.

    Used by one thread at a time. Everything raises CorruptRecord on a stored value that has rotted.
    """

    __slots__ = ("_layers", "_snapshot")

    def __init__(self, snapshot: Snapshot, layers: Layers) -> None:
        self._snapshot = snapshot
        self._layers = layers

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The stored payload, or None. For a lazy table that is what the last checkpoints wrote."""
        value = self._snapshot.get(table, key)
        return None if value is None else unpack(table, key, value)

    def get_lazy(self, table: Table, key: bytes) -> object | None:
        """A row of a lazy table: the object as handed in, or else the stored payload (bytes), or None."""
        row = look_up(self._layers, table, key)
        return self.get(table, key) if row is MISSING else row

    def scan(
        self, table: Table, start: bytes | None = None, stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[Row]:
        """Rows with start ≤ key < stop, in key order, or in falling order; None is an open end.

        Values are payloads; in a lazy table also objects as handed in. Nothing is read before it is asked.
        """
        stored = self._stored(table, start, stop, reverse)
        if table not in LAZY:
            return stored
        return _overlay(stored, self._dirty(table, start, stop, reverse), reverse)

    def examine(self, table: Table, start: bytes | None = None) -> Iterator[Row]:
        """Rows as `scan` has them, but the value of one that has rotted is the CorruptRecord."""
        stored = ((key, _looked_at(table, key, value)) for key, value in self._snapshot.scan(table, start))
        return _overlay(stored, self._dirty(table, start, None, False), False) if table in LAZY else stored

    def _stored(self, table: Table, start: bytes | None, stop: bytes | None, reverse: bool) -> Iterator[Row]:
        for key, value in self._snapshot.scan(table, start, stop, reverse):
            yield key, unpack(table, key, value)

    def _dirty(self, table: Table, start: bytes | None, stop: bytes | None, reverse: bool) -> Iterator[Row]:
        """Dirty rows, each key once, deletions as None."""
        runs = (_keys_between(layer, table, start, stop, reverse) for layer in self._layers)
        previous = None
        for key in merge(*runs, reverse=reverse):
            if key != previous:
                yield key, look_up(self._layers, table, key)
                previous = key


def _looked_at(table: Table, key: bytes, value: bytes) -> object:
    try:
        return unpack(table, key, value)
    except CorruptRecord as rot:
        return rot


def _keys_between(
    layer: Layer, table: Table, start: bytes | None, stop: bytes | None, reverse: bool
) -> Iterator[bytes]:
    keys = layer.sorted_keys(table)
    low = 0 if start is None else bisect_left(keys, start)
    high = len(keys) if stop is None else bisect_left(keys, stop)
    return map(keys.__getitem__, range(high - 1, low - 1, -1) if reverse else range(low, high))


def _overlay(stored: Iterator[Row], dirty: Iterator[Row], reverse: bool) -> Iterator[Row]:
    """Merge two sorted runs of rows; a dirty row hides the stored one, a dirty None both."""
    under = next(stored, None)
    for key, row in dirty:
        while under is not None and (under[0] > key if reverse else under[0] < key):
            yield under
            under = next(stored, None)
        if under is not None and under[0] == key:
            under = next(stored, None)
        if row is not None:
            yield key, row
    if under is not None:
        yield under
        yield from stored
