"""Emptying a new node's directory, when it begins again with another process.

What it has read of the first may be of another branch of a chain than what the next one has: of a disk that
was cloned or rolled back there are two. Rows say nothing of that, so none of them stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

from tallystick.core.clock import Vector
from tallystick.core.replica.view import View
from tallystick.core.stock.rights import EMPTY_STOCK
from tallystick.store.dirty import LazyRows
from tallystick.store.port import LAZY, Rows, Table
from tallystick.store.store import Store

TABLES = tuple(table for table in Table if table not in (Table.META, Table.FRAMES))
"""All that a snapshot brings, with its indexes."""
ROWS = 5_000
"""In one commit."""
Place = tuple[int, bytes]
"""Which of TABLES, and behind which key."""


@dataclass(slots=True)
class Clear:
    """One commit of it: so many rows, from a place on."""

    vector: Vector
    rows: int = ROWS
    place: Place = (0, b"")
    following: Place = field(default=(0, b""), init=False)
    """Where the next one begins, if this one is written."""
    flushes: ClassVar[bool] = True
    """Deleted rows that wait for a checkpoint would slow down the search for those that are left."""

    @property
    def is_last(self) -> bool:
        """Whether nothing is left after it."""
        return self.following[0] == len(TABLES)

    def join(self, view: View, store: Store) -> tuple[dict[Table, Rows], dict[Table, LazyRows], Vector]:
        """What to write, and the vector after it. A record that has rotted goes as the others do."""
        found: dict[Table, dict[bytes, None]] = {}
        (at, after), room = self.place, self.rows
        with store.read() as reader:
            while at < len(TABLES) and room:
                table, start = TABLES[at], after + b"\0" if after else None
                keys = [key for key, _ in islice(reader.examine(table, start), room)]
                found[table] = dict.fromkeys(keys)
                room -= len(keys)
                at, after = (at + 1, b"") if room else (at, keys[-1])
        self.following = at, after
        view.stock.update(dict.fromkeys(found.get(Table.STOCK, ()), EMPTY_STOCK))
        lazy: dict[Table, LazyRows] = {table: keys for table, keys in found.items() if table in LAZY}
        eager: dict[Table, Rows] = {table: keys for table, keys in found.items() if table not in LAZY}
        return eager, lazy, self.vector
