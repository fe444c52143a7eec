"""Every wrong engine is caught by its quickest seed, and the right one passes the same seeds."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from click.testing import CliRunner

from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.main import tally
from tallystick.core.replica import apply
from tallystick_sim import hunting
from tallystick_sim.hunting import Catch
from tallystick_sim.mutants import MUTANTS
from tallystick_sim.run import run_seed


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_wrong_engine_is_caught(mutant):
    assert run_seed(mutant.seed, patch=mutant.patch, hasty=True).violations


@pytest.mark.parametrize("seed", sorted({mutant.seed for mutant in MUTANTS}))
def test_the_right_engine_passes(seed):
    """By what was wrong when a mutant was caught, that is; and no patch has outlived its run."""
    assert run_seed(seed).violations == ()


def test_there_are_many_and_each_has_a_name():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30


def test_a_patch_ends_with_its_run():
    (mutant,) = hunting.named(["adds-instead-of-joining"])
    right = vars(apply)["join_rows"]
    with suppress(RuntimeError), mutant.patch():
        assert vars(apply)["join_rows"] is not right
        raise RuntimeError
    assert vars(apply)["join_rows"] is right


def mutants(*arguments):
    return CliRunner().invoke(tally, ["sim", "mutants", *arguments])


def test_the_command_tells_who_caught_it_and_after_how_many():
    done = mutants("counts-itself-as-a-copy", "--jobs", "1", "--json")
    assert done.exit_code == ExitCode.OK, done.output
    (told,) = json.loads(done.stdout)
    assert told["checker"] == "acknowledged"
    assert told["runs"] == told["seed"] == 1


def test_a_survivor_is_a_failure(monkeypatch):
    survivor = Catch("frees-twice", "", "", 5, 5, 0.0)
    monkeypatch.setattr(hunting, "hunt_all", lambda *_: iter([survivor]))
    done = mutants("frees-twice", "--seeds", "5")
    assert done.exit_code == ExitCode.AUDIT_FAILED
    assert "nobody" in done.stdout
    assert "0 of 1 caught" in done.stderr


def test_the_list_and_a_name_that_is_none():
    assert "sells-what-others-hold" in mutants("--list").stdout
    assert mutants("perfect").exit_code == ExitCode.USAGE
