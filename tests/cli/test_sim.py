"""`tally sim`: what it prints, and how it ends."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.main import tally
from tallystick_sim import run as running
from tallystick_sim.oracle.jury import Violation
from tallystick_sim.run import Result

SHORT = "habits = ['even']\n[size]\nnodes = 2\nseconds = 12\norders = 6\nfaults = 1\nhealing = 5\n"


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "short.toml"
    path.write_text(SHORT)
    return str(path)


def sim(*arguments):
    return CliRunner().invoke(tally, ["sim", *arguments])


def test_a_batch_for_programs(scenario):
    done = sim("run", "--seeds", "2", "--scenario", scenario, "--jobs", "1", "--json", "--faults", "none")
    assert done.exit_code == ExitCode.OK, done.output
    told = json.loads(done.stdout)
    assert told["seeds"] == 2
    assert told["violations"] == []
    assert told["simulated_seconds"] >= 24
    assert {"wall_seconds", "orders", "faults", "probes", "trace_hash"} <= told.keys()
    assert {"reached", "known", "counts"} == told["probes"].keys()


def test_a_batch_for_people_and_several_at_once(scenario):
    done = sim("run", "--seeds", "2", "--scenario", scenario, "--jobs", "2", "--faults", "partition")
    assert done.exit_code == ExitCode.OK, done.output
    assert "partition" in done.stdout
    assert "violations:  0" in done.stdout


def test_a_broken_promise_is_told_and_ends_with_a_code(scenario, monkeypatch):
    broken = Violation("ends", "call 1 was never answered", 7.0)
    run_plan = running.run_plan

    def breaks(*arguments, **options) -> Result:
        return run_plan(*arguments, **options)._replace(violations=(broken,))

    monkeypatch.setattr(running, "run_plan", breaks)
    done = sim("run", "--seed", "5", "--scenario", scenario)
    assert done.exit_code == ExitCode.AUDIT_FAILED
    assert "ends: call 1 was never answered" in done.stdout
    assert "tally sim trace --seed 5" in done.stdout


def test_a_story(scenario):
    done = sim("trace", "--seed", "3", "--scenario", scenario, "--node", "1")
    assert done.exit_code == ExitCode.OK, done.output
    assert "node 1 starts" in done.stdout
    assert "*** all faults end" in done.stdout


def test_nothing_to_shrink(scenario):
    done = sim("shrink", "--seed", "3", "--scenario", scenario)
    assert done.exit_code == ExitCode.OK, done.output
    assert "seed 3 breaks nothing" in done.stderr


def test_what_can_not_be_asked_for():
    done = sim("run", "--faults", "rain")
    assert done.exit_code == ExitCode.USAGE
    assert "there is no 'rain'" in done.stderr
