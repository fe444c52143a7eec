"""What commands make of answers that a young cluster does not give: a server says them, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from click.testing import CliRunner, Result
from google.protobuf.timestamp_pb2 import Timestamp

from tallystick.cli.main import tally
from tallystick.v1 import cluster_service_pb2 as cluster
from tallystick.v1 import stock_service_pb2 as stock

STATUS = cluster.GetStatusResponse(node="a", region="eu", state=cluster.MEMBER_STATE_ACTIVE)


@contextmanager
def answering(**answers: Any) -> Iterator[Callable[..., Result]]:
    """A server with these answers by method; yields what runs a command against it."""
    calls = {name: _always(answer.SerializeToString()) for name, answer in answers.items()}
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(f"tallystick.v1.{service}", calls)
            for service in ("ClusterService", "StockService")
        ]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield lambda *words: CliRunner().invoke(tally, [*words, "--target", f"127.0.0.1:{port}"])
    finally:
        server.stop(None).wait()


def _always(answer: bytes) -> grpc.RpcMethodHandler[Any, Any]:
    return grpc.unary_unary_rpc_method_handler(lambda _, __: answer)


def test_a_node_that_cannot_verify_yet_says_so():
    with answering(GetStatus=STATUS) as run:
        told = run("cluster", "verify")
        document = run("cluster", "verify", "-o", "json")
    assert told.exit_code == document.exit_code == 1
    assert told.stderr.startswith("tally: not yet served, nothing happened: ")
    assert "upgrade" in told.stderr
    error = json.loads(document.stderr)["error"]
    assert (error["reason"], error["definite"]) == ("NOT_SERVED", True)


def test_differences_are_named_and_have_an_exit_code():
    found = cluster.VerifyResponse(records=7, compared=["b"], unreachable=["c"])
    found.differences.add(node="b", table="orders", record="o-1", problem="another state")
    with answering(GetStatus=STATUS, Verify=found) as run:
        told = run("cluster", "verify")
        document = run("cluster", "verify", "-o", "json")
    assert told.exit_code == document.exit_code == 7
    assert [line.split(maxsplit=3) for line in told.stdout.splitlines()[-2:]] == [
        ["AT", "TABLE", "RECORD", "PROBLEM"],
        ["b", "orders", "o-1", "another state"],
    ]
    assert json.loads(document.stdout)["verification"]["unreachable"] == ["c"]


def test_a_cluster_that_agrees_is_fine():
    found = cluster.VerifyResponse(records=7, compared=["b"])
    with answering(GetStatus=STATUS, Verify=found) as run:
        told = run("cluster", "verify")
    assert told.exit_code == 0
    assert [line.split() for line in told.stdout.splitlines()] == [
        ["records", "read:", "7"],
        ["compared", "with:", "b"],
        ["differences:", "0"],
    ]


def test_peers_in_trouble_stand_with_their_problem():
    answer = cluster.GetStatusResponse()
    answer.CopyFrom(STATUS)
    answer.divergences = 2
    answer.peers.add(
        node="b",
        region="us",
        address="us:7411",
        link=cluster.LINK_STATE_STOPPED,
        heard_time=Timestamp(seconds=1),
        lag_events=1_000,
        problem="OWN_CHAIN_LOST: it lost its own chain",
    )
    answer.peers.add(node="c", region="ap", address="ap:7411", link=cluster.LINK_STATE_DOWN)
    with answering(GetStatus=answer) as run:
        told = run("cluster", "status").stdout
    assert "divergences:              2\n" in told
    title, stopped, down = told.splitlines()[-3:]
    assert title.split() == ["PEER", "REGION", "ADDRESS", "LINK", "HEARD", "LAG", "UNACKED", "PROBLEM"]
    assert stopped.split()[:4] == ["b", "us", "us:7411", "stopped"]
    assert stopped.index("OWN_CHAIN_LOST") == title.index("PROBLEM")
    assert stopped.index("1000") + 4 == down.index(" 0 ") + 2 == title.index("LAG") + 3
    assert down.split() == ["c", "ap", "ap:7411", "down", "0", "0"]


def test_a_node_alone_is_told_how_to_get_company():
    with answering(GetStatus=STATUS) as run:
        assert "tally cluster invite" in run("cluster", "status").stderr


def test_tokens_say_how_long_they_last():
    answer = stock.ListTokensResponse()
    item = answer.items.add(sku="TEA")
    item.nodes.add(node="a", region="eu", quantity=100, demand=0.5, runway_seconds=200)
    item.nodes.add(node="b", region="us", quantity=9, demand=0.0001, runway_seconds=90_000)
    item.nodes.add(node="c", region="ap", quantity=7)
    with answering(GetStatus=STATUS, ListTokens=answer) as run:
        told = run("stock", "tokens").stdout
    assert [line.split() for line in told.splitlines()] == [
        ["SKU", "REGION", "NODE", "TOKENS", "ASKED", "FOR", "LASTS"],
        ["TEA", "eu", "a", "100", "0.5/s", "3m"],
        ["TEA", "us", "b", "9", "0.0001/s", "25h"],
        ["TEA", "ap", "c", "7"],
    ]
