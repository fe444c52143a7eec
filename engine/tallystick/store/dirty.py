"""Rows that are committed but not yet written: what lazy tables hold in memory until a checkpoint.

They lie in *layers*, newest first. The top layer takes the rows of each commit in place, for as long as
nobody else looks at it. A reader *shares* the layers; from then on those are never written again, and the
next commit begins a new top layer. So without readers there is one layer, a plain dict a table; with them
there are a few, because a layer that isn't much larger than the one above it is merged with it.

**Why a reader sees exactly one committed state.** A view names the backend version that its layers belong
to. The engine publishes a view with the rows of a commit as `pending` before the backend commits, and the
next view after. A reader takes the view, then opens a snapshot of the backend, then looks whether the view is
still the current one, and if not starts over. So the view that it keeps was current when the snapshot was
opened, and the snapshot is either of the view's version, and the layers alone belong on top of it, or it is
that of the commit in progress, and `pending` belongs on top of them. Nothing vanishes while a checkpoint
writes, because layers are dropped whole, in the view that follows the commit of their last rows: a reader
has the layers, or a snapshot with all that was in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

from tallystick.store.port import LAZY, Table
from tallystick.store.sorting import StepSort

LazyRows = Mapping[bytes, object | None]
"""Rows of one lazy table: key to object (`b""` in an index), or to None, which deletes."""

MISSING: Final = object()
"""What a look-up answers for a key that is not dirty; None is a deletion."""


class Layer:
    """The dirty rows of some commits in a row; of one key, the latest."""

    __slots__ = ("_sorted", "rows")

    def __init__(self, rows: Mapping[Table, LazyRows]) -> None:
        self.rows = {table: rows.get(table, {}) for table in LAZY}
        self._sorted: dict[Table, list[bytes]] = {}

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))

    def sorted_keys(self, table: Table) -> list[bytes]:
        """The keys in order. Remembered, so only for a layer that is written no more."""
        found = self._sorted.get(table)
        if found is None:
            # Two threads may both get here: they come to the same answer.
            found = self._sorted[table] = StepSort(self.rows[table]).result()
        return found

    def over(self, older: "Layer") -> "Layer":
        """One layer that reads as this one on top of that one does."""
        both = Layer({table: {**older.rows[table], **self.rows[table]} for table in LAZY})
        for table in self._sorted.keys() & older._sorted.keys():
            keys = sorted(older._sorted[table] + self._sorted[table])  # two runs: timsort merges them
            both._sorted[table] = keys if len(keys) == len(both.rows[table]) else list(dict.fromkeys(keys))
        return both


Layers = tuple[Layer, ...]


def look_up(layers: Layers, table: Table, key: bytes) -> object | None:
    """The newest row of the key: an object, None when it is deleted, MISSING when it is not dirty."""
    for layer in layers:
        row = layer.rows[table].get(key, MISSING)
        if row is not MISSING:
            return row
    return MISSING


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What is dirty on top of the backend's commit `version`."""

    version: int
    layers: Layers
    pending: Layer | None
    """The rows of the commit in progress, which belong to the version after."""

    def over(self, version: int) -> Layers:
        """The layers that go on top of a snapshot of that version, newest first."""
        if version == self.version or self.pending is None:
            return self.layers
        return (self.pending, *self.layers)


class Dirty:
    """All dirty rows: *fresh* ones, and those *frozen* for the checkpoint that is running.

    The engine's thread alone calls everything but `share` and `view`.
    """

    def __init__(self, version: int) -> None:
        self._lock = Lock()  # held for as long as it takes to add the rows of a commit, never across I/O
        self._shared = False
        self._top: dict[Table, dict[bytes, object | None]] = {}
        self._fresh: list[Layer] = []
        self._frozen: Layers = ()
        self._view = View(version, (), None)
        self._begin_layer()
        self._publish(version)

    @property
    def view(self) -> View:
        """The current view. Its top layer may still be written: only `share` makes it safe to read."""
        return self._view

    def share(self) -> View:
        """The current view, whose layers are written no more. For any thread."""
        with self._lock:
            self._shared = True
            return self._view

    def look_up(self, table: Table, key: bytes) -> object | None:
        """As the function of that name does, in the latest committed state."""
        return look_up(self._view.layers, table, key)

    def stage(self, rows: Mapping[Table, LazyRows]) -> None:
        """Announce what the commit that is about to begin will add.

        If it fails there is nothing to take back: no snapshot shows a later version before the next commit,
        which announces its own.
        """
        self._view = View(self._view.version, self._view.layers, Layer(rows))

    def absorb(self, rows: Mapping[Table, LazyRows], version: int, *, drop_frozen: bool = False) -> None:
        """That commit happened, as `version`. If it finished the checkpoint, drop what was frozen."""
        with self._lock:
            if drop_frozen:
                self._frozen = ()
            if self._shared:
                self._seal_top()
            for table, changed in rows.items():
                self._top[table].update(changed)
            self._publish(version)

    def freeze(self) -> Layers:
        """Make all fresh rows the frozen ones: there must be none. They are read as before."""
        with self._lock:
            self._frozen = tuple(layer for layer in self._fresh if len(layer))
            self._fresh.clear()
            self._begin_layer()
            self._shared = False
            self._publish(self._view.version)
            return self._frozen

    def _publish(self, version: int) -> None:
        self._view = View(version, (*self._fresh, *self._frozen), None)

    def _begin_layer(self) -> None:
        self._top = {table: {} for table in LAZY}
        self._fresh.insert(0, Layer(self._top))

    def _seal_top(self) -> None:
        """Leave the shared layers to the readers that have them, and begin a new one.

        Merging keeps every layer more than twice as large as the one above it, so there are few, and a row is
        copied about as often as there are layers.
        """
        fresh = self._fresh
        if not len(fresh[0]):
            del fresh[0]
        while len(fresh) > 1 and len(fresh[1]) <= 2 * len(fresh[0]):
            fresh[0:2] = [fresh[0].over(fresh[1])]
        self._begin_layer()
        self._shared = False
