"""A reader's slot goes back when its snapshot ends, not when the garbage collector comes by.

py-lmdb frees the slot with the transaction object, and an exception keeps that alive through the frames of
its traceback: reads of ids that nobody placed used up the table of readers.
"""

from pathlib import Path

from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.port import Table
from tallystick.store.store import Store


class NotThere(Exception):
    """What a read function raises."""


def read_in_vain(store: Store) -> None:
    with store.read() as reader:
        for _ in reader.scan(Table.ORDERS):
            raise NotThere


def test_snapshots_that_ended_with_an_exception_hold_no_slots(tmp_path: Path) -> None:
    backend = LmdbBackend(tmp_path / "node", map_bytes=1 << 24, reserve_bytes=0)
    store = Store(backend, {})
    store.commit({Table.ORDERS: {b"o-1": b"", b"o-2": b""}}, {}, 2, b"")
    kept = []
    # More often than the table of readers is long.
    for _ in range(600):
        try:
            read_in_vain(store)
        except NotThere as problem:
            kept.append(problem)
    assert len(kept) == 600
    store.close()
