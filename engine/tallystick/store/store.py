"""The store that the engine uses: eager tables in each commit, lazy tables by checkpoints.

What a commit writes is durable when it returns. The rows of lazy tables join the dirty ones in memory; the
log of frames, which is eager, has what they are made of. When about half of the backlog is dirty it is frozen
and written in slices, each in the transaction of a commit that comes anyway (`checkpoint`).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from tallystick.store.checkpoint import POSITION_KEY, Checkpoint, Encoder, Slice, keys_due
from tallystick.store.dirty import MISSING, Dirty, LazyRows
from tallystick.store.edge import EdgeCache
from tallystick.store.gate import RoomGate
from tallystick.store.port import LAZY, Backend, Capacity, Rows, StoreBroken, StoreFull, Table
from tallystick.store.reader import Reader
from tallystick.store.record import pack_rows, unpack

Position = bytes | Callable[[], bytes]
"""Where lazy tables stand, in the caller's words; a function if the words are costly."""

_KEYS_AN_EVENT: Final = 16  # twice what an order of three lines makes dirty
_RETRY_SHARE: Final = 20  # a checkpoint that found no room waits for a twentieth of the backlog to pass


class Store:
    """Durable state with checkpoints, on any backend.

    One thread, the engine's, calls everything, except that any thread may call `read`, `capacity` and
    `writable`. Mappings and objects that are handed in belong to the store from then on: they must not be
    changed.

    `encoders`: for each lazy table that isn't an index, how an object becomes its payload. It is called when
    a row is written, not when it is handed in.
    `slice_keys`: at least how many rows of a running checkpoint go with each large commit, or are written
    when nothing waits; a small commit carries fewer, in proportion, for somebody waits for it.
    `backlog_events`: how many events' rows may be dirty: bounds memory and the time that opening takes.
    """

    def __init__(
        self,
        backend: Backend,
        encoders: Mapping[Table, Encoder],
        slice_keys: int = 600,
        backlog_events: int = 100_000,
    ) -> None:
        self._backend = backend
        self._encoders = encoders
        self._slice_keys = slice_keys
        self._backlog_events = backlog_events
        self._dirty = Dirty(backend.version)
        self._edge = EdgeCache(backend.last_key(Table.ORDERS))
        self._gate = RoomGate(backend)
        self._checkpoint: Checkpoint | None = None
        self._fresh_events = 0
        self._fresh_changed = False
        self._resume_at = 0
        self._position: Position = b""
        self._broken = ""

    # ------------------------------------------------------------------------------------------- reading

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The committed payload, or None. For a lazy table use `get_lazy`. Raises CorruptRecord."""
        if table is Table.ORDERS and self._edge.absent(key):
            return None
        value = self._backend.get(table, key)
        if value is not None:
            return unpack(table, key, value)
        if table is Table.ORDERS:
            self._edge.missed(key, self._order_neighbours)
        return None

    def get_many(self, table: Table, keys: Collection[bytes]) -> dict[bytes, bytes]:
        """The committed payloads of those keys that are there: cheaper than `get` one by one."""
        if table is Table.ORDERS:
            keys = [key for key in keys if not self._edge.absent(key)]
        stored = self._backend.get_many(table, keys) if keys else {}
        if table is Table.ORDERS and len(stored) < len(keys):
            for key in keys:
                if key not in stored:
                    self._edge.missed(key, self._order_neighbours)
        return {key: unpack(table, key, value) for key, value in stored.items()}

    def get_lazy(self, table: Table, key: bytes) -> object | None:
        """A row of a lazy table: the object as handed in, or else the stored payload (bytes), or None."""
        row = self._dirty.look_up(table, key)
        return self.get(table, key) if row is MISSING else row

    def absent(self, key: bytes) -> bool:
        """Whether the order id is certainly new, without a look-up. False says nothing; `get` asks this."""
        return self._edge.absent(key)

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """One committed state, for any thread. Keep it short: freed pages are not reused meanwhile."""
        while True:
            view = self._dirty.share()
            with self._backend.snapshot() as snapshot:
                # Else a commit or a checkpoint moved on in between: see `dirty` for why that matters.
                if view is self._dirty.view:
                    yield Reader(snapshot, view.over(snapshot.version))
                    return

    def _order_neighbours(self, key: bytes) -> tuple[bytes | None, bytes | None]:
        with self._backend.snapshot() as snapshot:
            below = next(snapshot.scan(Table.ORDERS, stop=key, reverse=True), None)
            above = next(snapshot.scan(Table.ORDERS, start=key), None)
        return below and below[0], above and above[0]

    # ------------------------------------------------------------------------------------------- writing

    def commit(
        self,
        writes: Mapping[Table, Rows],
        lazy: Mapping[Table, LazyRows],
        events: int,
        position: Position,
    ) -> None:
        """Write `writes` durably; then, and only then, `lazy` is visible too.

        `events`: how many events this is, for the backlog; lazy rows that come with none are not counted.
        `position`: opaque, names the state after this commit, and is asked for it before the next if a
        checkpoint begins there; the caller writes what opening needs of it itself, in `writes`.

        Raises StoreFull (nothing was written, nothing changed), StoreBroken (end the process).
        """
        _check_tables(writes, lazy)
        self._make_room(events)
        batch = {table: pack_rows(table, rows) for table, rows in writes.items()}
        piece = self._next_slice(events)
        try:
            self._write(batch, lazy, piece)
        except StoreFull:
            if piece is None:
                raise
            # What callers and peers wait for needs less room without the slice, which stays dirty.
            self._resume_at = self.backlog + self._backlog_events // _RETRY_SHARE
            self._write(batch, lazy, None)
        self._note(lazy, events, position)
        if orders := writes.get(Table.ORDERS):
            self._edge.add(orders)

    def seed(self, lazy: Mapping[Table, LazyRows], events: int, position: Position) -> None:
        """At opening: rows that replaying the log after `checkpoint_position` gave, up to `position`.

        Writes checkpoints when they are more than the backlog may hold; raises as `commit` does.
        """
        _check_tables({}, lazy)
        self._dirty.absorb(lazy, self._backend.version)
        self._note(lazy, events, position)
        self._make_room(0)

    def writable(self) -> str | None:
        """Why callers' writes are to be refused (map or disk below the reserve), as a sentence, or None."""
        return self._gate.reason()

    def capacity(self) -> Capacity:
        """How much room there is."""
        return self._backend.capacity()

    # --------------------------------------------------------------------------------------- checkpoints

    @property
    def backlog(self) -> int:
        """How many events' rows are not yet in a finished checkpoint.

        Never more than `backlog_events`, or than the events of the last commit where those are more.
        """
        return self._fresh_events + (self._checkpoint.events if self._checkpoint else 0)

    def checkpoint_position(self) -> bytes | None:
        """The position that the lazy tables on disk reflect at least; None when none was ever finished."""
        return self.get(Table.META, POSITION_KEY)

    def idle(self) -> bool:
        """Nothing waits: write one slice as a commit of its own. True while there is more to write."""
        if self._checkpoint is None and not self._fresh_changed:
            return False
        self._write_slice_alone(self._slice_keys)
        return self._checkpoint is not None or self._fresh_changed

    def flush(self) -> None:
        """Write everything that is dirty: for a graceful stop, so that opening has nothing to replay."""
        while self.idle():
            pass

    def close(self) -> None:
        """Let go of the backend. What is dirty is not lost: opening replays it."""
        self._backend.close()

    def _make_room(self, events: int) -> None:
        """Before a commit with which the backlog would be too large: finish checkpoints at once."""
        while self.backlog and self.backlog + events > self._backlog_events:
            checkpoint = self._running_checkpoint()
            self._write_slice_alone(checkpoint.keys_left)

    def _next_slice(self, events: int) -> Slice | None:
        """What of the running checkpoint goes with a commit; it begins when half of the backlog is fresh."""
        if self._checkpoint is None and 2 * self._fresh_events < self._backlog_events:
            return None
        if self.backlog < self._resume_at:
            return None
        checkpoint = self._running_checkpoint()
        due = keys_due(checkpoint.keys_left, self._backlog_events - self.backlog, events)
        return checkpoint.slice(max(due, min(self._slice_keys, _KEYS_AN_EVENT * max(1, events))))

    def _running_checkpoint(self) -> Checkpoint:
        if self._checkpoint is None:
            frozen = self._dirty.freeze()
            position = self._position if isinstance(self._position, bytes) else self._position()
            self._checkpoint = Checkpoint(frozen, self._fresh_events, position, self._encoders)
            self._fresh_events = 0
            self._fresh_changed = False
        return self._checkpoint

    def _write_slice_alone(self, keys: int) -> None:
        self._write({}, {}, self._running_checkpoint().slice(keys))

    def _write(
        self, batch: Mapping[Table, Rows], lazy: Mapping[Table, LazyRows], piece: Slice | None
    ) -> None:
        """Commit a batch and a slice; what is visible in memory follows."""
        if self._broken:
            raise StoreBroken(self._broken)
        self._dirty.stage(lazy)
        try:
            self._backend.commit(batch if piece is None else _joined(batch, piece.rows))
        except StoreBroken as broken:
            # Nobody knows whether it happened. Readers are right either way while nothing else is staged.
            self._broken = str(broken)
            raise
        self._dirty.absorb(lazy, self._backend.version, drop_frozen=piece is not None and piece.last)
        if piece is not None and self._checkpoint is not None:
            self._resume_at = 0
            self._checkpoint.advance(piece)
            if piece.last:
                self._checkpoint = None

    def _note(self, lazy: Mapping[Table, LazyRows], events: int, position: Position) -> None:
        self._fresh_events += events
        self._fresh_changed = self._fresh_changed or events > 0 or any(lazy.values())
        self._position = position


def _joined(batch: Mapping[Table, Rows], piece: Mapping[Table, Rows]) -> dict[Table, Rows]:
    """Both in one transaction. They meet in `meta` only, at different keys."""
    both = {**batch, **piece}
    if Table.META in batch and Table.META in piece:
        both[Table.META] = {**batch[Table.META], **piece[Table.META]}
    return both


def _check_tables(writes: Mapping[Table, Rows], lazy: Mapping[Table, LazyRows]) -> None:
    """A row in the wrong hands would be lost or torn: refused before anything is written."""
    if not LAZY.isdisjoint(writes) or not LAZY.issuperset(lazy):
        raise ValueError(
            f"eager tables {sorted(writes)}, lazy tables {sorted(lazy)}: a table is in the wrong one"
        )
