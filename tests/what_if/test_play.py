"""Playing a question: the real engine, in virtual time, the same customers under each policy."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from tallystick.cli.main import tally
from tallystick.cli.sim_what_if import quiet_logs
from tallystick_sim.what_if.play import Played, draw_arrivals, play, sides
from tallystick_sim.what_if.question import Cut, Question, read_question
from tests.what_if.test_question import CUT, SHORT

TINY = (
    SHORT.replace("demand = 6", "demand = 20")
    .replace("units = 10", "units = 30")
    .replace("minutes = 4", "minutes = 0.5\npatience_s = 1")
)
ASIDE = CUT.replace("from_minute = 1", "from_minute = 0").replace("to_minute = 2", "to_minute = 0.5")


def question(**said: object) -> Question:
    return replace(read_question(TINY), **said)


def played(asked: Question, policy: str = "off") -> Played:
    with quiet_logs():
        return play(asked, policy)


def test_customers_come_by_the_rate_of_their_region():
    asked = replace(read_question(SHORT), minutes=1_000.0)
    arrivals = draw_arrivals(asked)
    by_region = [sum(arrival.region == place for arrival in arrivals) for place in (0, 1)]
    assert by_region == pytest.approx([6_000, 2_000], rel=0.05)
    assert {arrival.units for arrival in arrivals} == {1, 2, 3}
    assert list(arrivals) == sorted(arrivals)
    assert arrivals == draw_arrivals(asked)
    assert arrivals != draw_arrivals(replace(asked, seed=2))


def test_enough_for_all_is_sold_to_all():
    found = played(question(units=200))
    assert found.sold == found.asked
    assert sum(found.sold) > 10
    assert found.refusals == ()
    assert found.left == 200 - sum(found.sold)
    assert found.samples[0].tokens == (100, 100)
    assert found.samples[-1].tokens == (100 - found.sold[0], 100 - found.sold[1])


def test_a_region_that_is_short_gets_what_lies_in_another():
    """All goods lie in us, and nothing moves by itself: whoever buys in eu waits, and is served."""
    regions = question().regions
    asked = question(units=200, regions=(replace(regions[0], share=0), regions[1]))
    found = played(asked)
    assert found.sold == found.asked
    assert found.moved >= found.sold[0]
    assert max(found.waited_ms) >= 2 * asked.delay_ms


def test_all_policies_are_asked_for_the_same():
    asked = question()
    answers = [played(asked, policy) for policy in asked.policies]
    assert len({(each.orders, each.asked) for each in answers}) == 1
    assert all(sum(each.sold) + each.left == asked.units for each in answers)


def test_what_is_sold_out_is_no_false_refusal():
    found = played(question(units=6))
    assert found.left <= 2
    assert len(found.refusals) > 5
    assert not any(refusal.false or refusal.beyond for refusal in found.refusals)


def test_what_lies_beyond_a_cut_is_told_apart():
    """Nothing is left in eu, plenty is in us, and nobody in eu can have it."""
    regions = question().regions
    cut = read_question(TINY + ASIDE).cut
    asked = question(
        units=200, cut=cut, regions=(replace(regions[0], share=0), replace(regions[1], demand=0))
    )
    found = played(asked)
    assert found.refusals
    assert all(refusal.beyond and not refusal.false for refusal in found.refusals)
    assert {refusal.region for refusal in found.refusals} == {0}
    assert found.left == 200 - sum(found.sold)


def test_a_false_refusal_is_found(monkeypatch):
    """An engine that never asks its peers refuses what it could have had."""
    monkeypatch.setattr("tallystick.node.asking.AskDesk.ask_for", lambda self, shortages, now_ms: None)
    regions = question().regions
    found = played(question(units=200, regions=(replace(regions[0], share=0), regions[1])))
    assert found.sold[0] == 0
    assert len(found.refusals) == found.orders[0]
    assert all(refusal.false and not refusal.beyond for refusal in found.refusals)


def test_who_is_on_which_side():
    assert sides(("eu", "us", "ap"), Cut(("ap",), 1, 2)) == ({2}, {0, 1})


# ------------------------------------------------------------------------------------------------ the command


def run(tmp_path, *args, text=TINY):
    file = tmp_path / "tiny.toml"
    file.write_text(text, encoding="utf-8")
    return CliRunner().invoke(tally, ["sim", "what-if", str(file), *args])


def test_the_command_reports_and_draws(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(tmp_path, text=TINY.replace("patience_s", 'policies = ["off", "demand"]\npatience_s'))
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("30 units, ")
    assert [line.split()[0] for line in lines[3:5]] == ["off", "demand"]
    assert [line.split()[:2] for line in lines[7:]] == [
        [p, r] for p in ("off", "demand") for r in ("eu", "us")
    ]
    root = ElementTree.fromstring((tmp_path / "tiny.svg").read_text(encoding="utf-8"))
    assert len(root.findall("{http://www.w3.org/2000/svg}g")) == 2


def test_json_has_the_samples_and_draws_only_if_asked_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(tmp_path, "--json", text=TINY.replace("patience_s", 'policies = ["even"]\npatience_s'))
    said = json.loads(done.stdout)
    (policy,) = said["policies"]
    assert policy["sold"] + policy["left"] == 30 == said["units"]
    assert sum(region["sold"] for region in policy["regions"]) == policy["sold"]
    assert policy["samples"][0] == {"minute": 0.0, "tokens": [15, 15]}
    assert not (tmp_path / "tiny.svg").exists()


def test_a_bad_file_is_told_with_its_place(tmp_path):
    done = run(tmp_path, text=TINY.replace("demand = 2\n", "demand = -2\n"))
    assert done.exit_code == 2
    assert "tiny.toml: region 2, demand: Expected 'float' >= 0.0" in done.stderr
    assert "docs/what-if.md" in done.stderr


def test_a_picture_that_cannot_be_written_is_told(tmp_path):
    gone = tmp_path / "gone" / "x.svg"
    done = run(
        tmp_path, "--plot", str(gone), text=TINY.replace("patience_s", 'policies = ["off"]\npatience_s')
    )
    assert done.exit_code == 2
    assert "the picture can't be written to" in done.stderr
