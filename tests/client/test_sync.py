"""The synchronous client: the same calls, from any thread."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tallystick import (
    ClientClosed,
    InsufficientStock,
    Line,
    Order,
    OrderEventKind,
    OrderState,
    OutcomeUnknown,
    PlacedOrder,
    SyncClient,
)
from tests.nodes import Node, start_node

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> Iterator[Node]:
    with start_node(tmp_path_factory.mktemp("sync") / "eu") as started:
        yield started


def tea(units: int = 1) -> Order:
    return Order(currency="EUR", lines=[Line("TEA", units)], customer="c-1")


def test_calls_block_and_answer(node):
    with SyncClient(node.address, actor="batch") as client:
        client.receive_stock({"TEA": 1_000})
        placed = client.place_order(tea(2))
        assert client.get_order(placed.id).state is OrderState.CONFIRMED
        assert client.resolve("nobody") is None
        assert client.status().node == node.name
        client.cancel_order(placed.id, {"1": 1})
        kinds = [event.kind for event in client.list_order_events(placed.id, page_size=1)]
        assert kinds == [
            OrderEventKind.PLACED,
            OrderEventKind.CANCEL_REQUESTED,
            OrderEventKind.CANCELLED,
        ]
        assert placed.id in [order.id for order in client.list_orders(customer="c-1", page_size=1)]
        with pytest.raises(InsufficientStock):
            client.place_order(tea(1_000_000))
    with pytest.raises(ClientClosed):
        client.status()


def test_threads_share_a_client(node):
    with SyncClient(node.address) as client, ThreadPoolExecutor(16) as threads:
        client.receive_stock({"CUP": 300})
        orders = [Order(currency="EUR", lines=[Line("CUP", 1)]) for _ in range(400)]

        def place(order: Order) -> str:
            try:
                answer = client.place_order(order)
            except InsufficientStock:
                return ""
            assert type(answer) is PlacedOrder
            return answer.id

        answers = list(threads.map(place, orders))
        assert all(answer in ("", order.id) for answer, order in zip(answers, orders, strict=True))
        assert sum(map(bool, answers)) == 300
        assert client.get_stock("CUP").available_here == 0


def test_all_synchronous_clients_of_a_process_share_one_thread(node):
    before = threading.active_count()
    clients = [SyncClient(node.address) for _ in range(3)]
    names = {client.status().node for client in clients}
    assert names == {node.name}
    assert threading.active_count() - before <= 1 + 1  # ours, and gRPC's own
    for client in clients:
        client.close()


def test_an_unknown_outcome_is_raised_in_the_calling_thread(tmp_path):
    with start_node(tmp_path / "eu") as node, SyncClient(node.address) as client:
        client.place_order(Order(currency="EUR", lines=[Line("POST", 1, untracked=True)]))
        node.process.send_signal(signal.SIGSTOP)
        with pytest.raises(OutcomeUnknown):
            client.place_order(tea(), timeout=0.3)
        node.kill()


PROGRAM = """
import sys
from tallystick import Line, SyncClient
client = SyncClient(sys.argv[1])
client.place_order(currency="EUR", lines=[Line("POST", 1, untracked=True)])
print(client.status().node)
"""


def test_a_program_may_end_without_closing(node):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, node.address], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{node.name}\n", "")


def test_both_kinds_of_client_live_in_one_process(node):
    """grpc.aio has one poller a process, and wakes every loop of it."""
    program = PROGRAM + (
        "import asyncio\n"
        "from tallystick import Client\n"
        "async def both():\n"
        "    async with Client(sys.argv[1]) as other:\n"
        "        for _ in range(50):\n"
        "            order = dict(currency='EUR', lines=[Line('POST', 1, untracked=True)])\n"
        "            await asyncio.gather(other.place_order(**order), other.status(),\n"
        "                                 asyncio.to_thread(client.place_order, **order))\n"
        "asyncio.run(both())\n"
        "asyncio.run(both())\n"
        "client.close()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, node.address], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
