"""Parsing: kept as written, and never dropped."""

from __future__ import annotations

import gzip
import io
from decimal import Decimal

import click
import pytest

from tallystick.cli.importing.rows import BadRow, NotTheFormat, Row, read_rows
from tallystick.cli.importing.source import load_plan
from tests.importing.files import file_text, row


def read(text: str) -> list[Row | BadRow]:
    return list(read_rows(io.StringIO(text, newline="")))


def test_a_row_is_read_as_it_is_written():
    (found,) = read(file_text([row("536365", "85123a", 6, "2.550", "17850.0", description="A, B\r\nC")]))
    assert found == Row(
        1,
        "536365",
        "85123a",
        "A, B\r\nC",
        6,
        "2010-12-01 08:26:00",
        Decimal("2.55"),
        "17850",
        "United Kingdom",
    )
    assert found.fields[5] == "2.550"


@pytest.mark.parametrize(
    ("written", "read_as"),
    [("17850.0", "17850"), ("17850", "17850"), ("", ""), ("A.0", "A.0"), ("1.05", "1.05")],
)
def test_a_customer_that_was_a_float_is_a_number_again(written, read_as):
    (found,) = read(file_text([row("1", "TEA", 1, customer=written)]))
    assert isinstance(found, Row)
    assert found.customer == read_as


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (("1", "TEA"), "2 columns"),
        (row("1", "TEA", "six"), "quantity"),
        (row("1", "TEA", "６"), "quantity"),
        (row("1", "TEA", 1, "1e9"), "price"),
        (row("1", "TEA", 1, "nan"), "price"),
        (row("1", "TEA", 1, time="1 Dec 2010"), "time"),
    ],
)
def test_what_is_no_row_says_why(fields, why):
    bad, good = read(file_text([fields, row("2", "TEA", 1)]))
    assert isinstance(bad, BadRow)
    assert bad.fields == fields
    assert why in bad.why
    assert good.number == 2


@pytest.mark.parametrize("text", ["", "InvoiceNo,StockCode\n", "a\n"])
def test_another_format_is_refused(text):
    with pytest.raises(NotTheFormat):
        read(text)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_read_plain_or_gzipped(tmp_path, packed):
    """By its first bytes, whatever it is called; a byte order mark is no part of the header."""
    data = b"\xef\xbb\xbf" + file_text([row("1", "TEA", 1, description="Café £5")]).encode()
    path = tmp_path / "orders"
    path.write_bytes(gzip.compress(data) if packed else data)
    plan = load_plan(path, None, lambda _: None)
    assert [line.description for line in plan.orders[0].lines] == ["Café £5"]


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"\x1f\x8b\x08 broken", "InvoiceNo,é".encode("latin-1")]
)
def test_what_is_no_such_file_is_a_usage_error(tmp_path, data):
    path = tmp_path / "orders"
    path.write_bytes(data)
    with pytest.raises(click.UsageError, match="not a file of the format"):
        load_plan(path, None, lambda _: None)


def test_a_limit_counts_invoices_wherever_their_rows_stand(tmp_path):
    path = tmp_path / "orders.csv"
    rows = [row("1", "TEA", 1), row("2", "TEA", 1), row("3", "TEA", 1), row("1", "CUP", 1)]
    path.write_text(file_text(rows), encoding="utf-8")
    plan = load_plan(path, 2, lambda _: None)
    assert [(order.id, len(order.lines)) for order in plan.orders] == [("1", 2), ("2", 1)]
