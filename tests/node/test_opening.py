"""Opening after a crash, at any commit, gives what a clean stop would have left; a damaged log is named."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.cli.exit_codes import ExitCode
from tallystick.core.clock import Dot, Head
from tallystick.core.errors import Refused
from tallystick.core.frame import encode_frame
from tallystick.core.replica.commands import ExpireHold, ReceiveStock
from tallystick.core.replica.keys import frame_key
from tallystick.node.identity import encode_vector, progress_rows
from tallystick.node.opening import NoCluster, open_store
from tallystick.node.replaying import DamagedLog
from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import CorruptRecord, StoreLocked, Table
from tallystick.store.record import pack_rows
from tallystick.store.store import Store
from tests.node.checking import check_store, tables_of
from tests.node.driving import BACKLOG_EVENTS, IDENTITY, NODE, Clock, Driven, driving, open_memory
from tests.node.workload import Day, hold
from tests.nodes import run_tally

EVENTS = 220


async def work(backend: MemoryBackend, seed: int, copies: list[MemoryBackend], every: int = 1) -> int:
    """A day's trade on a backend, of which a copy is taken after each `every` commands; answers how many
    commands were refused."""
    clock = Clock()
    refused = 0
    async with driving(backend, clock) as driven:
        for number, command in enumerate(Day(seed, clock).commands(EVENTS)):
            (result,) = (await driven.ask(command)).results
            refused += isinstance(result, Refused)
            if number % every == 0:
                copies.append(backend.clone())
        copies.append(backend.clone())
    return refused


@pytest.mark.parametrize("seed", range(2))
async def test_a_crash_at_any_commit_loses_nothing(seed):
    backend, copies = MemoryBackend(), list[MemoryBackend]()
    refused = await work(backend, seed, copies, every=4)
    assert EVENTS // 20 < refused < EVENTS // 2
    replayed, cut_short = set(), 0
    for copy in copies:
        position = Store(copy, {}).checkpoint_position()
        before = copy.version
        opened = open_memory(copy)
        assert copy.version == before, "opening decided or wrote something"
        replayed.add(opened.store.backlog)
        tables = check_store(opened.store)
        # Stock on the disk that is newer than the last finished checkpoint: a crash between two slices.
        stored = Store(copy.clone(), {})
        cut_short += position is not None and _stock_on_disk(stored) != _stock_on_disk(Store(backend, {}))
        opened.store.flush()
        assert tables_of(opened.store) | {Table.META: {}} == tables | {Table.META: {}}
        again = open_memory(copy)
        assert again.store.backlog == 0, "what a flush has written is replayed once more"
        assert again.head == opened.head
    assert max(replayed) > BACKLOG_EVENTS // 2
    assert 0 < cut_short < len(copies)


def _stock_on_disk(store: Store) -> dict[bytes, object]:
    with store.read() as reader:
        return dict(reader.scan(Table.STOCK))


async def test_a_clean_stop_leaves_nothing_to_replay():
    backend, copies = MemoryBackend(), list[MemoryBackend]()
    await work(backend, 11, copies, every=EVENTS)
    crashed = open_memory(copies[-1])
    stopped = open_memory(backend)
    assert crashed.store.backlog > 0
    assert stopped.store.backlog == 0
    left, right = check_store(crashed.store), check_store(stopped.store)
    assert left | {Table.META: {}} == right | {Table.META: {}}
    assert (crashed.head, crashed.hlc, crashed.identity) == (stopped.head, stopped.hlc, stopped.identity)


async def test_the_node_goes_on_where_it_was():
    """Crash after crash: dots, clock and stock go on as if nothing had been."""
    backend, clock = MemoryBackend(), Clock()
    day = Day(5, clock).commands(EVENTS)
    for _ in range(12):
        async with driving(backend, clock) as driven:
            for _ in range(18):
                await driven.ask(next(day))
            crashed = backend.crash()
        assert driven.broken.done(), "the old engine must notice that its disk is gone"
        backend = crashed
    check_store(open_memory(backend).store)


async def test_holds_are_found_again_after_a_crash():
    backend, clock = MemoryBackend(), Clock()
    async with driving(backend, clock) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 10),)))
        await driven.do(hold("o-1", 3))
        copy = backend.clone()
    clock.ms += 10_000
    async with driving(copy, clock) as driven:
        assert (await driven.do(ExpireHold("o-1"))).entries
        check_store(driven.store)


def frames_in(backend: MemoryBackend) -> list[tuple[bytes, bytes]]:
    with backend.snapshot() as snapshot:
        return list(snapshot.scan(Table.FRAMES))


@pytest.fixture(scope="module")
async def crashed():
    """A disk on which some frames are in no checkpoint, and those frames."""
    backend, copies = MemoryBackend(), list[MemoryBackend]()
    await work(backend, 1, copies, every=EVENTS)
    replayed = open_memory(copies[-1].clone()).store.backlog
    assert replayed > 10
    return copies[-1], frames_in(copies[-1])[-replayed:]


def spoiled(draw: st.DrawFn, data: bytes, other: bytes) -> bytes:
    """Bytes that are almost this frame."""
    match draw(st.integers(0, 3)):
        case 0:
            at = draw(st.integers(0, 8 * len(data) - 1))
            return data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]
        case 1:
            return data[: draw(st.integers(0, len(data) - 1))]
        case 2:
            return data + draw(st.binary(min_size=1, max_size=9))
        case _:
            return other


@settings(max_examples=150)
@given(data=st.data())
def test_a_frame_that_rotted_is_named(crashed, data):
    disk, frames = crashed
    at = data.draw(st.integers(0, len(frames) - 1))
    key, frame = frames[at]
    damaged = disk.clone()
    bad = data.draw(st.composite(spoiled)(frame, frames[at - 1][1]))
    damaged.commit({Table.FRAMES: {key: bad}})
    with pytest.raises(DamagedLog) as caught:
        open_memory(damaged)
    first = int.from_bytes(key[8:16])
    assert caught.value.dot == Dot(IDENTITY.replica, first)
    assert isinstance(caught.value, CorruptRecord)
    assert f"damaged at event {NODE}:{first}: " in str(caught.value)


@pytest.mark.parametrize(
    "entries",
    [
        [[(1, "o-1", 5)]],
        [[(1, "o-1", {"c": 7})]],
        [["x"]],
        [[(2, "tea\0", {"re": "many"})]],
        [[(1, b"o", {})], 5],
        [],
    ],
)
async def test_a_frame_that_says_nothing_is_named(entries):
    """Its hash is right: no disk did this, but a bug, once."""
    backend, replica = MemoryBackend(), IDENTITY.replica
    async with driving(backend) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 10),)))
        copy, head = backend.clone(), driven.engine.head
    frame = encode_frame(replica, head, 1, entries)
    frame = frame._replace(events=max(1, frame.events))
    rows = {frame_key(replica, frame.first, frame.digest): frame.data}
    vector = encode_vector({replica: frame.head})
    copy.commit({Table.FRAMES: rows, Table.META: pack_rows(Table.META, progress_rows(vector, 1))})
    with pytest.raises(DamagedLog, match=f"at event {NODE}:{frame.first}: "):
        open_memory(copy)


@pytest.mark.parametrize("from_end", [1, 2, 5])
async def test_a_frame_that_is_missing_is_named(from_end):
    backend, copies = MemoryBackend(), list[MemoryBackend]()
    await work(backend, 2, copies, every=EVENTS)
    damaged = copies[-1]
    key, _ = frames_in(damaged)[-from_end]
    damaged.commit({Table.FRAMES: {key: None}})
    with pytest.raises(DamagedLog, match=f"at event {NODE}:{int.from_bytes(key[8:16])}: "):
        open_memory(damaged)


@pytest.mark.parametrize("key", [b"identity", b"vector", b"clock", b"store.checkpoint"])
async def test_a_record_that_rotted_is_named(key):
    backend, copies = MemoryBackend(), list[MemoryBackend]()
    await work(backend, 3, copies, every=EVENTS)
    damaged = copies[-1]
    damaged.rot(Table.META, key, 50)
    with pytest.raises(CorruptRecord, match=f"meta at b'{key.decode()}'"):
        open_memory(damaged)


async def test_an_order_that_rotted_is_named():
    backend = MemoryBackend()
    async with driving(backend) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 10),)))
        await driven.do(hold("o-1", 1))
        await driven.do(ExpireHold("o-1"))
        damaged = backend.clone()
    damaged.rot(Table.ORDERS, b"o-1", 90)
    opened = open_memory(damaged)  # nothing of it was to be folded
    with pytest.raises(CorruptRecord, match="orders at b'o-1'"):
        check_store(opened.store)


def open_there(directory, *, new_cluster=False):
    return open_store(
        directory, "eu", new_cluster=new_cluster, map_size=1 << 26, reserve=0, backlog=BACKLOG_EVENTS
    )


def test_an_empty_directory_holds_no_node(tmp_path):
    directory = tmp_path / "node"
    with pytest.raises(NoCluster, match="--new-cluster"):
        open_there(directory)
    assert not directory.exists()
    directory.mkdir()
    for _ in range(2):  # it lets go of what it looked at
        with pytest.raises(NoCluster, match=str(directory)):
            open_there(directory)
    first = open_there(directory, new_cluster=True)
    with pytest.raises(StoreLocked, match="another process"):
        open_there(directory)
    first.store.close()
    second = open_there(directory, new_cluster=True)
    assert (second.identity, second.head) == (first.identity, first.head)
    second.store.close()


def test_opening_a_damaged_log_lets_go_of_the_directory(tmp_path):
    opened = open_there(tmp_path, new_cluster=True)
    replica = opened.identity.replica
    vector = encode_vector({replica: Head(5, bytes(32))})
    frames = {frame_key(replica, 1, b""): b"no frame"}
    opened.store.commit({Table.META: progress_rows(vector, 1), Table.FRAMES: frames}, {}, 0, b"")
    opened.store.close()
    for _ in range(2):
        with pytest.raises(DamagedLog, match=f"at event {Dot(replica, 1)}: shorter than a header"):
            open_there(tmp_path)


@pytest.mark.process
async def test_an_operator_is_told_which_event_is_damaged(tmp_path):
    clock = Clock()
    opened = open_there(tmp_path / "node", new_cluster=True)
    driven = Driven(opened, clock, client_id=7, sweep_ms=60_000, events_max=64)
    for command in Day(4, clock, opened.identity).commands(5):
        await driven.ask(command)
    shutil.copytree(tmp_path / "node", tmp_path / "crashed")  # the engine writes nothing by itself by now
    await driven.stop()
    driven.store.close()
    backend = LmdbBackend(tmp_path / "crashed", map_bytes=1 << 26, reserve_bytes=0)
    with backend.snapshot() as snapshot:
        *_, (key, data) = snapshot.scan(Table.FRAMES)
    backend.commit({Table.FRAMES: {key: data[:-1] + bytes([data[-1] ^ 1])}})
    backend.close()
    ended = await asyncio.to_thread(
        run_tally, "node", "start", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "crashed")
    )
    event = Dot(opened.identity.replica, int.from_bytes(key[8:16]))
    assert f"the log is damaged at event {event}: hash differs from its content" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert ended.returncode == ExitCode.NODE_FAULT
