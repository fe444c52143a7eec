"""Checks of what callers send, before anything is looked up. Each refusal names the field and the limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tallystick.core.errors import InvalidField
from tallystick.core.limits import CELL_MAX, Limits
from tallystick.core.order.facts import (
    Adjustment,
    AdjustmentKind,
    Body,
    ConfirmWhen,
    Line,
    LineQuantities,
    ShortageMode,
)

_ID = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs: no UTF-8 has those."""
_CURRENCY = re.compile("[A-Z]{3}", re.ASCII)
_CONFIRM_WHEN = {0, *ConfirmWhen}
_SHORTAGE_MODE = {0, *ShortageMode}
_ADJUSTMENT_KIND = frozenset(AdjustmentKind)
_MULTILINE = str.maketrans("", "", "\n\r\t")

ADDRESS_FIELDS = ("name", "organization", "street", "city", "region", "postal_code", "country")
DETAIL_KEYS = frozenset(
    ["email", "phone", "note"]
    + [f"{kind}_address.{field}" for kind in ("shipping", "billing") for field in ADDRESS_FIELDS]
)
"""The flat keys of an order's details, beside `tags.…` and `attributes.…`."""
DETAIL_GROUPS = frozenset({"tags.", "attributes.", "shipping_address.", "billing_address."})
"""What begins keys that can be replaced together."""


def check_id(field: str, value: str, limits: Limits) -> None:
    """An id of the caller's: 1 to 64 of [A-Za-z0-9._~-]."""
    if len(value) > limits.order_id_bytes_max or not _ID.fullmatch(value):
        raise InvalidField(field, f"must be 1 to {limits.order_id_bytes_max} of [A-Za-z0-9._~-]")


def check_text(field: str, value: str, size: int, *, lines: bool = False) -> None:
    """UTF-8 of at most `size` bytes without control characters (line breaks and tabs aside if `lines`)."""
    if len(value) * 4 > size and len(value.encode("utf-8", "surrogatepass")) > size:
        raise InvalidField(field, f"is longer than {size} bytes of UTF-8")
    if value and _CONTROL.search(value.translate(_MULTILINE) if lines else value):
        raise InvalidField(field, "has control characters")


def is_plain(text: str, size: int) -> bool:
    """One cheap look that almost every text passes: certainly at most `size` bytes of UTF-8 without control
    characters, and so is each part of it. False says nothing; `check_text` knows the exact limits."""
    return (len(text) if text.isascii() else 4 * len(text)) <= size and text.isprintable()


def check_item(field: str, sku: str, location: str, limits: Limits) -> None:
    """A stock item's name."""
    if not sku:
        raise InvalidField(f"{field}.sku", "is missing")
    check_text(f"{field}.sku", sku, limits.sku_bytes_max)
    check_text(f"{field}.location", location, limits.location_bytes_max)


def check_hold(field: str, hold_ms: int, limits: Limits) -> None:
    """A hold's length; 0 stands for the default."""
    if hold_ms and not limits.hold_ms_min <= hold_ms <= limits.hold_ms_max:
        raise InvalidField(
            field, f"must be {limits.hold_ms_min // 1000} s to {limits.hold_ms_max // 86_400_000} days"
        )


def check_line_quantities(lines: LineQuantities, limits: Limits) -> None:
    """Lines and units of a cancellation."""
    if len(lines) > limits.lines_max:
        raise InvalidField("lines", f"are more than {limits.lines_max}")
    if len({line_id for line_id, _ in lines}) < len(lines):
        raise InvalidField("lines", "name a line twice")
    for line_id, units in lines:
        check_text("lines.line_id", line_id, limits.line_id_bytes_max)
        if not 0 <= units <= limits.quantity_max:
            raise InvalidField("lines.quantity", f"must be 0 to {limits.quantity_max}")


def check_details(field: str, details: Mapping[str, str | None], limits: Limits) -> None:
    """Flat details: known keys, and no more tags, attributes and bytes than allowed."""
    if details.keys() <= DETAIL_KEYS and is_plain(
        "".join(filter(None, details.values())), limits.text_bytes_max
    ):
        return
    counts = {"tags": 0, "attributes": 0}
    for key, value in details.items():
        group, dot, name = key.partition(".")
        if group in counts and dot:
            counts[group] += 1
            if not name:
                raise InvalidField(f"{field}.{group}", "has an empty name")
            check_text(f"{field}.{group}", name, limits.line_id_bytes_max)
        elif key not in DETAIL_KEYS:
            raise InvalidField(f"{field}.{key}", "is not a field of details")
        check_text(f"{field}.{key}", value or "", limits.text_bytes_max, lines=key == "note")
    if counts["tags"] > limits.tags_max or counts["attributes"] > limits.attributes_max:
        raise InvalidField(
            field, f"has more than {limits.tags_max} tags or {limits.attributes_max} attributes"
        )


