"""`tally demo --crash`, for real: a node, a SIGKILL, a restart."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.nodes import clean_env

pytestmark = pytest.mark.process


def run_demo(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tallystick", "demo", "--crash", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, env=clean_env())


def test_every_promise_holds_through_a_kill():
    done = run_demo("--orders", "600", "--seed", "5", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"]) == (0, True), done.stderr
    assert told["accepted"] + told["refused"] == told["orders"] == 600
    assert told["found_after_kill"] == told["acknowledged_before_kill"] > 0
    assert (told["lost"], told["oversold_units"]) == (0, 0)
    # It was killed while orders were under way: else it proves little.
    assert told["outcome_unknown"] > 0
    assert all(
        item["received"] == item["sold"] + item["reserved"] + item["available"] for item in told["items"]
    )


def test_it_speaks_plainly_off_a_terminal():
    done = run_demo("--orders", "300")
    assert done.returncode == 0, done.stderr
    assert "Every promise held." in done.stdout
    assert "\x1b" not in done.stdout
    assert "kill -9: the server is gone" in done.stdout
