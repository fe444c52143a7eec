"""A store against a plain dict: commits, readers that stay open, checkpoints, crashes and replay.

The log is what the engine's frames are: all commits ever made. After a crash the rows since the last finished
checkpoint are taken from it, as opening does; that rows may by then be newer than its position is part of it.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tallystick.store.memory import Fault, PowerLoss
from tallystick.store.port import INDEXES, LAZY, StoreFull, Table
from tallystick.store.store import Store
from tests.store.worlds import ENCODERS, Item, LmdbWorld, MemoryWorld, World, number_of

BACKLOG = 9
EAGER_TABLES = (Table.ORDERS, Table.EXPIRY, Table.META)
LAZY_TABLES = sorted(LAZY)
KEYS = [bytes([letter]) for letter in b"abcdefg"]
VECTOR = b"vector"

keys = st.sampled_from(KEYS)
numbers = st.none() | st.integers(0, 99)
rows = st.dictionaries(keys, numbers, max_size=4)
eager = st.dictionaries(st.sampled_from(EAGER_TABLES), rows, max_size=2)
lazy = st.dictionaries(st.sampled_from(LAZY_TABLES), rows, max_size=3)
bounds = st.none() | keys

Model = dict[Table, dict[bytes, int]]
Writes = dict[Table, dict[bytes, int | None]]


def as_payload(table: Table, number: int | None) -> bytes | None:
    return None if number is None else b"" if table in INDEXES else b"%d" % number


def as_object(table: Table, number: int | None) -> object | None:
    return None if number is None else b"" if table in INDEXES else Item(number)


def as_seen(table: Table, row: Any) -> object:
    """What a model's number or a store's row of that table looks like, to be compared."""
    if row is None or table in INDEXES:
        return row is not None
    if table in LAZY:
        return row if isinstance(row, int) else number_of(row)
    return int(row)


class StoreMachine(RuleBasedStateMachine):
    def make_world(self) -> World:
        raise NotImplementedError

    @initialize(slice_keys=st.integers(1, 4))
    def begin(self, slice_keys):
        self.slice_keys = slice_keys
        self.world = self.make_world()
        self.model: Model = {table: {} for table in Table}
        self.log: list[tuple[Writes, Writes, int]] = []
        self.readers: list[tuple[Any, Model]] = []
        self.stack = ExitStack()
        self.last_events = 0
        self.make_store(self.world.open())

    def make_store(self, backend):
        self.backend = backend
        self.store = Store(backend, ENCODERS, self.slice_keys, BACKLOG)

    def teardown(self):
        if hasattr(self, "world"):
            self.stack.close()
            self.world.close()

    # ---------------------------------------------------------------------------------------- writing

    @rule(writes=eager, lazy_rows=lazy, events=st.integers(0, 4) | st.just(12))
    def commit(self, writes, lazy_rows, events):
        self.write(writes, lazy_rows, events)
        self.apply(writes, lazy_rows, events)

    def write(self, writes, lazy_rows, events):
        position = b"%d" % (len(self.log) + 1)
        payloads = {t: {k: as_payload(t, v) for k, v in changed.items()} for t, changed in writes.items()}
        payloads.setdefault(Table.META, {})[VECTOR] = position
        objects = {t: {k: as_object(t, v) for k, v in changed.items()} for t, changed in lazy_rows.items()}
        self.store.commit(payloads, objects, events, position)

    def apply(self, writes, lazy_rows, events):
        self.log.append((writes, lazy_rows, events))
        self.last_events = events
        for table, changed in (writes | lazy_rows).items():
            for key, number in changed.items():
                if number is None:
                    self.model[table].pop(key, None)
                else:
                    self.model[table][key] = number

    @rule()
    def idle(self):
        self.store.idle()

    @rule()
    def flush(self):
        self.store.flush()
        assert self.store.backlog == 0
        last_dirtied = max(
            (n for n, entry in enumerate(self.log, 1) if entry[2] or any(entry[1].values())), default=0
        )
        assert last_dirtied <= int(self.store.checkpoint_position() or b"0") <= len(self.log)

    # ------------------------------------------------------------------------------------------ crashes

    @rule()
    def crash(self):
        self.readers.clear()
        self.stack.close()
        self.make_store(self.world.crash())
        self.replay()

    def replay(self):
        stored = self.store.get(Table.META, VECTOR)
        assert (stored or b"0") == b"%d" % len(self.log)
        position = int(self.store.checkpoint_position() or b"0")
        seeded: dict[Table, dict[bytes, object]] = {}
        for _, lazy_rows, _ in self.log[position:]:
            for table, changed in lazy_rows.items():
                seeded.setdefault(table, {}).update({k: as_object(table, v) for k, v in changed.items()})
        events = sum(events for _, _, events in self.log[position:])
        self.store.seed(seeded, events, b"%d" % len(self.log))

    # ------------------------------------------------------------------------------------------ readers

    @rule()
    def open_reader(self):
        reader = self.stack.enter_context(self.store.read())
        self.readers.append((reader, {table: dict(kept) for table, kept in self.model.items()}))

    @precondition(lambda self: self.readers)
    @rule(data=st.data(), start=bounds, stop=bounds, reverse=st.booleans())
    def read(self, data, start, stop, reverse):
        reader, model = data.draw(st.sampled_from(self.readers))
        for table in (*EAGER_TABLES, *LAZY_TABLES):
            get = reader.get_lazy if table in LAZY else reader.get
            for key in KEYS:
                assert as_seen(table, get(table, key)) == as_seen(table, model[table].get(key)), (table, key)
            inside = [
                (key, as_seen(table, value))
                for key, value in sorted(model[table].items(), reverse=reverse)
                if (start is None or start <= key) and (stop is None or key < stop)
            ]
            scan = reader.scan(table, start, stop, reverse)
            assert [(key, as_seen(table, row)) for key, row in scan if key in KEYS] == inside, table

    # --------------------------------------------------------------------------------------- at all times

    @invariant()
    def every_key_reads_as_the_model_says(self):
        for table in (*EAGER_TABLES, *LAZY_TABLES):
            get = self.store.get_lazy if table in LAZY else self.store.get
            for key in KEYS:
                assert as_seen(table, get(table, key)) == as_seen(table, self.model[table].get(key)), (
                    table,
                    key,
                )
        orders = self.store.get_many(Table.ORDERS, KEYS)
        assert {key: int(value) for key, value in orders.items()} == self.model[Table.ORDERS]

    @invariant()
    def absent_is_absent(self):
        assert not any(self.store.absent(key) for key in self.model[Table.ORDERS])

    @invariant()
    def the_backlog_is_bounded(self):
        assert self.store.backlog <= max(BACKLOG, self.last_events)
        assert self.store.backlog <= sum(events for _, _, events in self.log)


class LmdbMachine(StoreMachine):
    def make_world(self):
        self.directory = tempfile.TemporaryDirectory()
        return LmdbWorld(Path(self.directory.name))

    def teardown(self):
        super().teardown()
        if hasattr(self, "directory"):
            self.directory.cleanup()


class MemoryMachine(StoreMachine):
    def make_world(self):
        return MemoryWorld()

    @rule(writes=eager, lazy_rows=lazy, events=st.integers(0, 4), kept=st.booleans())
    def power_loss_in_a_commit(self, writes, lazy_rows, events, kept):
        """It may be the commit itself, or a slice that was written alone to make room for it."""
        self.backend.inject(Fault.POWER, kept=kept)
        with pytest.raises(PowerLoss):
            self.write(writes, lazy_rows, events)
        self.readers.clear()
        self.stack.close()
        self.make_store(self.world.crash())
        if self.store.get(Table.META, VECTOR) == b"%d" % (len(self.log) + 1):
            assert kept
            self.apply(writes, lazy_rows, events)
        self.replay()

    @rule(writes=eager, lazy_rows=lazy, events=st.integers(0, 4), twice=st.booleans())
    def full(self, writes, lazy_rows, events, twice):
        """Refused whole, or written without its slice."""
        before = self.backend.version
        self.backend.inject(Fault.FULL)
        if twice:
            self.backend.inject(Fault.FULL, 2)
        try:
            self.write(writes, lazy_rows, events)
        except StoreFull:
            assert self.backend.version == before
        else:
            self.apply(writes, lazy_rows, events)
        self.backend._faults.clear()


derandomized = settings(deadline=None, derandomize=True, max_examples=80, stateful_step_count=40)
TestOnLmdb = LmdbMachine.TestCase
TestOnLmdb.settings = derandomized
TestInMemory = MemoryMachine.TestCase
TestInMemory.settings = derandomized
