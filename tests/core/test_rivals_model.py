"""The explicit-state model of rival claims: the rule holds everywhere, and each shorter rule breaks."""

from __future__ import annotations

import pytest

from tallystick_sim.models import rivals

SHORTER_RULES = {
    "expires beside rivals": "an ended claim is kept over a living one",
    "expires beside ended rivals": "an ended claim is kept over a living one",
    "always yields": "a living claim yields to an ended one",
    "asks all at once": "an ended claim is kept over a living one",
    "stays a duplicate": "0 claims are kept",
}


def test_each_shorter_rule_is_drawn():
    assert set(rivals.RULES) == set(SHORTER_RULES)


@pytest.mark.parametrize("rule", SHORTER_RULES)
def test_a_shorter_rule_breaks(rule):
    """So the model can object at all."""
    _, problem, story = rivals.search(rule, rivals.RULES[rule])
    assert problem == SHORTER_RULES[rule]
    assert story


@pytest.mark.parametrize("scope", rivals.SCOPES)
def test_the_rule_keeps_every_promise(scope):
    visited, problem, story = rivals.search("", scope)
    assert (problem, story) == ("", [])
    assert visited > 3_000
