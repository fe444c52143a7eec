"""Real nodes verify: equal ones find nothing, and what somebody changed or the disk lost is named, by the SDK
and by `tally` too."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tallystick import Client, Difference
from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.port import Table
from tallystick.store.record import pack, unpack
from tallystick.v1 import cluster_service_pb2 as pb
from tests.node.driving import Blockade
from tests.node.logs import take_errors
from tests.nodes import clean_env
from tests.replication.cluster import agreed, becomes, linked, status_of
from tests.rpc.asking import edit, order, place, receive
from tests.rpc.refusals import refusal
from tests.rpc.serving import CALL_S, Served

Meddle = Callable[[LmdbBackend], None]


async def verify(node: Served) -> Any:
    return await node.cluster.Verify(pb.VerifyRequest(), timeout=CALL_S)


def named(answer: Any) -> set[tuple[str, str, str]]:
    return {(each.node, each.table, each.record) for each in answer.differences}


async def two(cluster: Any) -> tuple[Served, Served]:
    """Two nodes that have some trade behind them and agree."""
    eu = await cluster.found("eu")
    us = await cluster.join("us")
    await linked(eu, us)
    await receive(eu, tea=100, milk=5)
    await receive(us, "r-2", tea=50)
    for number in range(5):
        await place(eu, order(f"eu-{number}", ("tea", 1), customer="ann"))
        await place(us, order(f"us-{number}", ("tea", 2)))
    await edit(eu, "eu-1", "e-1", note="ring twice")
    await agreed(eu, us)
    return eu, us


async def meddled(cluster: Any, name: str, meddle: Meddle) -> Served:
    """Stop a node, do something to its disk, and start it again."""
    await cluster.end(name)
    backend = LmdbBackend(cluster.base / name, map_bytes=64 << 20, reserve_bytes=0)
    meddle(backend)
    backend.close()
    node: Served = await cluster.again(name)
    await linked(*cluster.nodes.values())
    return node


def write(table: Table, key: bytes, change: Callable[[bytes], bytes]) -> Meddle:
    """Other contents, with a right checksum."""

    def meddle(backend: LmdbBackend) -> None:
        value = backend.get(table, key)
        assert value is not None
        backend.commit({table: {key: pack(table, key, change(unpack(table, key, value)))}})

    return meddle


def rot(table: Table, key: bytes) -> Meddle:
    """One bit flips."""

    def meddle(backend: LmdbBackend) -> None:
        value = backend.get(table, key)
        assert value is not None
        backend.commit({table: {key: value[:-1] + bytes([value[-1] ^ 1])}})

    return meddle


async def test_nodes_that_are_equal_find_nothing(cluster):
    eu, us = await two(cluster)
    for node, other in ((eu, us), (us, eu)):
        answer = await verify(node)
        assert [*answer.differences] == []
        assert ([*answer.compared], [*answer.unreachable], answer.in_motion) == ([other.node], [], 0)
        # Orders, items, receipts, a document, members.
        assert answer.records == 10 + 2 + 2 + 1 + 2


async def test_a_node_alone_reads_what_it_has(cluster):
    eu = await cluster.found("eu")
    await receive(eu, tea=1)
    answer = await verify(eu)
    assert (answer.records, [*answer.compared], [*answer.differences]) == (3, [], [])


async def test_what_was_changed_behind_one_s_back_is_named_on_both(cluster, logs):
    await two(cluster)
    cut = write(Table.ORDERS, b"eu-3", lambda payload: payload.replace(b"ann", b"bob"))
    us = await meddled(cluster, "us", cut)
    eu = cluster["eu"]
    for node, other in ((eu, us), (us, eu)):
        answer = await verify(node)
        assert named(answer) == {(other.node, "orders", "eu-3")}
        assert "other contents" in answer.differences[0].problem
    assert (await status_of(eu)).divergences == 1
    await becomes(lambda: status_of(eu), lambda _: any("eu-3" in str(each.get("message")) for each in logs))
    assert set(take_errors(logs)) == {"alarm"}


@pytest.mark.parametrize(
    ("table", "key", "record"),
    [
        (Table.STOCK, b"milk\0", "milk"),
        (Table.RECEIPTS, b"r-2", "r-2"),
        (Table.DOCUMENTS, b"eu-1", "document of eu-1"),
    ],
)
async def test_a_rotten_record_is_named_on_both(cluster, logs, table, key, record):
    await two(cluster)
    us = await meddled(cluster, "us", rot(table, key))
    eu = cluster["eu"]
    here, there = await verify(us), await verify(eu)
    name = (table.value, record)
    assert {("", *name)} <= named(here) <= {("", *name), (eu.node, *name)}
    assert named(there) == {(us.node, table.value, record)}
    assert all("checksum" in each.problem for each in (*here.differences, *there.differences))
    await becomes(lambda: status_of(eu), lambda told: told.divergences)
    assert {"a record is corrupt", "alarm"} >= set(take_errors(logs)) > set()


async def test_a_peer_that_is_away_is_listed_as_such(cluster):
    eu, us = await two(cluster)
    await cluster.end("us")
    await becomes(lambda: status_of(eu), lambda told: told.peers[0].link != pb.LINK_STATE_UP)
    answer = await verify(eu)
    assert ([*answer.compared], [*answer.unreachable]) == ([], [us.node])
    assert [*answer.differences] == []


async def test_several_may_verify_at_once(cluster):
    eu, us = await two(cluster)
    answers = await asyncio.gather(*(verify(node) for node in (eu, us, eu, us, eu)))
    assert [[*answer.differences] for answer in answers] == [[]] * 5


async def test_orders_go_on_meanwhile(cluster):
    eu, us = await two(cluster)
    placing = [place(eu, order(f"more-{number}", ("tea", 1))) for number in range(60)]
    answer, *_ = await asyncio.gather(verify(us), *placing)
    assert [*answer.differences] == []
    await agreed(eu, us)
    assert [*(await verify(us)).differences] == []


async def test_a_node_that_stops_does_not_wait_for_it(cluster):
    """A verification may take long, and a peer that is frozen makes it longer."""
    eu, us = await two(cluster)
    frozen = Blockade(us.engine)
    asked = asyncio.ensure_future(refusal(verify(eu)))
    await becomes(lambda: status_of(eu), lambda _: eu.engine.driver.peering.verifier.under_way)
    eu.running.shell.stopping.set()
    told = await asked
    assert (told.code, told.reason) == ("UNAVAILABLE", "NODE_STOPPING")
    frozen.lift()


async def test_the_sdk_and_the_command_line_tell_it(cluster, logs):
    eu, _ = await two(cluster)
    code, told = await tally(eu, "cluster", "verify", "-o", "json")
    assert code == 0
    assert json.loads(told)["verification"]["differences"] == []
    us = await meddled(cluster, "us", rot(Table.ORDERS, b"us-0"))
    async with Client(eu.address) as client:
        found = await client.verify()
        assert found.compared == (us.node,)
        (difference,) = found.differences
        assert difference == Difference(
            node=us.node,
            table="orders",
            record="us-0",
            problem=f"it does not fit its checksum at node {us.node}",
        )
    code, told = await tally(eu, "cluster", "verify")
    assert code == 7
    assert "us-0" in told
    take_errors(logs)


async def tally(node: Served, *words: str) -> tuple[int, str]:
    """As `tests.nodes.run_tally`, while the node goes on in this process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tallystick", *words),
        stdout=asyncio.subprocess.PIPE,
        env=clean_env({"TALLY_TARGET": node.address}),
    )
    told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()