def check_groups(field: str, groups: Iterable[str]) -> None:
    """Groups of details that an edit replaces whole."""
    for group in groups:
        if group not in DETAIL_GROUPS:
            raise InvalidField(field, f"names {group!r}, which is no group of details")


def check_body(body: Body, limits: Limits) -> int:
    """All that a caller says when placing; answers what it costs, in minor units."""
    lines, customer = body.lines, body.customer
    if not 0 < len(lines) <= limits.lines_max:
        raise InvalidField("order.lines", f"must be 1 to {limits.lines_max}, not {len(lines)}")
    quantity_max = limits.quantity_max
    names_max = min(limits.sku_bytes_max, limits.line_id_bytes_max, limits.location_bytes_max)
    total = 0
    for line in lines:
        sku, line_id, amount = line.sku, line.line_id, line.amount
        if not (
            sku
            and line_id
            and 0 < line.quantity <= quantity_max
            and 0 <= amount <= CELL_MAX
            and 0 <= line.unit_price <= CELL_MAX
            and not line.description
            and is_plain(sku + line_id + line.location, names_max)
        ):
            _check_line(line, limits)
        total += amount
    if len(lines) > 1 and len({line.line_id for line in lines}) < len(lines):
        raise InvalidField("order.lines.line_id", "is not unique in the order")
    if not _CURRENCY.fullmatch(body.currency):
        raise InvalidField("order.currency", "must be three capital letters, as ISO 4217 has them")
    if not is_plain(customer, limits.customer_bytes_max):
        check_text("order.customer", customer, limits.customer_bytes_max)
    if body.confirm_when or body.hold_ms or body.shortage_mode:
        _check_choices(body, limits)
    if body.adjustments:
        total += _check_adjustments(body.adjustments, limits)
    if body.details:
        check_details("order.details", body.details, limits)
    if not 0 <= total <= CELL_MAX:
        raise InvalidField("order.total", f"adds up to {total}: must be 0 to {CELL_MAX}")
    return total


def _check_line(line: Line, limits: Limits) -> None:
    name = f"order.lines[{line.line_id[:64]}]"
    if not 0 < line.quantity <= limits.quantity_max:
        raise InvalidField(f"{name}.quantity", f"must be 1 to {limits.quantity_max}, not {line.quantity}")
    if not line.line_id:
        raise InvalidField("order.lines.line_id", "is missing")
    if not (0 <= line.amount <= CELL_MAX and 0 <= line.unit_price <= CELL_MAX):
        raise InvalidField(
            f"{name}.amount", f"and unit_price must be 0 to {CELL_MAX}; discounts are adjustments"
        )
    check_text("order.lines.line_id", line.line_id, limits.line_id_bytes_max)
    check_item(name, line.sku, line.location, limits)
    check_text(f"{name}.description", line.description, limits.text_bytes_max)


def _check_choices(body: Body, limits: Limits) -> None:
    if body.confirm_when not in _CONFIRM_WHEN:
        raise InvalidField("order.confirm_when", f"has the unknown value {body.confirm_when}")
    if body.shortage_mode not in _SHORTAGE_MODE:
        raise InvalidField("order.shortage_mode", f"has the unknown value {body.shortage_mode}")
    check_hold("order.hold", body.hold_ms, limits)


def _check_adjustments(adjustments: Sequence[Adjustment], limits: Limits) -> int:
    """Answers what they add up to."""
    seen: set[str] = set()
    total = 0
    for adjustment in adjustments:
        name, description, amount = adjustment.adjustment_id, adjustment.description, adjustment.amount
        if not is_plain(name, limits.line_id_bytes_max):
            check_text("order.adjustments.adjustment_id", name, limits.line_id_bytes_max)
        if not name or name in seen:
            raise InvalidField("order.adjustments.adjustment_id", "is missing or not unique in the order")
        seen.add(name)
        if adjustment.kind not in _ADJUSTMENT_KIND:
            raise InvalidField("order.adjustments.kind", f"has the unknown value {adjustment.kind}")
        if not -CELL_MAX <= amount <= CELL_MAX:
            raise InvalidField("order.adjustments.amount", f"is beyond ±{CELL_MAX}")
        if description:
            check_text("order.adjustments.description", description, limits.text_bytes_max)
        total += amount
    if len(adjustments) > limits.adjustments_max:
        raise InvalidField("order.adjustments", f"are more than {limits.adjustments_max}")
    return total
