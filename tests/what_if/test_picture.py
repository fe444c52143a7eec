"""The picture: well-formed, with all that it has to show, and the same bytes for the same answer."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from tallystick_sim.what_if.picture import BEYOND, COLOURS, FALSE, RIGHT, draw, round_up, ticks, verdict
from tallystick_sim.what_if.play import Played, Refusal, Sample
from tallystick_sim.what_if.question import Cut, read_question
from tests.what_if.test_question import SHORT

SVG = "{http://www.w3.org/2000/svg}"
QUESTION = replace(read_question(SHORT), title="Tea & <more>", cut=(Cut(("us",), 1, 2),))
SAMPLES = (Sample(0, (6, 4)), Sample(60_000, (3, 4)), Sample(240_000, (0, 1)))
REFUSALS = (
    Refusal(90_000, 1, 2, False, True),
    Refusal(150_000, 0, 1, True, False),
    Refusal(200_000, 0, 3, False, False),
    Refusal(250_000, 0, 3, False, False),
)


def played(policy: str, refusals: tuple[Refusal, ...] = REFUSALS) -> Played:
    return Played(policy, (3, 2), (6, 4), (6, 3), 1, refusals, (0.0, 80.0), 2, SAMPLES)


def parse(*answers: Played) -> ElementTree.Element:
    return ElementTree.fromstring(draw(QUESTION, answers))


def test_it_is_well_formed_whatever_the_title_says():
    root = parse(played("even"), played("demand"))
    assert root.tag == f"{SVG}svg"
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert words[0] == "Tea & <more>"
    assert {"eu", "us", "even", "demand", "us cut off", "0 min"} <= set(words)
    assert words.count("us cut off") == 2


def test_each_policy_has_a_panel_with_a_line_a_region():
    root = parse(*(played(policy) for policy in ("off", "even", "demand")))
    panels = root.findall(f"{SVG}g")
    assert [panel.get("id") for panel in panels] == ["policy-off", "policy-even", "policy-demand"]
    for panel in panels:
        lines = panel.findall(f"{SVG}polyline")
        assert [line.get("stroke") for line in lines] == list(COLOURS[:2])
        assert all(len(line.get("points", "").split()) == len(SAMPLES) for line in lines)
    assert root.get("width") == "1040"


def test_all_of_it_is_on_the_page():
    root = parse(played("off"), played("even"), played("demand"))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for line in root.iter(f"{SVG}polyline"):
        for point in line.get("points", "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_a_line_falls_as_tokens_go():
    (line, _) = parse(played("off")).findall(f".//{SVG}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.get("points", "").split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)


def test_refusals_are_ticks_by_kind_and_those_after_the_end_stand_at_the_end():
    (panel,) = parse(played("off")).findall(f"{SVG}g")
    strokes = {path.get("stroke"): path.get("d", "") for path in panel.findall(f"{SVG}path")}
    assert {colour: text.count("M") for colour, text in strokes.items()} == {RIGHT: 2, BEYOND: 1, FALSE: 1}
    (none,) = parse(played("off", ())).findall(f"{SVG}g")
    assert none.findall(f"{SVG}path") == []


def test_the_verdict_is_told_in_a_line():
    assert verdict(QUESTION, played("off")) == "9 of 10 sold, 4 orders refused: 1 beyond a cut, 1 false"


def test_the_same_answer_is_the_same_bytes():
    assert draw(QUESTION, [played("off")]) == draw(QUESTION, [played("off")])


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (6, [0, 1, 2, 3, 4, 5, 6]),
        (16, [0, 5, 10, 15]),
        (1_200, [0, 200, 400, 600, 800, 1_000, 1_200]),
    ],
)
def test_axes_have_round_numbers(most, expected):
    assert ticks(most) == pytest.approx(expected)


@pytest.mark.parametrize(("most", "expected"), [(0, 1), (6, 6), (7, 8), (416, 500), (1_042, 1_200)])
def test_an_axis_ends_at_a_round_number(most, expected):
    assert round_up(most) == pytest.approx(expected)
