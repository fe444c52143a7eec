"""What people type, as values: durations, times, items, lines, pairs. Each raises ValueError with advice."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tallystick.client.values.order import Adjustment, AdjustmentKind, Line
from tallystick.client.values.stock import StockQuantity
from tallystick.cli.money import parse_amount

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)", re.ASCII)

# The last "=" of a word ends the sku, so a sku may hold any of the signs.
_ITEM = re.compile(r"(?P<sku>.+)=(?P<quantity>[+-]?\d{1,16})(?:@(?P<location>[^=]+))?", re.ASCII)
_LINE = re.compile(
    r"(?P<sku>.+)=(?P<quantity>\d{1,16})(?:@(?P<location>[^=]+?))?(?::(?P<amount>-?[\d.,]+))?", re.ASCII
)


class Moment(NamedTuple):
    """A moment of a filter: absolute, or so long before now."""

    at: datetime | None
    ago: timedelta

    def resolve(self, now: datetime) -> datetime:
        return self.at if self.at is not None else now - self.ago


def parse_duration(text: str) -> timedelta:
    """ "15m", "90s", "1h30m", "250ms", "7d"; a plain number is seconds."""
    text = text.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", text, re.ASCII):
        text += "s"
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration: write 90s, 15m, 1h30m or 7d")
    return timedelta(milliseconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


def parse_moment(text: str) -> Moment:
    """An ISO 8601 date or time (local where it names no zone), or a duration: that long ago."""
    if _DURATION.match(text):
        return Moment(None, parse_duration(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: write 2026-03-01, 2026-03-01T09:30, 2026-03-01T09:30:00+01:00, or 2h (ago)"
        ) from None
    return Moment(moment.astimezone(UTC), timedelta())


def parse_pair(text: str) -> tuple[str, str]:
    """ "KEY=VALUE" at the first "="."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise ValueError(f"{text!r} is no pair: write KEY=VALUE")
    return key, value


def parse_item(text: str) -> StockQuantity:
    """ "SKU=QTY[@LOCATION]"; the quantity may have a sign."""
    found = _ITEM.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no item: write SKU=QUANTITY or SKU=QUANTITY@LOCATION, as TEA=40@berlin")
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
