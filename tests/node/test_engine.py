"""The driver itself: commits, answers, and what it does when the disk, a command or an answer fails."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from tallystick.core.clock import Head
from tallystick.core.frame import EVENTS_MAX, decode_events, decode_frame, verify_chain
from tallystick.core.order.facts import decode_order
from tallystick.core.order.status import State, fold
from tallystick.core.replica import step
from tallystick.core.replica.commands import (
    ConfirmOrder,
    ExpireHold,
    ReceiveStock,
)
from tallystick.core.replica.outcome import Outcome
from tallystick.core.stock.rights import rights
from tallystick.node.identity import decode_token
from tallystick.node.jobs import Internal, NotStarted, Rotten, StorageFull
from tallystick.store.memory import Fault, MemoryBackend
from tallystick.store.port import StoreBroken, Table
from tests.node.checking import check_store, stock_names, tables_of
from tests.node.driving import (
    IDENTITY,
    NODE,
    PATIENCE_S,
    Asked,
    Blockade,
    Clock,
    Driven,
    driving,
    open_memory,
)
from tests.node.logs import take_errors
from tests.node.workload import hold, sale


def state_of(driven: Driven, order_id: str) -> State | None:
    data = driven.store.get(Table.ORDERS, order_id.encode())
    return None if data is None else fold(decode_order(data)).state


@pytest.fixture
async def stocked():
    backend = MemoryBackend()
    async with driving(backend) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 100),)))
        yield driven, backend


async def test_what_waits_is_committed_together(stocked):
    """Group commit: as many as the limit allows, in their order, each answered for itself."""
    driven, _ = stocked
    blockade = Blockade(driven.engine)
    blockade.reached()
    jobs = [Asked(sale(f"o-{number:03}", 1)) for number in range(99)]
    for job in jobs:
        driven.engine.submit(job)
    blockade.lift()
    answers = await asyncio.gather(*(job.done for job in jobs))
    assert [answer.outcome.record.claims[0].seq for answer in answers] == list(range(3, 102))
    commits = Counter(answer.receipt.token for answer in answers)
    assert list(commits.values()) == [64, 1, 34]
    assert len({answer.receipt.hlc for answer in answers}) == 3
    tables = check_store(driven.store)
    assert [decode_frame(data).events for data in tables[Table.FRAMES].values()] == [1, 1, 64, 1, 34]


async def test_a_job_larger_than_a_commit_goes_alone(stocked):
    driven, backend = stocked
    before = backend.version
    answered = await driven.ask(*(sale(f"o-{number}", 1) for number in range(300)))
    assert [isinstance(result, Outcome) for result in answered.results] == [True] * 100 + [False] * 200
    assert backend.version - before <= 2
    check_store(driven.store)


async def test_a_row_is_in_the_frame_that_changed_it(stocked):
    """Two frames of one commit: what the first did to an item is not told again by the second."""
    driven, _ = stocked
    await driven.do(ReceiveStock("r-2", NODE, (("tea", "", 1_000), ("milk", "", 1))))
    await driven.ask(*(sale(f"o-{number}", 1) for number in range(EVENTS_MAX)), sale("last", 1, "milk"))
    *_, first, second = check_store(driven.store)[Table.FRAMES].values()
    for data, events, names in ((first, EVENTS_MAX, ["tea\0"]), (second, 1, ["milk\0"])):
        *_, last = decoded = decode_events(decode_frame(data))
        assert (len(decoded), stock_names(last)) == (events, names)


async def test_a_token_is_the_head_after_the_commit(stocked):
    driven, _ = stocked
    answered = await driven.ask(sale("o-1", 1))
    assert decode_token(answered.receipt.token) == {IDENTITY.replica: driven.engine.head}
    replay = await driven.ask(sale("o-1", 1))
    assert (replay.outcome.replayed, replay.receipt.token) == (True, answered.receipt.token)


async def test_no_room_at_the_commit_refuses_all_of_it(stocked):
    driven, backend = stocked
    await driven.do(sale("before", 1))
    head, tables = driven.engine.head, tables_of(driven.store)
    backend.inject(Fault.FULL)
    failed = await driven.ask(sale("o-1", 5), sale("too-much", 1_000), sale("o-2", 5))
    for result in failed.results:
        assert isinstance(result, StorageFull)
        assert (result.reason, getattr(result, "definite", True)) == ("STORAGE_FULL", True)
    assert driven.engine.head == head
    assert decode_token(failed.receipt.token)[IDENTITY.replica].seq == head.seq
    assert tables_of(driven.store) == tables
    # The next write works, on the stock as it was, and the chain goes on.
    assert (await driven.do(sale("o-1", 99))).record.claims[0].seq == head.seq + 1
    frames = [decode_frame(data) for data in tables_of(driven.store)[Table.FRAMES].values()]
    assert verify_chain(frames) == driven.engine.head
    assert not driven.broken.done()
    check_store(driven.store)


async def test_no_room_at_every_second_commit():
    backend, clock = MemoryBackend(), Clock()
    async with driving(backend, clock) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 500),)))
        done = set()
        for number in range(120):
            # A commit with a slice of the checkpoint is tried again without it: both must fail.
            if number % 2:
                backend.inject(Fault.FULL)
                backend.inject(Fault.FULL, 2)
            (result,) = (await driven.ask(sale(f"o-{number}", 1))).results
            if isinstance(result, Outcome):
                done.add(f"o-{number}".encode())
            backend._faults.clear()
        assert 60 <= len(done) < 120
        tables = check_store(driven.store)
        assert set(tables[Table.ORDERS]) == done
    check_store(open_memory(backend).store)


async def test_a_failed_sync_ends_it():
    for kept in (False, True):
        backend = MemoryBackend()
        async with driving(backend) as driven:
            await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 9),)))
            backend.inject(Fault.BROKEN, kept=kept)
            job = Asked(sale("o-1", 1))
            driven.engine.submit(job)
            assert isinstance(await driven.broken, StoreBroken)
            # Nobody is answered: whether it happened is not known before opening again.
            assert not job.done.done()
            driven.engine.submit(Asked(sale("o-2", 1)))
        opened = open_memory(backend.crash())
        assert (opened.store.get(Table.ORDERS, b"o-1") is not None) is kept
        assert opened.store.get(Table.ORDERS, b"o-2") is None
        check_store(opened.store)


async def test_a_disk_that_is_gone_ends_it_at_a_read():
    """A read that finds the store broken was once taken for a bug of the command, and answered as such."""
    backend = MemoryBackend()
    async with driving(backend) as driven:
        backend.close()
        # The gate has looked at the disk a moment ago: what finds it gone is the look-up of the receipt.
        driven.engine.submit(Asked(ReceiveStock("r-1", NODE, (("tea", "", 9),))))
        assert isinstance(await asyncio.wait_for(driven.broken, PATIENCE_S), StoreBroken)


class Poison:
    """A command whose handler fails after it has written half of what it wanted."""


def _fail(replica, command, now, view):
    view.put_stock(b"tea\0", view.stock_of(b"tea\0").with_row(replica.replica, view.stock_of(b"x\0").row(1)))
    view.orders[b"poisoned"] = b"\x80"
    view.expiry[b"\0" * 8 + b"poisoned"] = b""
    raise ArithmeticError("a bug")


@pytest.fixture
def _poison(monkeypatch):
    monkeypatch.setattr(step, "_HANDLERS", {**step._HANDLERS, Poison: _fail})


@pytest.mark.usefixtures("_poison")
async def test_a_bug_in_one_command_leaves_its_neighbours_alone(stocked, logs):
    driven, _ = stocked
    jobs = [
        Asked(sale("o-1", 10)),
        Asked(sale("o-2", 10), Poison(), sale("o-3", 10)),  # type: ignore[arg-type]
        Asked(sale("o-4", 1_000)),
        Asked(Poison()),  # type: ignore[arg-type]
        Asked(hold("o-5", 10)),
    ]
    driven.engine.submit(Asked(sale("first", 1)))
    for job in jobs:
        driven.engine.submit(job)
    answers = [(await job.done).results for job in jobs]
    assert isinstance(answers[0][0], Outcome)
    assert isinstance(answers[4][0], Outcome)
    for result in (*answers[1], *answers[3]):
        assert isinstance(result, Internal)
        assert (result.reason, result.definite) == ("INTERNAL", True)
    assert not isinstance(answers[2][0], Internal)
    tables = check_store(driven.store)
    assert set(tables[Table.ORDERS]) == {b"first", b"o-1", b"o-5"}
    assert rights(tables[Table.STOCK][b"tea\0"], IDENTITY.replica) == 79
    assert not driven.broken.done()
    assert set(take_errors(logs)) == {"a command failed by a bug"}


async def test_a_bug_in_reading_a_request_leaves_its_neighbours_alone(stocked, logs):
    """It once ended the process."""

    class Unreadable(Asked):
        def commands(self):
            raise ArithmeticError("a bug")

    driven, _ = stocked
    jobs = [Asked(sale("o-1", 1)), Unreadable(), Asked(sale("o-2", 1))]
    for job in jobs:
        driven.engine.submit(job)
    first, bad, last = [(await job.done).results[0] for job in jobs]
    assert isinstance(first, Outcome)
    assert isinstance(last, Outcome)
    assert isinstance(bad, Internal)
    assert bad.definite
    assert take_errors(logs) == ["a request could not be read by a bug"]


async def test_a_bug_in_sealing_an_event_leaves_its_neighbours_alone(stocked, monkeypatch, logs):
    def unencodable(replica, command, now, view):
        view.orders[b"odd"] = b"\x80"
        return Outcome(((1, "odd", 1 << 70),))

    monkeypatch.setattr(step, "_HANDLERS", {**step._HANDLERS, Poison: unencodable})
    driven, _ = stocked
    jobs = [Asked(sale("o-1", 1)), Asked(Poison()), Asked(sale("o-2", 1))]  # type: ignore[arg-type]
    for job in jobs:
        driven.engine.submit(job)
    results = [(await job.done).results[0] for job in jobs]
    assert [isinstance(result, Internal) for result in results] == [False, True, False]
    assert b"odd" not in check_store(driven.store)[Table.ORDERS]
    assert take_errors(logs) == ["a command failed by a bug"]


async def test_a_job_whose_time_is_over_is_not_begun(stocked):
    driven, _ = stocked
    late = Asked(sale("late", 1), deadline=time.monotonic() - 0.001)
    driven.engine.submit(late)
    assert isinstance((await late.done).refused, NotStarted)
    assert state_of(driven, "late") is None
    in_time = Asked(sale("in-time", 1), deadline=time.monotonic() + 60)
    driven.engine.submit(in_time)
    assert (await in_time.done).outcome.record.claims


async def test_a_hold_is_not_ended_a_moment_too_early(stocked):
    """Whoever asks for it: the owner's clock decides."""
    driven, _ = stocked
    await driven.do(hold("o-1", 1))
    driven.clock.ms += 9_999
    assert not (await driven.do(ExpireHold("o-1"))).entries
    driven.clock.ms += 1
    assert (await driven.do(ExpireHold("o-1"))).entries
    assert not (await driven.do(ExpireHold("o-1"))).entries


