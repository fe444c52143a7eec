"""The question's file: what it may say, and that each mistake is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick_sim.what_if.question import (
    ALL_POLICIES,
    BadQuestion,
    Change,
    Region,
    orders,
    read_question,
    spans,
)

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SHORT = """
units = 10
minutes = 4
[[region]]
name = "eu"
demand = 6
[[region]]
name = "us"
demand = 2
"""
CUT = '[[cut]]\nregions = ["us"]\nfrom_minute = 1\nto_minute = 2\n'


def test_most_of_it_has_defaults():
    question = read_question(SHORT)
    assert question.names == ("eu", "us")
    assert question.policies == ALL_POLICIES == ("off", "even", "weighted", "demand")
    assert (question.basket, question.seed, question.delay_ms, question.cut) == ((1, 3), 1, 40.0, ())
    assert orders(question) == 32


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_can_be_asked(path):
    question = read_question(path.read_text(encoding="utf-8"))
    assert question.title
    assert 0 < orders(question) < 1_000


def test_demand_changes_with_time():
    region = Region("eu", 6, then=(Change(1, 0), Change(3, 12), Change(9, 1)))
    assert list(spans(region, 4)) == [(0, 1, 6), (1, 3, 0), (3, 4, 12)]


WRONG = [
    ("units = 10", "", "missing required field 'units'"),
    ("units = 10", "units = 0", "units: Expected 'int' >= 1"),
    ("demand = 2", "demand = '2'", "region 2, demand: Expected 'float', got 'str'"),
    ("demand = 2", "demnad = 2", "region 2: it contains unknown field 'demnad'"),
    ('"us"', '"eu"', "region eu: there are two of that name"),
    ('"us"', '"u s"', "region 2, name: Expected 'str' matching"),
    ("minutes = 4", "minutes = 4\nbasket = [3, 1]", "basket: 3 is more than 1"),
    ("minutes = 4", 'minutes = 4\npolicies = ["fair"]', "policies: 'fair' is none of off, even,"),
    ("minutes = 4", "minutes = 4\npolicies = []", "policies: name at least one"),
    ("minutes = 4", "minutes = 1440\n", "orders, over 100,000"),
    ("demand = 6", "demand = 6\nshare = 0", "no share is above 0"),
    ("demand = 6", "demand = 6\nthen = [{at_minute = 0, demand = 1}]", "region eu, then: at_minute has to"),
    ("units = 10", "units = ", "is no TOML"),
]


@pytest.mark.parametrize(("there", "instead", "problem"), WRONG)
def test_a_mistake_is_told_with_its_place(there, instead, problem):
    text = SHORT.replace(there, instead, 1)
    if "1440" in instead:
        text = text.replace("demand = 6", "demand = 600")
    if "share" in instead:
        text = text.replace("demand = 2", "demand = 2\nshare = 0")
    with pytest.raises(BadQuestion) as wrong:
        read_question(text)
    assert problem in str(wrong.value)


WRONG_CUTS = [
    ('["us"]', '["ap"]', "cut 1, regions: 'ap' is none of eu, us"),
    ('["us"]', '["us", "eu"]', "cut 1, regions: some, not all"),
    ('["us"]', "[]", "cut 1, regions: some, not all"),
    ("to_minute = 2", "to_minute = 1", "cut 1: from_minute < to_minute ≤ 4"),
    ("to_minute = 2", "to_minute = 5", "cut 1: from_minute < to_minute ≤ 4"),
    (CUT, '[[delay]]\nbetween = ["eu", "eu"]\nms = 4', "delay, between: eu is no way to itself"),
    (CUT, '[[delay]]\nbetween = ["eu", "xx"]\nms = 4', "delay, between: 'xx' is none of eu, us"),
]


@pytest.mark.parametrize(("there", "instead", "problem"), WRONG_CUTS)
def test_so_is_one_about_the_roads(there, instead, problem):
    assert read_question(SHORT + CUT).cut[0].regions == ("us",)
    with pytest.raises(BadQuestion) as wrong:
        read_question((SHORT + CUT).replace(there, instead))
    assert problem in str(wrong.value)
