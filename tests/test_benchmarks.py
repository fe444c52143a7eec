"""The benchmarks: their arithmetic, their requests, their command line, and one small run of each command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import place
from benchmarks.__main__ import main
from benchmarks.figures import Figures, median_of, quantile, ratio
from benchmarks.load.pool import Pool
from benchmarks.load.sellout import Attempt, judge
from benchmarks.processes import Failed
from benchmarks.regions import hot_wan
from benchmarks.regions import run as regional
from benchmarks.regions.bench import Settings
from benchmarks.regions.finding import at_least, at_most, median
from benchmarks.regions.finding import ratio as regional_ratio
from benchmarks.regions.run import FIGURES, chosen
from benchmarks.workload import ORDER_BYTES, Requests, Shape, make_json, stamp
from click.testing import CliRunner

from tallystick.v1.order_service_pb2 import PlaceOrderRequest, PlaceOrdersRequest

ROOT = Path(__file__).resolve().parent.parent


def figures(orders_per_s: float, accepted: int = 1) -> Figures:
    return Figures(orders_per_s=orders_per_s, p50_ms=1, p99_ms=2, accepted=accepted)


def test_quantiles_are_values_that_were_seen():
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0, 2.0], 0.5) == 1.0
    assert quantile([float(n) for n in range(1, 101)], 0.99) == 99.0
    assert quantile([], 0.5) == 0.0


def test_a_median_is_of_each_figure_and_counts_add_up():
    median = median_of([figures(10, 5), figures(30, 6), figures(20, 7)])
    assert (median.orders_per_s, median.accepted, median.disk_bytes_per_order) == (20, 18, None)


def test_a_ratio_is_of_medians_and_shows_each_round():
    found = ratio(
        "a / b", [figures(10), figures(30), figures(20)], [figures(10), figures(10), figures(40)], 1.5
    )
    assert (found.value, found.rounds, found.met) == (2.0, [1.0, 3.0, 0.5], True)


@pytest.mark.parametrize(
    "shape", [Shape(lines=lines, items=items) for lines in (1, 3) for items in (1, 10_000)]
)
def test_requests_are_the_orders_that_were_meant(shape):
    """They are put together from bytes: the contract's own decoder must find every order whole."""
    requests = Requests(shape, seed=1).batches(100)
    batches = []
    for expected in range(3):
        number, encoded = next(requests)
        batch = PlaceOrdersRequest.FromString(stamp(encoded))
        assert number == expected
        assert [each.number // 100 for each in batch.orders] == [number] * 100
        batches.append(batch)
    orders = [each.order for batch in batches for each in batch.orders]
    assert len({order.id for order in orders}) == 300
    for order in orders:
        assert order.id[14] == "7"
        assert not order.id.startswith("ffffffff")
        assert abs(order.ByteSize() - ORDER_BYTES) <= 2
        assert len(order.lines) == shape.lines
        assert order.total == sum(line.amount for line in order.lines) + order.adjustments[0].amount
        assert not shape.hot or order.lines[0].sku == "SKU-000000"
        assert abs(len(make_json(order)) + len(order.id) + len(order.customer) - ORDER_BYTES) < 60
    unary = PlaceOrderRequest.FromString(stamp(next(Requests(shape, seed=1).unary())))
    assert len(unary.order.lines) == shape.lines


def test_a_pool_keeps_what_is_ready_for_the_clock():
    pool = Pool(iter(range(10)), 2)
    assert pool.take(timed=False) == 2
    assert [pool.take(timed=True) for _ in range(3)] == [0, 1, 3]
    assert pool.late == 1


def test_every_target_has_its_ratio():
    settings = place.Settings(peers=("postgres", "redis"))
    measured = {cell: [figures(10), figures(10), figures(10)] for cell in place.cells(settings)}
    targets = [(each.name, each.target) for each in place.ratios(measured) if each.target]
    assert ("batches / PostgreSQL, 100 a statement: 3 lines, 10,000 items", 1.0) in targets
    assert ("SDK / PostgreSQL, 64 clients: 1 line, one hot item", 5.0) in targets
    assert len([name for name, _ in targets if name.startswith("raw unary / empty")]) == 4
    assert len([name for name, _ in targets if name.startswith("SDK / raw unary")]) == 4


@pytest.mark.parametrize("command", [[], ["place"], ["grow"], ["regions"]])
def test_help_says_how(command):
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert "place" in result.output or "--json" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["place", "--mode", "telepathy"],
        ["place", "--rounds", "0"],
        ["place", "--peer", "abacus"],
        ["grow", "1"],
        ["regions", "--peer", "abacus"],
    ],
)
def test_what_makes_no_sense_is_refused(arguments):
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_a_ratio_that_is_to_be_small_is_met_below_its_target():
    found = regional_ratio("f", "a / b", ("a", [2.0, 4.0, 3.0]), ("b", [2.0, 2.0, 3.0]), at_most(1.2))
    assert (found.value, found.rounds, found.target, found.met) == (1.5, [1.0, 2.0, 1.0], "≤ 1.2", False)
    assert found.of == {"a": [2.0, 4.0, 3.0], "b": [2.0, 2.0, 3.0]}
    assert median("f", "a", "s", [3.0, 1.0, 2.0], at_most(2.0)).met
    assert not median("f", "a", "s", [3.0, 1.0, 2.0], at_least(2.5)).met


