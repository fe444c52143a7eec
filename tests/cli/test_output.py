"""What is printed: JSON that programs can rely on, tables that line up and can't steer a terminal."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tallystick.cli.order.show import echo_order
from tallystick.cli.output import column, echo_fields, echo_table, number, plain, printable, size
from tallystick.client.values.order import (
    Address,
    Adjustment,
    AdjustmentKind,
    Allocation,
    Conflict,
    Details,
    Line,
    Order,
    OrderState,
)

PLACED = datetime(2026, 3, 1, 8, 30, 0, 123456, tzinfo=UTC)

ORDER = Order(
    id="o-1",
    currency="EUR",
    customer="ada",
    lines=[
        Line("TEA", 2, amount=1800, line_id="1", allocations=(Allocation("", "eu", 2),)),
        Line("POSTAGE", 1, amount=495, line_id="2", untracked=True),
    ],
    adjustments=[Adjustment("discount", AdjustmentKind.DISCOUNT, -200)],
    total=2095,
    hold=timedelta(minutes=15),
    details=Details(
        note="two\nlines\x1b[31m", tags={"b", "a"}, shipping_address=Address(name="Ada", city="Berlin")
    ),
    state=OrderState.CONFIRMED,
    place_time=PLACED,
    conflicts=(Conflict(kind="BODY_MISMATCH", description="placed twice", claims=("a/1", "b/2")),),
)


def test_json_has_every_field_in_a_stable_form():
    told = json.loads(json.dumps(plain(ORDER)))
    assert list(told)[:5] == ["currency", "lines", "id", "customer", "adjustments"]
    assert told["total"] == 2095
    assert told["state"] == "confirmed"
    assert told["hold"] == "900s"
    assert told["place_time"] == "2026-03-01T08:30:00.123456Z"
    assert told["update_time"] is None
    assert told["details"]["tags"] == ["a", "b"]
    assert told["details"]["billing_address"] is None
    assert told["lines"][0]["allocations"] == [{"location": "", "region": "eu", "quantity": 2}]
    assert plain(b"\x00\xff") == "AP8="
    assert plain(timedelta(days=30)) == "2592000s"
    assert plain(timedelta(milliseconds=1500)) == "1.5s"


def test_what_has_no_form_in_json_is_a_bug():
    with pytest.raises(TypeError, match="object"):
        plain(object())


def test_tables_line_up_and_end_where_their_text_ends(capsys):
    echo_table([column("item"), number("on hand")], [("TEA", 5), ("Grüner Tee", 12_000), ("茶", 1)])
    assert capsys.readouterr().out.splitlines() == [
        "ITEM        ON HAND",
        "TEA               5",
        "Grüner Tee    12000",
        "茶                1",
    ]


def test_off_a_terminal_rows_are_neither_coloured_nor_folded(capsys):
    echo_table([column("note")], [("x" * 500,)])
    out = capsys.readouterr().out
    assert out.splitlines()[1] == "x" * 500
    assert "\x1b" not in out


def test_markup_is_text(capsys):
    echo_table([column("item")], [("[bold]TEA[/bold]",)])
    assert "[bold]TEA[/bold]" in capsys.readouterr().out


def test_fields_leave_out_what_is_empty(capsys):
    echo_fields([("name", "ada"), ("note", ""), ("count", 0), ("held until", None)])
    assert capsys.readouterr().out.splitlines() == ["name:   ada", "count:  0"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("a\nb", "a␊b"), ("\x1b[2J", "␛[2J"), ("\x7f", "␡"), ("\x9b2J", "\\u009b2J")],
)
def test_control_characters_are_pictures(text, shown):
    assert printable(text) == shown


def test_an_order_for_people(capsys):
    echo_order(ORDER)
    out = capsys.readouterr().out
    assert "total:     20.95 EUR" in out
    assert f"placed:    {PLACED.astimezone().isoformat(sep=' ', timespec='seconds')}" in out
    assert "ship to:   Ada, Berlin" in out
    assert "note:      two␊lines␛[31m" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["LINE", "ITEM", "LOCATION", "QUANTITY", "FROM", "AMOUNT"] in rows
    assert ["1", "TEA", "2", "2", "eu", "18.00", "EUR"] in rows
    assert ["2", "POSTAGE", "(no", "stock)", "1", "4.95", "EUR"] in rows
    assert ["discount", "discount", "-2.00", "EUR"] in rows
    assert "conflict BODY_MISMATCH: placed twice (a/1, b/2)" in out


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (64 << 30, "64.0 GiB"), (2 << 40, "2.0 TiB")],
)
def test_sizes(count, shown):
    assert size(count) == shown
