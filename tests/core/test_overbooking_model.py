"""The explicit-state model of overbooking: the rule holds everywhere, and each shorter rule breaks."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tallystick_sim.models import overbooking

SHORTER_RULES = {
    "lowering burns": ("on hand − owed is -1, the building holds 0", 2),
    "raising mints": ("1 overbooks 2, is told 1 and never was told over 1", 6),
}


@pytest.mark.parametrize("rule", SHORTER_RULES)
def test_a_shorter_rule_breaks(rule):
    """So the model can object at all."""
    expected, steps = SHORTER_RULES[rule]
    _, problem, story = overbooking.search(rule)
    assert problem == expected
    assert len(story) == steps


def test_the_rule_keeps_every_promise():
    """Run as a person runs it."""
    command = [sys.executable, "-m", "tallystick_sim.models.overbooking"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["the rule", *SHORTER_RULES]
    visited = re.fullmatch(r"the rule: (\d+) states visited, every promise holds", lines[0])
    assert visited is not None
    assert int(visited[1]) > 10_000
