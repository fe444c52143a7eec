"""A disk that is nearly full, or wrong: writes are refused, reads go on, and the reason is told."""

from __future__ import annotations

import pytest

from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.port import StoreFull, Table
from tallystick.v1 import cluster_service_pb2
from tests.node.logs import take_errors
from tests.rpc.asking import (
    EXPIRED,
    cancel,
    get,
    get_stock,
    hold,
    list_orders,
    order,
    place,
    place_all,
    reached,
    receive,
)
from tests.rpc.refusals import read_status, refusal
from tests.rpc.serving import CALL_S, serving, start

HUGE = 1 << 60


async def test_below_the_reserve_writes_are_refused_and_reads_go_on(tmp_path):
    served = await start(tmp_path / "node")
    await receive(served, tea=10)
    sold = (await place(served, order("o-1", ("tea", 2)))).order
    await place(served, hold("o-2", ("tea", 3), hold_s=10))
    clock = served.clock
    await served.stop()
    async with serving(tmp_path / "node", clock, reserve=HUGE) as short:
        for write in (
            place(short, order("o-3", ("tea", 1))),
            cancel(short, "o-1"),
            receive(short, "r-2", tea=1),
        ):
            refused = await refusal(write)
            assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
            assert (refused.definite, refused.retry_ms) == (True, 100)
            assert "less than the reserve" in refused.message
        answer = await place_all(short, order("o-3", ("tea", 1)), order("o-4", ("tea", 1)))
        assert [read_status(one.error).reason for one in answer.answers] == ["STORAGE_FULL"] * 2
        assert await get(short, "o-1") == sold
        assert len((await list_orders(short)).orders) == 2
        status = await short.cluster.GetStatus(cluster_service_pb2.GetStatusRequest(), timeout=CALL_S)
        assert status.storage.write_state == cluster_service_pb2.WRITE_STATE_REFUSED
        assert "less than the reserve" in status.storage.reason
        assert status.storage.reserve_bytes == HUGE
        # What makes room, or keeps a promise, uses the reserve.
        clock.advance(10)
        await reached(short, "o-2", EXPIRED)
        assert (await get_stock(short, "tea")).available_here == 8
    async with serving(tmp_path / "node", clock) as again:
        assert not (await place(again, order("o-3", ("tea", 1)))).write.replayed


async def test_a_node_is_not_founded_where_there_is_no_room(tmp_path):
    """It once hung about with the directory locked."""
    with pytest.raises(StoreFull, match="less than the reserve"):
        await start(tmp_path / "node", reserve=HUGE)
    async with serving(tmp_path / "node") as served:
        await receive(served, tea=1)


async def test_a_map_that_fills_up_refuses_and_goes_on_reading(tmp_path):
    async with serving(tmp_path / "node", map_size=2 << 20, backlog_events=1_000) as served:
        await receive(served, tea=1_000_000)
        names, refused = [], None
        for number in range(1_000):
            name = f"o-{number:05}"
            large = order(name, *[("tea", 1)] * 20)
            for line in large.lines:
                line.description = "x" * 1_000
            answer = (await place_all(served, large)).answers[0]
            if answer.HasField("error"):
                refused = read_status(answer.error)
                break
            names.append(name)
        assert refused is not None
        assert (refused.reason, refused.definite) == ("STORAGE_FULL", True)
        assert len(names) > 20
        assert (await refusal(get(served, name))).reason == "ORDER_NOT_FOUND"
        assert (await get(served, names[-1])).id == names[-1]
        assert (await get_stock(served, "tea")).sold == 20 * len(names)
    async with serving(tmp_path / "node", map_size=8 << 20) as again:
        assert (await get_stock(again, "tea")).sold == 20 * len(names)
        found = await list_orders(again, page_size=1_000)
        assert [one.id for one in found.orders] == names[::-1]
        await place(again, order(name, ("tea", 1)))


async def test_a_rotten_record_is_a_fault_of_the_node_and_not_of_its_neighbours(tmp_path, logs):
    served = await start(tmp_path / "node")
    await receive(served, tea=10)
    await place(served, order("o-1", ("tea", 2)))
    await place(served, order("o-2", ("tea", 2)))
    await served.stop()
    backend = LmdbBackend(tmp_path / "node", map_bytes=1 << 26, reserve_bytes=0)
    rotten = backend.get(Table.ORDERS, b"o-1")
    assert rotten is not None
    backend.commit({Table.ORDERS: {b"o-1": rotten[:-1] + b"?"}})
    backend.close()
    async with serving(tmp_path / "node") as again:
        for call in (get(again, "o-1"), list_orders(again), cancel(again, "o-1")):
            refused = await refusal(call)
            assert (refused.code, refused.reason, refused.definite) == ("DATA_LOSS", "CORRUPT_RECORD", True)
            assert (refused.metadata["table"], refused.metadata["key"]) == ("orders", b"o-1".hex())
        assert (await get(again, "o-2")).id == "o-2"
        assert (await cancel(again, "o-2")).order.id == "o-2"
    assert len(take_errors(logs)) == 3
