"""The README's tour, and what else a shop does in a day, with a real node and real commands."""

import json
import signal
from typing import Any

import pytest

from tests.nodes import Node, run_tally, start_node

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with start_node(tmp_path_factory.mktemp("node") / "eu") as running:
        yield running


def tally(node: Node, *words: str, code: int = 0, stdin: str | None = None) -> str:
    """Run a command that ends with `code`; answer what it printed: stdout if it is fine, else stderr."""
    done = run_tally(*words, node=node, stdin=stdin)
    assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stderr if code else done.stdout


def tally_json(node: Node, *words: str, code: int = 0, stdin: str | None = None) -> Any:
    return json.loads(tally(node, *words, "-o", "json", code=code, stdin=stdin))


def test_the_tour(tmp_path):
    data = tmp_path / "tally-data"
    with start_node(data, region="eu") as node:
        assert "10" in tally(node, "stock", "receive", "TEA=10").split()
        placed = tally(node, "order", "place", "--currency", "EUR", "--line", "TEA=2:18.00", "--id", "first")
        assert placed == "order first confirmed\n"
        first = tally(node, "order", "get", "first")
        assert "18.00 EUR" in first
        refused = tally(node, "order", "place", "--currency", "EUR", "--line", "TEA=9:81.00", code=1)
        assert "nothing happened" in refused
        assert refused.splitlines()[-1].split() == ["TEA", "9", "8", "0"]
        node.kill()
        assert "tally node start" in tally(node, "order", "get", "first", "--timeout", "1s", code=4)

    with start_node(data, listen=node.address, new_cluster=False) as again:
        assert (again.name, again.region, again.address) == (node.name, "eu", node.address)
        assert tally(again, "order", "get", "first") == first
        assert tally_json(again, "stock", "get", "TEA")["stock"]["available_here"] == 8
        replayed = tally(
            again, "order", "place", "--currency", "EUR", "--line", "TEA=2:18.00", "--id", "first"
        )
        assert "nothing was written now" in replayed
        assert tally_json(again, "stock", "get", "TEA")["stock"]["sold"] == 2
        assert again.stop(signal.SIGINT) == 0


def test_a_checkout(node):
    tally(node, "stock", "receive", "CUP=5@berlin", "--receipt-id", "delivery-1")
    twice = tally_json(node, "stock", "receive", "CUP=5@berlin", "--receipt-id", "delivery-1")
    assert twice["write"]["replayed"] is True
    assert twice["stock"][0]["on_hand"] == 5

    place = ("order", "place", "--id", "co-1", "--currency", "JPY", "--line", "CUP=2@berlin:1200")
    held = tally_json(node, *place, "--confirm-when", "by-hand", "--hold", "30m", "--customer", "ada")
    assert held["order"]["state"] == "held"
    assert tally_json(node, "stock", "get", "CUP", "--location", "berlin")["stock"]["reserved"] == 2
    extended = tally_json(node, "order", "extend", "co-1", "--hold", "2h")["order"]
    assert extended["hold_expire_time"] > held["order"]["hold_expire_time"]

    assert "still open" not in tally(node, "order", "pay", "co-1", "1200", "--payment-id", "p-1")
    assert (
        tally_json(node, "order", "get", "co-1")["order"]["payment"]["captured"] == 1200
    )  # yen have no cents
    assert "co-1 confirmed" in tally(node, "order", "confirm", "co-1", "--request-id", "r-1")
    assert "nothing was written now" in tally(node, "order", "confirm", "co-1", "--request-id", "r-1")

    tally(node, "order", "edit", "co-1", "--note", "ring twice", "--tag", "gift", "--ship-to", "city=Kyoto")
    edited = tally_json(node, "order", "edit", "co-1", "--clear", "note", "--attribute", "wrap=red")["order"]
    assert (edited["details"]["note"], edited["details"]["attributes"]) == ("", {"wrap": "red"})
    assert edited["details"]["shipping_address"]["city"] == "Kyoto"
    stale = tally_json(node, "order", "edit", "co-1", "--note", "x", "--etag", "0000000000000000", code=1)
    assert stale["error"]["reason"] == "ETAG_MISMATCH"

    assert "refund due 600 JPY" in tally(node, "order", "cancel", "co-1", "--line", "1=1")
    assert "refund due 1200 JPY" in tally(node, "order", "cancel", "co-1", "--reason", "changed my mind")
    shown = tally(node, "order", "events", "co-1")
    for event in ("placed", "hold extended", "captured 1200 JPY", "confirmed", "edited", "changed my mind"):
        assert event in shown


