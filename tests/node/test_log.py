"""The log is the truth: its frames, joined one after another, are the tables. And the check of that bites."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tallystick.core.codec import encode
from tallystick.core.frame import EVENTS_MAX, decode_frame
from tallystick.core.order.facts import decode_order
from tallystick.node.opening import open_store
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Table
from tests.node.checking import (
    COMPARED,
    Joined,
    check_indexes,
    check_log,
    check_stock,
    check_store,
    documents,
    tables_of,
)
from tests.node.driving import Asked, Clock, Driven, driving
from tests.node.workload import Day


@pytest.mark.parametrize("seed", range(2))
async def test_a_day_of_trade_on_a_disk(tmp_path, seed):
    """Many jobs at once, so that frames hold many events, and stock rows are written once a frame."""
    opened = open_store(tmp_path, "eu", new_cluster=True, map_size=1 << 28, reserve=0, backlog=300)
    clock = Clock()
    driven = Driven(opened, clock, client_id=7, sweep_ms=60_000, events_max=2_048)
    jobs = [Asked(command) for command in Day(seed, clock, opened.identity).commands(1_500)]
    for job in jobs:
        driven.engine.submit(job)
    await asyncio.gather(*(job.done for job in jobs))
    await driven.stop()
    tables = check_store(driven.store)
    sizes = [decode_frame(data).events for data in tables[Table.FRAMES].values()]
    assert max(sizes) == EVENTS_MAX
    driven.store.close()
    again = open_store(tmp_path, "eu", new_cluster=False, map_size=1 << 28, reserve=0, backlog=300)
    assert tables_of(again.store) == tables
    again.store.close()


@pytest.fixture(scope="module")
async def traded():
    backend, clock = MemoryBackend(), Clock()
    async with driving(backend, clock) as driven:
        for command in Day(8, clock).commands(250):
            await driven.ask(command)
    return driven.store


def test_frames_that_come_twice_change_nothing(traded):
    tables = tables_of(traded)
    frames = [decode_frame(data) for data in tables[Table.FRAMES].values()]
    joined = Joined()
    for frame in frames:
        joined.join(frame)
        joined.join(frame)
    for frame in frames:
        joined.join(frame)
    for table in COMPARED:
        assert joined.tables[table] == tables[table], table
    assert documents(joined.tables) == documents(tables)


def without_one(tables: Any, table: Table) -> None:
    tables[table].pop(next(iter(tables[table])))


def without_the_first_goods(tables: Any, table: Table) -> None:
    del tables[table][b"r-1"]


def with_one_more(tables: Any, table: Table) -> None:
    tables[table][b"\x02" + b"x" * 12] = b""


def with_units(tables: Any, **cells: int) -> None:
    key, stock = next(iter(tables[Table.STOCK].items()))
    ((replica, row),) = stock.rows
    more = {name: getattr(row, name) + units for name, units in cells.items()}
    tables[Table.STOCK][key] = stock.with_row(replica, replace(row, **more))


def without_decisions(tables: Any) -> None:
    for key, data in tables[Table.ORDERS].items():
        record = decode_order(data)
        if record.decisions:
            tables[Table.ORDERS][key] = encode(replace(record, decisions=()))
            return


DAMAGE = [
    *((check_indexes, without_one, table) for table in (Table.BY_TIME, Table.BY_CUSTOMER, Table.BY_STATUS)),
    *((check_indexes, with_one_more, table) for table in (Table.BY_TIME, Table.BY_STATUS, Table.EXPIRY)),
    *((check_indexes, without_one, table) for table in (Table.EXPIRY, Table.INTENTS)),
    *((check_log, without_one, table) for table in COMPARED),
    (check_log, without_one, Table.FRAMES),
    (check_log, without_one, Table.DOCUMENTS),
    (check_stock, without_the_first_goods, Table.RECEIPTS),
    (check_stock, without_one, Table.STOCK),
]


@pytest.mark.parametrize(("check", "damage", "table"), DAMAGE)
def test_a_row_too_few_or_too_many_is_noticed(traded, check, damage, table):
    tables = tables_of(traded)
    damage(tables, table)
    with pytest.raises((AssertionError, ValueError)):
        check(*((traded, tables) if check is check_log else (tables,)))


@pytest.mark.parametrize("cell", ["received", "taken", "freed", "sold", "unsold", "burned", "owed"])
def test_a_unit_too_many_is_noticed(traded, cell):
    tables = tables_of(traded)
    with_units(tables, **{cell: 1})
    with pytest.raises(AssertionError):
        check_log(traded, tables)
    with pytest.raises(AssertionError):
        check_stock(tables)


def test_a_decision_too_few_is_noticed(traded):
    tables = tables_of(traded)
    without_decisions(tables)
    with pytest.raises(AssertionError):
        check_log(traded, tables)
