"""What people type, and what they are told when it makes no sense."""

from datetime import UTC, datetime, timedelta

import pytest

from tallystick.cli.items import parse_adjustment, parse_item, parse_line, parse_line_quantity
from tallystick.cli.output import short_duration
from tallystick.cli.parsing import parse_duration, parse_moment, parse_pair
from tallystick.client.values.order import AdjustmentKind, Line
from tallystick.client.values.stock import StockQuantity

DURATIONS = [
    ("15m", 900),
    ("90s", 90),
    ("1h30m", 5400),
    ("7d", 604_800),
    ("45", 45),
    ("1.5h", 5400),
    ("250ms", 0.25),
]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_a_duration(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "m", "15 m", "-5m", "15x", "1h30", "1e3s"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="15m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["15m", "1h30m", "2d4h", "1m30s"])
def test_a_duration_is_shown_as_it_is_typed(text):
    assert short_duration(parse_duration(text)) == text


def test_a_moment_is_absolute_or_so_long_ago():
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert parse_moment("2026-03-01T09:30:00+01:00").resolve(now) == datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
    assert parse_moment("2h").resolve(now) == now - timedelta(hours=2)
    local = parse_moment("2026-03-01").resolve(now)
    assert local == datetime(2026, 3, 1).astimezone()
    with pytest.raises(ValueError, match="ago"):
        parse_moment("yesterday")


LINES = [
    ("TEA=2", Line("TEA", 2)),
    ("TEA=2:18.00", Line("TEA", 2, amount=1800)),
    ("TEA=2@berlin", Line("TEA", 2, location="berlin")),
    ("TEA=2@berlin:18.00", Line("TEA", 2, amount=1800, location="berlin")),
    ("TEA=2@dock:7:18.00", Line("TEA", 2, amount=1800, location="dock:7")),
    ("a=b@c:d=2:0.50", Line("a=b@c:d", 2, amount=50)),
    ("grüner Tee=1:3", Line("grüner Tee", 1, amount=300)),
    ("GIFT=1:-5.00", Line("GIFT", 1, amount=-500)),
]


@pytest.mark.parametrize(("text", "line"), LINES)
def test_a_line(text, line):
    assert parse_line(text, "EUR") == line


WRONG_LINES = ["TEA", "=2", "TEA=", "TEA=two", "TEA=2:cheap", "TEA=-1", "TEA=2@", "TEA=2:1,50", "TEA=2:1.555"]


@pytest.mark.parametrize("text", WRONG_LINES)
def test_what_is_no_line(text):
    with pytest.raises(ValueError, match=r"TEA=2@berlin:18\.00|decimals|is no amount"):
        parse_line(text, "EUR")


def test_an_item_may_have_a_sign():
    assert parse_item("TEA=-3@berlin") == StockQuantity("TEA", -3, "berlin")
    assert parse_item("TEA=+3") == StockQuantity("TEA", 3)
    with pytest.raises(ValueError, match="TEA=40@berlin"):
        parse_item("TEA:3")


def test_lines_to_cancel():
    assert parse_line_quantity("2") == ("2", 0)
    assert parse_line_quantity("2=1") == ("2", 1)
    for wrong in ("2=0", "2=x", "=1"):
        with pytest.raises(ValueError, match="LINE_ID=QUANTITY"):
            parse_line_quantity(wrong)


def test_adjustments_of_one_kind_are_numbered():
    first = parse_adjustment("discount=-2.00", "EUR", set())
    second = parse_adjustment("discount=-1", "EUR", {first.adjustment_id})
    assert (first.adjustment_id, first.kind, first.amount) == ("discount", AdjustmentKind.DISCOUNT, -200)
    assert (second.adjustment_id, second.amount) == ("discount-2", -100)
    with pytest.raises(ValueError, match="one of discount, tax"):
        parse_adjustment("gift=1", "EUR", set())


def test_a_pair_ends_its_key_at_the_first_sign():
    assert parse_pair("query=a=b") == ("query", "a=b")
    for wrong in ("a", "=b"):
        with pytest.raises(ValueError, match="KEY=VALUE"):
            parse_pair(wrong)
