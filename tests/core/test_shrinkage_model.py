"""The explicit-state model of shrinkage: the rule holds everywhere, and each shorter rule breaks."""

from __future__ import annotations

import pytest

from tallystick_sim.models import shrinkage

SHORTER_RULES = {
    "helpers burn": ("2 settled for 1 owed", 4),
    "sends again": ("1 sent 2 for 1 missing", 4),
    "counts for ever": ("what 1 frees never pays what is missing", 7),
}


def test_all_rules_are_here():
    assert set(shrinkage.RULES) == {"", *SHORTER_RULES}


@pytest.mark.parametrize("rule", SHORTER_RULES)
def test_a_shorter_rule_breaks(rule):
    """So the model can object at all."""
    expected, steps = SHORTER_RULES[rule]
    _, problem, story = shrinkage.search(rule)
    assert problem == expected
    assert len(story) == steps


def test_the_rule_keeps_every_promise():
    visited, problem, story = shrinkage.search()
    assert (problem, story) == ("", [])
    assert visited > 50_000