def test_stock_is_corrected_and_overbooked(node):
    tally(node, "stock", "receive", "PEN=3")
    tally(node, "stock", "adjust", "PEN=-1", "--reason", "lost")
    tally(node, "stock", "policy", "PEN", "--overbooking-limit", "2")
    pen = tally_json(node, "stock", "get", "PEN")["stock"]
    assert (pen["on_hand"], pen["available_here"], pen["overbooked"]) == (2, 4, 2)
    partial = ("order", "place", "--currency", "EUR", "--line", "PEN=6:6.00", "--partial", "--id", "pens")
    assert tally(node, *partial).splitlines()[-1].split() == ["1", "PEN", "6", "4"]


def test_a_write_of_stock_for_another_node_is_refused(node):
    error = tally_json(node, "stock", "receive", "INK=1", "--node", "0123456789ab", code=1)["error"]
    assert error["reason"] == "WRONG_NODE"
    assert error["metadata"]["node"] == node.name


def test_what_is_not_there(node):
    assert tally_json(node, "order", "get", "nobody", code=5)["error"]["reason"] == "ORDER_NOT_FOUND"
    assert tally_json(node, "stock", "get", "NOTHING", code=5)["error"]["reason"] == "STOCK_NOT_FOUND"


def test_an_early_cancellation_waits_for_the_placing(node):
    tally(node, "stock", "receive", "HAT=1")
    assert "as soon as it is placed" in tally(node, "order", "cancel", "early")
    tally(node, "order", "place", "--currency", "EUR", "--line", "HAT=1", "--id", "early")
    assert tally_json(node, "order", "get", "early")["order"]["state"] == "cancelled"
    assert tally_json(node, "stock", "get", "HAT")["stock"]["available_here"] == 1


def test_a_file_of_orders_can_be_sent_twice_and_listed_page_by_page(node):
    count = 1_203  # more than a page
    tally(node, "stock", "receive", f"BULK={count - 1}")
    order = {"currency": "EUR", "customer": "bulk", "lines": [{"sku": "BULK", "quantity": 1, "amount": 100}]}
    lines = "".join(json.dumps(order) + "\n" for _ in range(count))
    place = ("order", "place", "--file", "-", "--id-prefix", "bulk-")
    done = run_tally(*place, "-o", "json", node=node, stdin=lines + "{\n")
    answers = json.loads(done.stdout)
    assert done.returncode == 1
    assert (answers["placed"], answers["refused"]) == (count - 1, 2)
    refused = {answer["error"]["reason"] for answer in answers["answers"] if "error" in answer}
    assert refused == {"INSUFFICIENT_STOCK", "INVALID_FIELD"}

    once_more = run_tally(*place, node=node, stdin=lines)
    assert once_more.stdout.splitlines()[:3] == [
        f"placed:    {count - 1}",
        f"replayed:  {count - 1}",
        "refused:   1",
    ]

    listed = run_tally("order", "list", "--customer", "bulk", node=node)
    assert len(listed.stdout.splitlines()) == 101
    assert "--limit 0" in listed.stderr
    everything = tally(node, "order", "list", "--customer", "bulk", "--limit", "0", "-o", "jsonl")
    assert len({json.loads(line)["id"] for line in everything.splitlines()}) == count - 1
    none = tally_json(node, "order", "list", "--customer", "bulk", "--until", "1h", "--state", "confirmed")
    assert none == {"orders": []}


def test_an_order_that_was_read_can_be_placed_again_under_another_id(node):
    tally(node, "stock", "receive", "JAM=2")
    tally(
        node, "order", "place", "--currency", "EUR", "--line", "JAM=1:4.50", "--id", "jam-1", "--note", "mild"
    )
    document = tally(node, "order", "get", "jam-1", "-o", "json")
    tally(node, "order", "place", "--file", "-", "--id", "jam-2", stdin=document)
    copy = tally_json(node, "order", "get", "jam-2")["order"]
    assert (copy["total"], copy["details"]["note"]) == (450, "mild")


def test_reads_can_ask_for_what_was_written(node):
    token = tally_json(node, "stock", "receive", "FIG=1")["write"]["consistency_token"]
    assert tally_json(node, "stock", "get", "FIG", "--consistency-token", token)["stock"]["on_hand"] == 1


def test_a_node_that_is_frozen_took_nothing(node):
    node.process.send_signal(signal.SIGSTOP)
    try:
        done = run_tally("order", "confirm", "co-1", "--timeout", "1s", node=node)
    finally:
        node.process.send_signal(signal.SIGCONT)
    assert done.returncode == 4
    assert "nothing happened" in done.stderr


def test_status(node):
    status = tally_json(node, "node", "status")["status"]
    assert (status["node"], status["region"]) == (node.name, "eu")
    assert status["storage"]["write_state"] == "open"
    assert f"node:                      {node.name}" in tally(node, "node", "status")
