"""Whole runs: what is drawn is what is run, the same seed is the same run, and a wrong engine is found."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from unittest import mock

import pytest

from tallystick.core.replica import tokens
from tallystick.core.replica.commands import PlaceOrder
from tallystick.core.stock import moves
from tallystick_sim import node
from tallystick_sim.batch import summarise
from tallystick_sim.drawing import Wanted, draw_plan
from tallystick_sim.faults import ALL_KINDS, AMBIENT, KINDS, SICK
from tallystick_sim.plan import SIZES, Read
from tallystick_sim.probes import KNOWN, Probes
from tallystick_sim.run import run_plan, run_seed
from tallystick_sim.scenario import BadScenario, read_wanted
from tallystick_sim.shrink import shrink
from tallystick_sim.timeline import Focus, tell
from tallystick_sim.workload import HABITS

SEEDS = range(1_000, 1_056)
FOUND = (53, 63, 108, 369, 401, 703, 1083, 2888, 3170)
"""Seeds that found something once; docs/found-by-simulation.md says what."""
TINY = SIZES["small"]._replace(seconds=25.0, orders=30, faults=3)


@pytest.mark.parametrize("seed", [*FOUND, *SEEDS])
def test_every_promise_holds(seed):
    assert run_seed(seed).violations == ()


@pytest.mark.slow
def test_bad_weather_makes_no_new_node_slow_for_ever():
    """Pieces were so small when this seed found something; docs/found-by-simulation.md says what."""
    result = run_seed(117, "long", patch=lambda: mock.patch.object(node, "PIECE_BYTES", 600))
    assert result.violations == ()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_fault_is_felt(kind):
    """Alone, in one of a few runs."""
    wanted = Wanted(TINY, (kind,))
    results = []
    for seed in range(5):
        results.append(run_seed(seed, wanted=wanted))
        assert results[-1].violations == ()
        if results[-1].faults.get(kind):
            return
    raise AssertionError(f"{kind} was never felt")


def test_a_seed_is_one_run_whatever_the_hashes_of_strings():
    script = "from tallystick_sim.run import run_seed; print(run_seed(1001).trace_hash)"
    hashes = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert hashes[0] == hashes[1] != ""
    assert run_seed(1002).trace_hash + "\n" != hashes[0]


def test_a_small_run_is_what_it_is_called():
    plans = [draw_plan(seed) for seed in range(40)]
    assert all(len(plan.faults) >= plan.size.faults for plan in plans)
    assert {habit for plan in plans for habit in plan.workloads} == set(HABITS)
    assert {kind for plan in plans for kind in plan.enabled} >= set(ALL_KINDS) - SICK
    assert any(isinstance(request.command, Read) for request in plans[0].requests)


def test_what_is_left_out_leaves_the_rest_as_it_was():
    """Before the first fault nothing differs from a run without any."""
    plan = draw_plan(1, Wanted(TINY))
    whole = tell(plan).lines
    calm = tell(plan._replace(faults=())).lines
    until = plan.faults[0].at_ms
    assert [line for line in whole if line[0] < until] == [line for line in calm if line[0] < until]
    assert whole != calm


# ------------------------------------------------------------------------------------------- wrong engines


@contextmanager
def frees_nothing():
    """Holds that are let go keep their tokens."""
    wrong = {
        key: (lambda row, units: row) if move is moves.free else move
        for key, move in tokens.TOKEN_MOVES.items()
    }
    with mock.patch.object(tokens, "TOKEN_MOVES", wrong):
        yield


@contextmanager
def sends_and_keeps():
    """Tokens that go to a peer stay here too."""

    def send_twice(view, replica, key, to, units):
        sent = tokens.send_tokens(view, replica, key, to, units)
        if sent:
            stock = view.stock_of(key)
            row = stock.row(replica)
            view.put_stock(key, stock.with_row(replica, moves.receive(row, sent)))
        return sent

    with mock.patch("tallystick.core.replica.granting.send_tokens", send_twice):
        yield


@pytest.mark.parametrize(
    ("patch", "checker"), [(frees_nothing, "conservation"), (sends_and_keeps, "conservation")]
)
def test_a_wrong_engine_is_found(patch, checker):
    found = {
        violation.checker
        for seed in range(3)
        for violation in run_seed(
            seed, wanted=Wanted(TINY, habits=("cancel_storm", "skewed")), patch=patch
        ).violations
    }
    assert checker in found


def test_a_failing_run_is_shrunk_to_a_short_story():
    plan = draw_plan(0, Wanted(TINY, habits=("cancel_storm",)))
    found = shrink(plan, patch=frees_nothing, runs_max=80)
    assert found is not None
    assert found.checker == "conservation"
    assert found.plan.faults == ()
    assert len(found.plan.requests) <= 4
    story = tell(found.plan, patch=frees_nothing)
    assert any("conservation" in text for _, text in story.lines)


def test_a_run_that_breaks_nothing_is_not_shrunk():
    assert shrink(draw_plan(0, Wanted(TINY))) is None


# ----------------------------------------------------------------------------------------- what is told of it


def test_a_story_can_be_of_one_order_one_item_or_one_node():
    plan = draw_plan(2, Wanted(TINY, habits=("failover",)))
    placed = (each.command for each in plan.requests)
    name = next(command.order_id for command in placed if isinstance(command, PlaceOrder))
    of_order = tell(plan, Focus(order=name)).lines
    assert any(f"place {name}" in text for _, text in of_order)
    assert any("writes" in text and "a claim" in text for _, text in of_order)
    of_item = tell(plan, Focus(item="item-0")).lines
    assert any("ta=" in text for _, text in of_item)
    of_node = tell(plan, Focus(node=1)).lines
    assert any("1 → " in text for _, text in of_node)
    assert not any(text.startswith("node 2") for _, text in of_node)


def test_a_kind_that_never_bit_fails_the_batch():
    result = run_plan(draw_plan(1, Wanted(TINY)))
    numb = result._replace(enabled=("lost",), faults={})
    assert summarise([numb], 1.0).never_bit == ["lost"]
    assert summarise([numb], 1.0).failed
    assert not summarise([numb._replace(faults={"lost": 1})], 1.0).failed
    assert not summarise([numb._replace(enabled=("crash",))], 1.0).failed, "one run may miss it by chance"
    assert summarise([numb._replace(enabled=("crash",))] * 20, 1.0).never_bit == ["crash"]


def test_a_pair_counts_when_one_run_felt_both():
    run = run_seed(1001)._replace(faults={"crash": 1})
    apart = summarise([run, run._replace(faults={"lost": 2})], 1.0).fault_pairs
    together = summarise([run._replace(faults={"crash": 1, "lost": 2})], 1.0).fault_pairs
    assert (apart["reached"], together["reached"]) == (0, 1)
    assert ["crash", "lost"] in apart["missing"]
    assert ["crash", "lost"] not in together["missing"]
    assert together["known"] > 200
    assert not any({*pair} <= SICK for pair in apart["missing"]), "a run ends one node at most"


def test_probes_are_known():
    with pytest.raises(KeyError):
        Probes().hit("no such path")
    assert set(run_seed(1003).probes) <= set(KNOWN)
    assert not set(AMBIENT) & set(KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "habits = ['none of these']",
        "faults = ['rain']",
        "[size]\nnodes = 1",
        "[size]\ncolour = 3",
        "=",
        "more = 1",
    ],
)
def test_a_scenario_that_can_not_be(text):
    with pytest.raises(BadScenario):
        read_wanted("small", (), text)


def test_a_scenario():
    wanted = read_wanted("small", ("lost",), "habits = ['even']\nfaults = ['crash']\n[size]\norders = 5")
    assert wanted == Wanted(SIZES["small"]._replace(orders=5), ("lost",), ("even",))
