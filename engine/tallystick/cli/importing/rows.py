"""The rows of a file in the format of online-retail.csv. Pure: text in, rows out.

Codes and invoice numbers are kept as written: some differ only by case. Nothing is dropped: what can't be
read as a row comes out as a `BadRow`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_FLOAT_ID = re.compile(r"\d+\.0", re.ASCII)


class NotTheFormat(ValueError):
    """The file does not begin with the header of the format."""


class Row(NamedTuple):
    """One line of an invoice. `number` is its place among the rows of the file, from 1."""

    number: int
    invoice: str
    sku: str
    description: str
    quantity: int
    time: str
    price: Decimal
    customer: str
    country: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The eight columns again, as text."""
        _, invoice, sku, description, quantity, time, price, customer, country = self
        return invoice, sku, description, str(quantity), time, f"{price:f}", customer, country


class BadRow(NamedTuple):
    """What stands in the file, but is no row of the format: `why` says what is wrong with it."""

    number: int
    fields: tuple[str, ...]
    why: str


def read_rows(lines: Iterable[str]) -> Iterator[Row | BadRow]:
    """Parse a file's lines, its header first. Raises NotTheFormat."""
    reader = csv.reader(lines)
    header = next(reader, [])
    if tuple(header) != COLUMNS:
        raise NotTheFormat(f"the first line must be {','.join(COLUMNS)}, not {','.join(header) or 'empty'}")
    # Few texts come many times: one object for each saves most of the memory of half a million rows.
    shared: dict[str, str] = {}
    share = shared.setdefault
    for number, fields in enumerate(filter(None, reader), 1):
        yield _read_row(number, [share(field, field) for field in fields])


def _read_row(number: int, fields: list[str]) -> Row | BadRow:
    if len(fields) != len(COLUMNS):
        return BadRow(number, tuple(fields), f"has {len(fields)} columns instead of {len(COLUMNS)}")
    invoice, sku, description, quantity, time, price, customer, country = fields
    units, unit_price = _integer(quantity), _decimal(price)
    if units is None:
        return BadRow(number, tuple(fields), "its quantity is not a whole number")
    if unit_price is None:
        return BadRow(number, tuple(fields), "its price is not a number")
    if not _TIME.fullmatch(time):
        return BadRow(number, tuple(fields), "its time is not like 2010-12-01 08:26:00")
    return Row(number, invoice, sku, description, units, time, unit_price, _customer(customer), country)


@lru_cache(1 << 16)
def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?\d{1,15}", text, re.ASCII) else None


@lru_cache(1 << 16)
def _decimal(text: str) -> Decimal | None:
    """A price; an exponent or a thousand digits is not one."""
    return Decimal(text) if re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", text, re.ASCII) else None


@lru_cache(1 << 16)
def _customer(text: str) -> str:
    """Customer ids that went through a float: `17850.0` is 17850."""
    return text[:-2] if _FLOAT_ID.fullmatch(text) else text
