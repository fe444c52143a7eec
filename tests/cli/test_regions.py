"""The README's second region, with real nodes and real commands."""

import json
from typing import Any

import pytest

from tests.nodes import Node, run_tally, start_node

pytestmark = [pytest.mark.process, pytest.mark.slow]


def tally(node: Node, *words: str, code: int = 0) -> str:
    """Run a command that ends with `code`; answer what it printed: stdout if it is fine, else stderr."""
    done = run_tally(*words, node=node)
    assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stderr if code else done.stdout


def tally_json(node: Node, *words: str, code: int = 0) -> Any:
    return json.loads(tally(node, *words, "-o", "json", code=code))


@pytest.fixture(scope="module")
def eu(tmp_path_factory):
    with start_node(tmp_path_factory.mktemp("nodes") / "eu", "--rebalance", "off") as node:
        yield node


@pytest.fixture(scope="module")
def us(eu, tmp_path_factory):
    """A second region, joined as the README says."""
    code = tally(eu, "cluster", "invite").strip()
    flags = ("--join", eu.address, "--invitation", code, "--rebalance", "off")
    data = tmp_path_factory.mktemp("nodes") / "us"
    with start_node(data, *flags, region="us", new_cluster=False) as node:
        yield node


def shares(node: Node, sku: str, *more: str) -> dict[str, int]:
    """Region → units that it may sell, as a node says."""
    (item,) = tally_json(node, "stock", "tokens", sku, *more)["tokens"]
    return {each["region"]: each["quantity"] for each in item["nodes"]}


def test_a_second_region_sells_what_the_first_received(eu, us):
    tally(eu, "stock", "receive", "TEA=10")
    placed = tally(
        us, "order", "place", "--currency", "EUR", "--line", "TEA=4:36.00", "--id", "far", "--replicas", "1"
    )
    assert placed == "order far confirmed (on 1 of 1 other disks)\n"
    there = shares(us, "TEA")
    assert sum(there.values()) == 6
    assert shares(eu, "TEA") == there
    assert "TEA" in tally(eu, "order", "get", "far")


def test_a_table_of_tokens_lines_up(eu, us):
    received = tally_json(
        eu, "stock", "receive", "CUP=10@shelf", "--split", f"{eu.name}=3", "--split", f"{us.name}=2"
    )
    token = received["write"]["consistency_token"]
    moved = tally(eu, "stock", "move", "CUP=1@shelf", "--to", us.name, "--request-id", "m-1")
    assert moved.startswith("request m-1\n")
    assert "nothing was written now" in tally(
        eu, "stock", "move", "CUP=1@shelf", "--to", us.name, "--request-id", "m-1"
    )
    lines = tally(eu, "stock", "tokens", "CUP", "--consistency-token", token).splitlines()
    assert [line.split() for line in lines] == [
        ["SKU", "LOCATION", "REGION", "NODE", "TOKENS", "LASTS"],
        ["CUP", "shelf", "eu", eu.name, "5"],
        ["CUP", "shelf", "us", us.name, "5"],
    ]
    assert len({line.index(name) for line, name in zip(lines[1:], (eu.name, us.name), strict=True)}) == 1
    refused = tally(eu, "stock", "move", "CUP=9@shelf", "--to", us.name, code=1)
    assert "nothing happened" in refused


def test_status_shows_the_peer_as_it_is_seen(eu, us):
    shown = tally(eu, "cluster", "status")
    assert f"node:                     {eu.name}\n" in shown
    title, row = (line.split() for line in shown.splitlines()[-2:])
    # When both last agreed follows when they have: a moment later.
    assert title[:7] == ["PEER", "REGION", "ADDRESS", "LINK", "HEARD", "LAG", "UNACKED"]
    assert row[:4] == [us.name, "us", us.address, "up"]
    status = tally_json(us, "cluster", "status")["status"]
    assert [(peer["node"], peer["link"]) for peer in status["peers"]] == [(eu.name, "up")]
    assert (status["state"], status["installing"]) == ("active", False)


def test_members_are_listed(eu, us):
    told = tally_json(us, "cluster", "members")["members"]
    assert {(each["node"], each["region"], each["address"]) for each in told} == {
        (eu.name, "eu", eu.address),
        (us.name, "us", us.address),
    }
    lines = [json.loads(line) for line in tally(us, "cluster", "members", "-o", "jsonl").splitlines()]
    assert lines == told
    assert tally(us, "cluster", "members").splitlines()[0].split() == [
        *("NODE", "REGION", "STATE", "ADDRESS", "JOINED"),
    ]


def test_an_order_of_another_region_is_decided_by_its_owner(eu, us):
    tally(eu, "stock", "receive", "PEN=1")
    place = ("--currency", "EUR", "--line", "PEN=1:1.00", "--confirm-when", "by-hand", "--id", "pen")
    held = tally_json(eu, "order", "place", *place, "--replicas", "1")
    assert held["write"]["replicated_to"] == 1
    waited = tally(us, "order", "extend", "pen", "--hold", "2h", "--wait")
    assert "owner decides" not in waited
    assert (
        tally_json(us, "order", "get", "pen")["order"]["hold_expire_time"] > held["order"]["hold_expire_time"]
    )
    assert "pen confirmed" in tally(us, "order", "confirm", "pen", "--wait")
    assert "pen cancelled" in tally(us, "order", "cancel", "pen", "--wait")


def test_an_invitation_is_told_how_to_be_used(eu):
    done = run_tally("cluster", "invite", "--valid-for", "1h", node=eu)
    assert done.stdout.strip().count(".") == 3
    assert f"--join {eu.address} --invitation CODE" in done.stderr
    assert "30 days" in tally(eu, "cluster", "invite", "--valid-for", "31d", code=1)


def test_shares_that_are_none_are_refused_before_anything_is_sent(eu):
    assert "NODE=WEIGHT" in tally(eu, "stock", "receive", "X=1", "--split", "half", code=2)
    twice = ("--split", f"{eu.name}=1", "--split", f"{eu.name}=2")
    assert "names a node twice" in tally(eu, "stock", "receive", "X=1", *twice, code=2)
