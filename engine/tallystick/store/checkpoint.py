"""A checkpoint: rows frozen at one moment, written in key order, some with each commit that follows.

In key order a page is written once, however many of its rows are dirty; with other commits' writes, because
a sync costs the same for more of them. The last slice carries the *position* (the caller's vector) of the
moment of freezing: opening replays what came after the last position written. A crash between slices does no
harm: rows are joins, so replaying onto rows that are newer than the position changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from tallystick.store.dirty import Layers, look_up
from tallystick.store.port import INDEXES, Rows, Table
from tallystick.store.record import pack
from tallystick.store.sorting import StepSort

Encoder = Callable[[Any], bytes]
"""Makes the payload of one lazy table's object."""

POSITION_KEY: Final = b"store.checkpoint"
"""Where the position of the last finished checkpoint is, in `meta`."""

# Stock first, as it has the fewest keys; while those are written the others are sorted, step by step.
_ORDER: Final = (Table.STOCK, Table.BY_TIME, Table.BY_STATUS, Table.BY_CUSTOMER)


def keys_due(keys_left: int, events_left: int, events: int) -> int:
    """How many of the keys left to write a commit of that many events has to carry.

    The backlog has room for `events_left` more events; at this pace the last key is written one commit before
    it is full.
    """
    if events_left <= 2 * events:
        return keys_left
    return -(-keys_left * events // (events_left - events))


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows in their stored form, to be written in one commit."""

    rows: Mapping[Table, Rows]
    end: tuple[int, int]
    """Where the next slice begins: part, key."""
    last: bool


class _Part:
    """What a checkpoint writes to one table."""

    __slots__ = ("_encode", "_keys", "_layers", "_sort", "size", "table")

    def __init__(self, table: Table, layers: Layers, encode: Encoder | None) -> None:
        self.table = table
        self._layers = tuple(layer for layer in layers if layer.rows[table])
        self._encode = encode
        self._sort = StepSort(chain.from_iterable(layer.rows[table] for layer in self._layers))
        self._keys: list[bytes] | None = None
        self.size = sum(len(layer.rows[table]) for layer in self._layers)
        """How many keys. One that lies in several layers counts as often; it is written once a slice."""

    def sort_a_bit(self) -> bool:
        """One step towards sorted keys. False when none was left."""
        return self._sort.step()

    def keys(self) -> list[bytes]:
        """The keys in order."""
        if self._keys is None:
            self._keys = self._sort.result()
        return self._keys

    def stored(self, keys: Sequence[bytes]) -> Rows:
        """The stored form of those rows."""
        if len(self._layers) == 1:
            found = list(map(self._layers[0].rows[self.table].__getitem__, keys))
        else:
            found = [look_up(self._layers, self.table, key) for key in keys]
        if self._encode is not None:
            table, encode = self.table, self._encode
            return {
                key: None if row is None else pack(table, key, encode(row))
                for key, row in zip(keys, found, strict=True)
            }
        if None in found:
            return {key: None if row is None else b"" for key, row in zip(keys, found, strict=True)}
        return dict.fromkeys(keys, b"")


class Checkpoint:
    """One checkpoint under way. The frozen layers are not touched, so a slice can be asked for again."""

    def __init__(
        self, frozen: Layers, events: int, position: bytes, encoders: Mapping[Table, Encoder]
    ) -> None:
        self.events = events
        self.position = position
        parts = (_Part(table, frozen, _encoder(table, encoders)) for table in _ORDER)
        self._parts = tuple(part for part in parts if part.size)
        self._at = (0, 0)

    @property
    def keys_left(self) -> int:
        """How many keys are still to be written."""
        part, key = self._at
        return sum(part.size for part in self._parts[part:]) - key

    def slice(self, keys: int) -> Slice:
        """The next so many rows. Nothing moves on before `advance`: the commit may fail."""
        rows: dict[Table, Rows] = {}
        index, start = self._at
        while keys > 0 and index < len(self._parts):
            part = self._parts[index]
            chunk = part.keys()[start : start + keys]
            rows[part.table] = part.stored(chunk)
            keys -= len(chunk)
            start += len(chunk)
            if start == len(part.keys()):
                index, start = index + 1, 0
        last = index == len(self._parts)
        if last:
            rows[Table.META] = {POSITION_KEY: pack(Table.META, POSITION_KEY, self.position)}
        return Slice(rows, (index, start), last)

    def advance(self, written: Slice) -> None:
        """That slice is durable. Use the time to sort a little of what comes after."""
        self._at = written.end
        for part in self._parts[written.end[0] + 1 :]:
            if part.sort_a_bit():
                return


def _encoder(table: Table, encoders: Mapping[Table, Encoder]) -> Encoder | None:
    return None if table in INDEXES else encoders[table]