async def until_state(driven: Driven, order_id: str, state: State) -> None:
    """Ask the engine for nothing until the sweeper has come round. Bounded."""
    for _ in range(20_000):
        if state_of_committed(driven, order_id) is state:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{order_id} never became {state.name}")


def state_of_committed(driven: Driven, order_id: str) -> State:
    with driven.store.read() as reader:
        data = reader.get(Table.ORDERS, order_id.encode())
    assert data is not None
    return fold(decode_order(data)).state


async def test_near_full_callers_are_refused_and_holds_still_end():
    backend, clock = MemoryBackend(reserve_bytes=1_000), Clock()
    async with driving(backend, clock, sweep_ms=10) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 10),)))
        await driven.do(hold("o-1", 3))
        await driven.do(hold("o-2", 4, 60_000))
        backend.map_bytes = backend.capacity().used_bytes + 999
        refused = []
        for number in range(20):  # the gate looks now and then
            (result,) = (await driven.ask(sale(f"p-{number}", 1))).results
            refused.append(isinstance(result, StorageFull))
        assert refused[-1]
        assert "less than the reserve" in str((await driven.ask(ConfirmOrder("o-2", "c"))).refused)
        backend.map_bytes = backend.capacity().used_bytes + 999
        clock.ms += 10_000
        await until_state(driven, "o-1", State.EXPIRED)
        assert state_of_committed(driven, "o-2") is State.HELD
        backend.map_bytes = 1 << 30
        assert (await driven.do(ConfirmOrder("o-2", "c"))).record.decisions
        check_store(driven.store)


