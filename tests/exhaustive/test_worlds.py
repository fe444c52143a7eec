"""Every promise holds in every state of the small worlds, and in each world enough happens to prove it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tallystick.cli.main import tally
from tallystick_sim.exhaustive.walk import walk
from tallystick_sim.exhaustive.worlds import WORLDS

STATES = {
    "transfers": 1_500,
    "moves": 800,
    "rivals": 1_000,
    "rivals-confirmed": 1_200,
    "rivals-paid": 700,
    "rivals-sold": 400,
    "customers": 1_300,
    "three-rivals": 4_000,
    "shrinkage": 3_500,
    "overbooking": 2_000,
    "crashes": 4_000,
    "relay": 1_200,
}
"""At least so many: a world in which little happens proves little."""


def test_every_small_world_is_here():
    assert set(STATES) == {name for name, world in WORLDS.items() if not world.large}


@pytest.mark.parametrize("name", STATES)
def test_every_promise_holds(name):
    walked = walk(WORLDS[name])
    assert (walked.broken, walked.story) == ("", ())
    assert walked.complete
    assert walked.states > STATES[name]
    assert 0 < walked.endings < walked.states < walked.transitions


def test_the_same_world_is_walked_in_the_same_way():
    assert walk(WORLDS["rivals-sold"]) == walk(WORLDS["rivals-sold"])


def test_a_walk_gives_up_where_it_is_told_to_and_says_how_far_it_is(monkeypatch):
    monkeypatch.setattr("tallystick_sim.exhaustive.walk.PROGRESS_STATES", 100)
    seen = []
    walked = walk(WORLDS["three-rivals"], 1_000, lambda *now: seen.append(now))
    assert not walked.complete
    assert not walked.broken
    assert 1_000 <= walked.states < 1_100
    assert seen == sorted(seen)
    assert len(seen) > 1


def test_the_command_says_what_was_visited():
    run = CliRunner().invoke(tally, ["sim", "exhaustive", "rivals-sold", "--json"])
    assert run.exit_code == 0
    said = json.loads(run.stdout)
    assert said["ok"] is True
    (world,) = said["worlds"]
    assert (world["world"], world["complete"], world["broken"], world["story"]) == (
        "rivals-sold",
        True,
        "",
        [],
    )
    assert world["states"] > STATES["rivals-sold"]


def test_the_command_draws_a_table():
    run = CliRunner().invoke(tally, ["sim", "exhaustive", "rivals-sold", "--max-states", "20"])
    assert run.exit_code == 0
    cells = run.stdout.splitlines()[1].split()
    assert (cells[0], cells[-2:]) == ("rivals-sold", ["no", "hold"])


def test_an_unknown_world_is_a_usage_error():
    run = CliRunner().invoke(tally, ["sim", "exhaustive", "nowhere"])
    assert run.exit_code == 2
    assert "'nowhere' is none of transfers, " in run.stderr