def test_a_refusal_is_false_if_a_unit_was_left_that_nobody_took():
    """Two units. Whoever sent before the refusal came may have had one of them; who sent later may not."""
    sold = [Attempt("tea", 0.0, 1.0, True), Attempt("tea", 2.0, 3.0, True), Attempt("nut", 0.0, 1.0, True)]
    early = Attempt("tea", 0.5, 1.5, False)
    racing = Attempt("tea", 0.5, 2.5, False)
    late = Attempt("tea", 4.0, 5.0, False)
    assert judge([*sold, early, racing, late], units=2) == ([early], 2)
    assert judge([*sold, racing, late], units=2) == ([], 3)


def test_figures_of_regions_are_chosen_by_name():
    assert hot_wan.NAME not in chosen(Settings())
    assert chosen(Settings(peer=hot_wan.PEER)) == [*FIGURES]
    assert chosen(Settings(only=("gossip_bytes", "catch_up"))) == ["catch_up", "gossip_bytes"]
    with pytest.raises(Failed, match="there is no figure abacus"):
        chosen(Settings(only=("abacus",)))
    with pytest.raises(Failed, match="--peer"):
        chosen(Settings(only=(hot_wan.NAME,)))


def benchmark(*arguments: str, folder: Path) -> dict[str, Any]:
    """Run a command in a process of its own, as people do: it confines itself to two cores."""
    command = [sys.executable, "-m", "benchmarks", *arguments, "--json", "--dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert os.listdir(folder) == []
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.process
@pytest.mark.slow
def test_place_measures_every_mode(tmp_path):
    quick = ("--rounds", "1", "--seconds", "0.3", "--warm-up", "0.1", "--lines", "3", "--items", "1")
    report = benchmark("place", *quick, folder=tmp_path)
    assert report["schema"] == place.SCHEMA
    rows = {row["cell"]["mode"]: row["median"] for row in report["rows"]}
    assert set(rows) == {"empty", "unary", "sdk", "batch"}
    assert all(row["accepted"] > 0 and row["refused"] == 0 for row in rows.values())
    assert [each["name"].partition(":")[0] for each in report["ratios"]] == [
        "raw unary / empty grpc.aio call",
        "SDK / raw unary",
    ]


@pytest.mark.process
@pytest.mark.slow
def test_grow_kills_a_node_and_finds_everything_again(tmp_path):
    small = ("--orders", "6000", "--start", "1000", "--window-orders", "300", "--backlog", "1000")
    report = benchmark("grow", *small, "--restarts", "1", folder=tmp_path)
    assert [report["small"]["stored"], report["large"]["stored"]] == [1000, 6000]
    assert report["restarts"][0]["checked"] == 1000
    assert {check["target"] for check in report["checks"]} == {"≥ 0.8", "< 300", "< 3"}


@pytest.mark.process
@pytest.mark.slow
def test_regions_measures_what_passes_between_nodes(tmp_path):
    quick = (
        "--rounds",
        "1",
        "--seconds",
        "0.3",
        "--warm-up",
        "0.1",
        "--rtt-ms",
        "10",
        "--orders-per-s",
        "50",
    )
    report = benchmark("regions", "--only", "gossip_bytes", *quick, folder=tmp_path)
    assert report["schema"] == regional.SCHEMA
    paced, full = [each for each in report["findings"] if each["target"]]
    assert paced["value"] > full["value"] > 1


@pytest.mark.process
@pytest.mark.slow
def test_regions_catches_up_after_a_cut(tmp_path):
    quick = ("--rounds", "1", "--cut-orders", "300", "--rtt-ms", "10")
    report = benchmark("regions", "--only", "catch_up", *quick, folder=tmp_path)
    from_byte, from_healing = [each for each in report["findings"] if each["unit"] == "s"]
    assert 0 < from_byte["value"] <= from_healing["value"]


@pytest.mark.process
@pytest.mark.slow
def test_regions_sells_out_and_judges_refusals(tmp_path):
    quick = ("--rounds", "1", "--seconds", "0.5", "--rtt-ms", "10", "--orders-per-s", "60")
    report = benchmark("regions", "--only", "false_refusals", *quick, folder=tmp_path)
    before, false, in_the_end = report["findings"]
    assert 0 < before["value"] <= in_the_end["value"] <= 1
    assert false["value"] or before["value"] == in_the_end["value"] == 1