async def test_near_full_what_was_done_before_is_still_answered(logs):
    """A rotten record among that once ended the process."""
    backend = MemoryBackend(reserve_bytes=1_000)
    async with driving(backend) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 10),)))
        await driven.do(sale("o-1", 1))
        await driven.do(sale("rotten", 1))
        backend.map_bytes = backend.capacity().used_bytes
        for number in range(20):
            await driven.ask(sale(f"p-{number}", 1))
        assert (await driven.do(sale("o-1", 1))).replayed
        assert isinstance((await driven.ask(sale("o-1", 2))).refused, StorageFull)
        backend.rot(Table.ORDERS, b"rotten", 80)
        first, bad, last = (Asked(sale(name, 1)) for name in ("o-1", "rotten", "o-2"))
        for job in (first, bad, last):
            driven.engine.submit(job)
        assert (await first.done).outcome.replayed
        assert isinstance((await bad.done).refused, Rotten)
        assert isinstance((await last.done).refused, StorageFull)
    assert set(take_errors(logs)) == {"a record is corrupt"}


async def test_a_hold_that_could_not_be_ended_for_want_of_room_is_ended_later():
    """It was once forgotten until another hold was placed."""
    backend, clock = MemoryBackend(), Clock()
    async with driving(backend, clock, sweep_ms=10) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 10),)))
        await driven.do(hold("o-1", 3))
        for nth in range(1, 4):
            backend.inject(Fault.FULL, nth)
        clock.ms += 10_000
        await until_state(driven, "o-1", State.EXPIRED)
        check_store(driven.store)


