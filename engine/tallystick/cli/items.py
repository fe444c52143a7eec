"""Items, lines and adjustments as people type them. Each function raises ValueError with advice."""

from __future__ import annotations

import re

from tallystick.cli.money import parse_amount
from tallystick.cli.parsing import parse_pair
from tallystick.client.values.order import Adjustment, AdjustmentKind, Line
from tallystick.client.values.stock import StockQuantity

# The last "=" of a word ends the sku, so a sku may hold any of the signs.
_ITEM = re.compile(r"(?P<sku>.+)=(?P<quantity>[+-]?\d{1,16})(?:@(?P<location>[^=]+))?", re.ASCII)
_LINE = re.compile(
    r"(?P<sku>.+)=(?P<quantity>\d{1,16})(?:@(?P<location>[^=]+?))?(?::(?P<amount>-?[\d.,]+))?", re.ASCII
)


def parse_item(text: str) -> StockQuantity:
    """ "SKU=QTY[@LOCATION]"; the quantity may have a sign."""
    found = _ITEM.fullmatch(text)
    if not found:
        raise ValueError(
            f"{text!r} is no item: write SKU=QUANTITY or SKU=QUANTITY@LOCATION, as TEA=40@berlin"
        )
    return StockQuantity(found["sku"], int(found["quantity"]), found["location"] or "")


def parse_line(text: str, currency: str, *, untracked: bool = False) -> Line:
    """ "SKU=QTY[@LOCATION][:AMOUNT]": the amount is what the whole line costs, in major units."""
    found = _LINE.fullmatch(text)
    if not found:
        raise ValueError(
            f"{text!r} is no line: write SKU=QUANTITY, SKU=QUANTITY:AMOUNT or SKU=QUANTITY@LOCATION:AMOUNT, "
            "as TEA=2@berlin:18.00"
        )
    return Line(
        found["sku"],
        int(found["quantity"]),
        amount=parse_amount(found["amount"], currency) if found["amount"] else 0,
        location=found["location"] or "",
        untracked=untracked,
    )


def parse_line_quantity(text: str) -> tuple[str, int]:
    """ "LINE_ID" is all that is left of a line (0), "LINE_ID=QTY" so many units."""
    line_id, sign, quantity = text.rpartition("=")
    if not sign:
        return text, 0
    if not line_id or not re.fullmatch(r"[1-9]\d{0,15}", quantity, re.ASCII):
        raise ValueError(f"{text!r} is no line: write LINE_ID for all of it, or LINE_ID=QUANTITY, as 2=1")
    return line_id, int(quantity)


def parse_adjustment(text: str, currency: str, taken: set[str]) -> Adjustment:
    """ "KIND=AMOUNT", as discount=-2.00. Its id is the kind, numbered where one of `taken` has it."""
    word, amount = parse_pair(text)
    kinds = [kind.value for kind in AdjustmentKind if kind is not AdjustmentKind.UNKNOWN]
    if word not in kinds:
        raise ValueError(f"{word!r} is no kind of adjustment: one of {', '.join(kinds)}")
    number = 1 + sum(name.partition("-")[0] == word for name in taken)
    name = word if number == 1 else f"{word}-{number}"
    return Adjustment(name, AdjustmentKind(word), parse_amount(amount, currency))
