"""What the first version has stored is read for ever: a change of the format that forgets it is seen here."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import msgspec
import pytest

from tallystick.core.codec import decode, encode
from tallystick.core.frame import decode_frame
from tallystick.core.members import Member
from tallystick.core.order.document import DocumentRecord
from tallystick.core.order.facts import OrderRecord
from tallystick.core.replica.commands import ConfirmOrder, ReceiveStock
from tallystick.core.stock.receipts import BookingRecord
from tallystick.core.stock.rights import Stock
from tallystick.node.identity import Identity
from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Backend, Table
from tallystick.store.record import unpack
from tests.fixtures.make_storage_v1 import ANSWERS, CLIENT_ID, DIRECTORY, ROWS, answers_of
from tests.node.checking import check_store
from tests.node.driving import IDENTITY, NODE, STARTED_MS, Clock, driving, open_memory
from tests.node.workload import hold, sale

Rows = dict[Table, dict[bytes, bytes]]
RECORDS: dict[Table, type] = {
    Table.ORDERS: OrderRecord,
    Table.RECEIPTS: BookingRecord,
    Table.DOCUMENTS: DocumentRecord,
    Table.MEMBERS: Member,
    Table.STOCK: Stock,
}


@pytest.fixture(scope="module")
def rows() -> Rows:
    stored: Rows = defaultdict(dict)
    for line in (DIRECTORY / ROWS).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        stored[Table(row["table"])][bytes.fromhex(row["key"])] = bytes.fromhex(row["value"])
    return stored


@pytest.fixture(scope="module")
def answers() -> Any:
    return json.loads((DIRECTORY / ANSWERS).read_text(encoding="utf-8"))


@pytest.fixture(params=["memory", "lmdb"])
def backend(request, tmp_path, rows):
    """A directory that the first version has written, opened by this one."""
    if request.param == "memory":
        made: Backend = MemoryBackend()
        made.commit(rows)
    else:
        LmdbBackend(tmp_path, map_bytes=1 << 26, reserve_bytes=0).close()
        filled = LmdbBackend(tmp_path, map_bytes=1 << 26, reserve_bytes=0)
        filled.commit(rows)
        filled.close()
        made = LmdbBackend(tmp_path, map_bytes=1 << 26, reserve_bytes=0)
    yield made
    made.close()


def test_every_order_and_every_unit_is_read(backend, answers):
    opened = open_memory(backend)
    assert opened.identity == IDENTITY
    assert opened.store.backlog > 0, "the fixture is of a crash: some of it is to be replayed"
    check_store(opened.store)
    assert answers_of(opened.store) == answers


def test_the_answers_are_those_of_the_story(answers):
    """Read by a person once: states, units and money as the story has them."""
    states = {name: order["state"].removeprefix("ORDER_STATE_") for name, order in answers["orders"].items()}
    assert states == {
        "sold": "CANCELLED",
        "held": "HELD",
        "partly": "CONFIRMED",
        "paid": "CONFIRMED",
        "expired": "EXPIRED",
        "late": "CONFIRMED",
        "sure": "CONFIRMED",
        "never": "UNPLACED",
        "early": "CONFIRMED",
        "last": "CONFIRMED",
    }
    sold = answers["orders"]["sold"]
    assert sold["details"]["note"] == "leave it at the back 🚪"
    assert "email" not in sold["details"]
    assert "attributes" not in sold["details"]
    assert sorted(sold["details"]["tags"]) == ["gift", "rush"]
    assert sold["total"] == "750"
    assert answers["orders"]["paid"]["payment"]["captured"] == "200"
    stock = {(row["sku"], row.get("location", "")): row for row in answers["stock"]}
    assert stock["tea", ""]["availableHere"] == "17"
    assert stock["日本茶", ""]["owed"] == "1"
    assert stock["cup", ""]["sold"] == "5"


async def test_a_node_goes_on_from_there(backend, answers):
    clock = Clock(STARTED_MS + 3_600_000)
    async with driving(backend, clock, client_id=CLIENT_ID + 1, backlog_events=20) as driven:
        head = driven.engine.head
        assert (await driven.do(ConfirmOrder("held", "f-1"))).record.decisions
        assert (await driven.do(ReceiveStock("goods-2", NODE, (("cup", "", 3),)))).replayed
        assert (await driven.do(sale("new", 3))).record.claims[0].seq == head.seq + 2
        await driven.do(hold("newer", 1))
        check_store(driven.store)
    for name, order in answers_of(driven.store)["orders"].items():
        if name not in ("held", "new", "newer"):
            assert order == answers["orders"][name]


def test_every_record_is_written_today_as_it_was_then(rows):
    """Equal values have equal bytes, in every version: digests between nodes of two versions rest on it."""
    written: Counter[Table] = Counter()
    for table, kind in RECORDS.items():
        for key, value in rows[table].items():
            payload = unpack(table, key, value)
            assert encode(decode(payload, kind)) == payload
            written[table] += 1
    identity = unpack(Table.META, b"identity", rows[Table.META][b"identity"])
    assert encode(decode(identity, Identity)) == identity
    for data in rows[Table.FRAMES].values():
        frame = decode_frame(data)
        assert encode(msgspec.msgpack.decode(frame.payload)) == frame.payload
        written[Table.FRAMES] += 1
    assert min(written.values()) > 0
    assert set(written) == {*RECORDS, Table.FRAMES}