async def test_holds_that_cannot_be_ended_do_not_stand_in_the_way_of_others(logs):
    """A sweep takes the first few that are due. If those stayed where they are, it once took no others."""
    backend, clock = MemoryBackend(), Clock()
    async with driving(backend, clock, sweep_ms=10) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 1_000),)))
        await driven.ask(*(hold(f"o-{number:03}", 1) for number in range(600)))
        await driven.do(hold("behind", 1, 10_001))
        for number in range(600):
            backend.rot(Table.ORDERS, f"o-{number:03}".encode(), 80)
        clock.ms += 10_001
        await until_state(driven, "behind", State.EXPIRED)
        # Nor are they tried again and again while nothing else is due.
        await driven.do(sale("o", 1))
        tried = len(logs)
        await driven.do(sale("p", 1))
        assert len(logs) == tried == 600
    assert set(take_errors(logs)) == {"a record is corrupt"}


async def test_a_stop_without_room_is_still_a_stop():
    """It once ended as if the engine had crashed."""
    backend = MemoryBackend()
    async with driving(backend) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 10),)))
        await driven.do(sale("o-1", 1))
        backend.map_bytes = 0
    assert not driven.broken.done()
    backend.map_bytes = 1 << 30
    check_store(open_memory(backend).store)


async def test_the_stop_does_what_is_queued(stocked):
    driven, _ = stocked
    jobs = [Asked(sale(f"o-{number}", 1)) for number in range(200)]
    for job in jobs:
        driven.engine.submit(job)
    await driven.stop()
    results = [(await job.done).results[0] for job in jobs]
    assert sum(isinstance(result, Outcome) for result in results) == 100
    assert driven.store.backlog == 0
    check_store(driven.store)


async def test_time_goes_on_when_the_clock_does_not(stocked):
    driven, backend = stocked
    stamps: list[int] = []
    for step_ms in (0, 0, -5_000, 1, -10_000_000, 10_000_001):
        driven.clock.ms += step_ms
        stamps.append((await driven.ask(sale(f"o-{len(stamps)}", 1))).receipt.hlc)
    assert stamps == sorted(set(stamps))
    opened = open_memory(backend.clone())
    assert opened.hlc == stamps[-1]
    assert opened.head == Head(driven.engine.head.seq, driven.engine.head.digest)
