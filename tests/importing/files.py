"""Small files in the format of online-retail.csv: by hand, and as Hypothesis makes them."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Sequence

from hypothesis import strategies as st

from tallystick.cli.importing.mapping import Plan, make_plan
from tallystick.cli.importing.rows import COLUMNS, read_rows

Fields = tuple[str, ...]


def row(
    invoice: str,
    sku: str,
    quantity: int | str,
    price: str = "1.00",
    customer: str = "17850.0",
    *,
    time: str = "2010-12-01 08:26:00",
    description: str = "A THING",
    country: str = "United Kingdom",
) -> Fields:
    return invoice, sku, description, str(quantity), time, price, customer, country


def file_text(rows: Sequence[Fields]) -> str:
    """The text of a file, header first."""
    paper = io.StringIO(newline="")
    csv.writer(paper).writerows([COLUMNS, *rows])
    return paper.getvalue()


def plan_of(*rows: Fields) -> Plan:
    return make_plan(read_rows(io.StringIO(file_text(rows), newline="")))


# Few names, so that invoices meet: cancellations find orders, items run short, codes differ by case alone.
_INVOICES = st.sampled_from(["1", "2", "3", "4", "5", "6", "C7", "C8", "C9", "C10", "A11", "no good"])
_SKUS = st.sampled_from(["85123A", "85123a", "TEA", "POST", "D", "M", "m", "", "x" * 129])
_PRICES = st.sampled_from(["1.00", "1.0", "2.55", "0.001", "0.025", "0", "-3.10", "11062.06"])
_CUSTOMERS = st.sampled_from(["", "17850.0", "12347", "12348"])
_MINUTES = st.integers(0, 5).map(lambda minute: f"2010-12-01 08:{minute:02}:00")


@st.composite
def good_rows(draw: st.DrawFn) -> Fields:
    """A row of the format, sensible or not."""
    invoice = draw(_INVOICES)
    quantity = draw(st.integers(-6, 12) | st.sampled_from([999_999, 1_000_000, 1_000_001]))
    if invoice.startswith("C"):
        quantity = draw(st.integers(-15, 0))
    return row(invoice, draw(_SKUS), quantity, draw(_PRICES), draw(_CUSTOMERS), time=draw(_MINUTES))


BAD_ROWS = st.sampled_from(
    [
        ("1", "TEA"),
        (*row("1", "TEA", 1), "more"),
        row("1", "TEA", "many"),
        row("1", "TEA", "1.5"),
        row("1", "TEA", 1, "1e3"),
        row("1", "TEA", 1, time="12/1/2010 8:26"),
    ]
)

FILES = st.lists(good_rows() | BAD_ROWS, max_size=40)
"""Anything that may stand in a file."""


def shop_rows(seed: int) -> list[Fields]:
    """A file that is all orders and cancellations of few items: much is short, much is cancelled again.

    Drawn from a seed: rows that Hypothesis picks one by one rarely come to a shop where sequence matters.
    """
    chance = random.Random(seed)
    rows = []
    for minute in range(chance.randrange(10, 50)):
        customer = chance.choice(["", "12347", "12347", "12348"])
        cancels = chance.random() < 0.4
        for sku in chance.sample(["TEA", "tea", "CUP", "POST"], chance.choice([1, 1, 2])):
            quantity = -chance.randrange(1, 12) if cancels else chance.randrange(1, 9)
            name, price = f"{'C' * cancels}{minute}", chance.choice(["1.00", "2.55"])
            rows.append(row(name, sku, quantity, price, customer, time=f"2010-12-01 08:{minute:02}:00"))
    return rows


SHOPS = st.integers(0, 1 << 32).map(shop_rows)
