"""From rows to what is sent: an invoice is an order, a C-invoice cancels, the rest is reported. Pure.

Invariant, held by a property test: every row of the file ends as exactly one of an order line, a part of a
merged line, a cancellation, a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import NamedTuple

from tallystick.cli.importing.money import pence
from tallystick.cli.importing.rows import BadRow, Row
from tallystick.core.errors import InvalidField
from tallystick.core.limits import CELL_MAX, Limits
from tallystick.core.order.validate import check_id, check_text

LIMITS = Limits()

UNTRACKED = frozenset(
    ["POST", "DOT", "C2", "D", "M", "m", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK"],
)
"""Postage, carriage, discounts, manual entries, samples, bad debt and fees: lines that take no stock."""

# A cancellation's request id is its invoice, a hyphen and the line's place in it.
_CANCEL_INVOICE_MAX = LIMITS.order_id_bytes_max - 8


class Kind(StrEnum):
    """Why a row is reported instead of sent."""

    NEGATIVE = "negative"
    NO_PRICE = "no_price"
    ADJUSTMENT = "adjustment"
    NOTHING_CANCELLED = "nothing_cancelled"
    OTHER_CUSTOMER = "other_customer"
    BEYOND_LIMITS = "beyond_limits"
    MALFORMED = "malformed"


EXPLANATIONS = {
    Kind.NEGATIVE: "no positive quantity, and not in a cancellation: damage, loss, corrections",
    Kind.NO_PRICE: "no positive price: gifts, finds, write-offs",
    Kind.ADJUSTMENT: "an A-invoice: bad debt",
    Kind.NOTHING_CANCELLED: "in a cancellation, but takes nothing back",
    Kind.OTHER_CUSTOMER: "another customer than the rest of its invoice",
    Kind.BEYOND_LIMITS: "more than an order can carry",
    Kind.MALFORMED: "not a row of the format",
}


class Reported(NamedTuple):
    """A row that is not sent."""

    number: int
    kind: Kind
    fields: tuple[str, ...]
    detail: str = ""


class OrderLine(NamedTuple):
    """Rows of an invoice with one item and one price. Money in pence."""

    line_id: str
    sku: str
    quantity: int
    unit_price: int
    amount: int
    untracked: bool
    description: str


class PlannedOrder(NamedTuple):
    """An invoice to place. `seq` is its place among all invoices; an invoice may have two times."""

    seq: int
    id: str
    customer: str
    time: str
    last_time: str
    country: str
    lines: tuple[OrderLine, ...]

    @property
    def total(self) -> int:
        return sum(line.amount for line in self.lines)


class Cancellation(NamedTuple):
    """One line of a C-invoice: `units` of the item go back, of what the customer bought before."""

    seq: int
    request_id: str
    customer: str
    sku: str
    units: int
    row: Row


class CancelInvoice(NamedTuple):
    """A C-invoice: its lines, in the order of the file."""

    seq: int
    lines: tuple[Cancellation, ...]


@dataclass(repr=False)
class Plan:
    """What a file comes to. `events` are in the order of time, and of the file within one second."""

    rows: int = 0
    merged: int = 0
    events: list[PlannedOrder | CancelInvoice] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)

    @cached_property
    def orders(self) -> list[PlannedOrder]:
        return [event for event in self.events if isinstance(event, PlannedOrder)]

    @cached_property
    def cancellations(self) -> list[Cancellation]:
        return [line for event in self.events if isinstance(event, CancelInvoice) for line in event.lines]


def first_invoices(rows: Iterable[Row | BadRow], limit: int | None) -> Iterator[Row | BadRow]:
    """The rows of the first `limit` invoices of the file, wherever they stand; all if None."""
    seen: set[str] = set()
    for row in rows:
        if limit is None or (isinstance(row, Row) and row.invoice in seen):
            yield row
        elif len(seen) < limit:
            if isinstance(row, Row):
                seen.add(row.invoice)
            yield row


def make_plan(rows: Iterable[Row | BadRow]) -> Plan:
    """Sort every row of a file into what it is."""
    plan = Plan()
    invoices: dict[str, list[Row]] = {}
    for row in rows:
        plan.rows += 1
        if isinstance(row, BadRow):
            plan.reported.append(Reported(row.number, Kind.MALFORMED, row.fields, row.why))
        else:
            invoices.setdefault(row.invoice, []).append(row)
    # By the first row's time; the sort is stable, so invoices of one second stay as the file has them.
    ordered = sorted(invoices.values(), key=lambda lines: lines[0].time)
    for seq, lines in enumerate(ordered):
        _map_invoice(plan, seq, lines)
    plan.reported.sort()
    return plan


def _map_invoice(plan: Plan, seq: int, rows: Sequence[Row]) -> None:
    invoice = rows[0].invoice
    if invoice.startswith("A"):
        plan.reported += [Reported(row.number, Kind.ADJUSTMENT, row.fields) for row in rows]
    elif invoice.startswith("C"):
        _map_cancellation(plan, seq, rows)
    else:
        _map_order(plan, seq, rows)


def _map_cancellation(plan: Plan, seq: int, rows: Sequence[Row]) -> None:
    lines = []
    for position, row in enumerate(rows, 1):
        problem = _id_problem(row.invoice, _CANCEL_INVOICE_MAX)
        if row.quantity >= 0:
            plan.reported.append(Reported(row.number, Kind.NOTHING_CANCELLED, row.fields))
        elif problem:
            plan.reported.append(Reported(row.number, Kind.BEYOND_LIMITS, row.fields, problem))
        else:
            request_id = f"{row.invoice}-{position}"
            lines.append(Cancellation(seq, request_id, row.customer, row.sku, -row.quantity, row))
    if lines:
        plan.events.append(CancelInvoice(seq, tuple(lines)))


def _map_order(plan: Plan, seq: int, rows: Sequence[Row]) -> None:
    customer = next((row.customer for row in rows if row.customer), "")
    taken = []
    for row in rows:
        kind, detail = _row_problem(row, customer)
        if kind:
            plan.reported.append(Reported(row.number, kind, row.fields, detail))
        else:
            taken.append(row)
    lines = _merge(taken)
    problem = _order_problem(rows[0].invoice, customer, lines)
    if problem:
        plan.reported += [Reported(row.number, Kind.BEYOND_LIMITS, row.fields, problem) for row in taken]
    elif lines:
        time, last_time = taken[0].time, taken[-1].time
        country = next((row.country for row in taken if row.country), "")
        plan.merged += len(taken) - len(lines)
        plan.events.append(PlannedOrder(seq, rows[0].invoice, customer, time, last_time, country, lines))


def _row_problem(row: Row, customer: str) -> tuple[Kind | None, str]:
    if row.quantity <= 0:
        return Kind.NEGATIVE, ""
    if row.price <= 0:
        return Kind.NO_PRICE, ""
    if row.customer and row.customer != customer:
        return Kind.OTHER_CUSTOMER, f"the invoice is of customer {customer}"
    problem = _text_problem("the code", row.sku, LIMITS.sku_bytes_max)
    if not row.sku:
        problem = "there is no code"
    elif row.quantity > LIMITS.quantity_max:
        problem = f"more than {LIMITS.quantity_max} units in one line"
    elif pence(row.quantity, row.price) > CELL_MAX:
        problem = "more money than can be counted"
    return (Kind.BEYOND_LIMITS, problem) if problem else (None, "")


def _merge(rows: Sequence[Row]) -> tuple[OrderLine, ...]:
    """One line for each item and price: where they first stand. After a full line comes another."""
    lines: list[list[Row]] = []
    units: dict[tuple[str, Decimal], tuple[int, int]] = {}
    for row in rows:
        key = row.sku, row.price
        index, so_far = units.get(key, (-1, 0))
        if index < 0 or so_far + row.quantity > LIMITS.quantity_max:
            index, so_far = len(lines), 0
            lines.append([row])
        else:
            lines[index].append(row)
        units[key] = index, so_far + row.quantity
    return tuple([_line(str(place), group) for place, group in enumerate(lines, 1)])


def _line(line_id: str, rows: Sequence[Row]) -> OrderLine:
    _, _, sku, description, quantity, _, price, _, _ = rows[0]
    if len(rows) > 1:
        quantity = sum(row.quantity for row in rows)
        description = next((row.description for row in rows if row.description), "")
    amount = pence(quantity, price)
    return OrderLine(
        line_id, sku, quantity, pence(1, price), amount, sku in UNTRACKED, _description(description)
    )


def _order_problem(invoice: str, customer: str, lines: Sequence[OrderLine]) -> str:
    if len(lines) > LIMITS.lines_max:
        return f"an order of {len(lines)} lines; the most is {LIMITS.lines_max}"
    if sum(line.amount for line in lines) > CELL_MAX:
        return "an order of more money than can be counted"
    return _id_problem(invoice, LIMITS.order_id_bytes_max) or _text_problem(
        "the customer", customer, LIMITS.customer_bytes_max
    )


@lru_cache(1 << 12)
def _id_problem(invoice: str, size: int) -> str:
    try:
        check_id("the invoice number", invoice, LIMITS)
    except InvalidField as problem:
        return str(problem)
    return "" if len(invoice) <= size else f"an invoice number of more than {size} characters"


@lru_cache(1 << 14)
def _text_problem(name: str, text: str, size: int) -> str:
    try:
        check_text(name, text, size)
    except InvalidField as problem:
        return str(problem)
    return ""


@lru_cache(1 << 14)
def _description(text: str) -> str:
    """What a line may say: no control characters, no more bytes than allowed, never half a character."""
    clean = "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 else c for c in text).strip()
    return clean.encode()[: LIMITS.text_bytes_max].decode(errors="ignore").rstrip()
