"""`tally demo`, for real: three nodes, relays between them, a cut."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.nodes import clean_env

pytestmark = pytest.mark.process


def run_demo(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tallystick", "demo", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, env=clean_env())


def test_every_promise_holds_through_a_cut():
    done = run_demo("--seconds", "6", "--seed", "4", "--json")
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["audit"]) == (0, True, "passed"), told["promises"]
    assert told["regions"] == ["eu", "us", "ap"]
    assert all(told["accepted_during_cut"][region] > 0 for region in told["regions"])
    assert (told["oversold_units"], told["false_refusals"], told["digests_equal"]) == (0, 0, True)
    assert told["orders_accepted"] > told["orders_refused"] > 0
    assert 0 < told["seconds_to_converge"] < 10
    assert all(told["p99_ms_before_cut"][region] > 0 for region in told["regions"])
    assert all(told["p99_ms_during_cut"][region] > 0 for region in told["regions"])
    assert all(
        item["received"] == item["sold"] + item["reserved"] + item["available"] for item in told["items"]
    )
