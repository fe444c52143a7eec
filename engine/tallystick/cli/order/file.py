"""Orders in files: one JSON document, an array of them, or one a line (JSON lines).

A document has the form that `tally order get -o json` prints, whole or its "order" alone; what is the
engine's answer in it (state, times, allocations) is passed over. Amounts are integers of minor units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from tallystick.cli.parsing import parse_duration
from tallystick.client.values import order as values

_ANSWERS: dict[type[msgspec.Struct], frozenset[str]] = {
    values.Order: frozenset(
        {"state", "place_time", "update_time", "hold_expire_time", "payment", "claims", "conflicts", "etag"}
    ),
    values.Line: frozenset(
        {
            "allocations",
            "cancelled_quantity",
            "released_quantity",
            "shipped_quantity",
            "returned_quantity",
        }
    ),
    values.Adjustment: frozenset(),
    values.Details: frozenset(),
    values.Address: frozenset(),
}
"""Each record of a document, and which of its fields nobody can ask for."""

_NESTED: dict[str, type[msgspec.Struct]] = {
    "lines": values.Line,
    "adjustments": values.Adjustment,
    "details": values.Details,
    "shipping_address": values.Address,
    "billing_address": values.Address,
}


class Entry(NamedTuple):
    """One order of a file, or what is wrong with it. `number`: of its line, or in its array, from 1."""

    number: int
    order: values.Order | None
    problem: str = ""
    named: bool = True
    """Whether the file gives the order its id. One that is drawn is another when the file is sent again."""


def read_orders(lines: Iterable[str], id_prefix: str = "") -> Iterator[Entry]:
    """The orders of a file, one by one as its lines come, if it has one a line.

    An order without an id is named by prefix and number if there is a prefix.
    """
    for number, document in _documents(lines):
        if isinstance(document, Entry):
            yield document
            continue
        order = _unwrapped(document)
        if id_prefix and isinstance(order, dict) and not order.get("id"):
            order = {**order, "id": f"{id_prefix}{number}"}
        try:
            yield Entry(number, parse_order(order), named=bool(order.get("id")))
        except ValueError as error:
            yield Entry(number, None, str(error))


def parse_order(document: object) -> values.Order:
    """An order from decoded JSON. Raises ValueError that names the field."""
    if not isinstance(document, dict):
        raise ValueError("an order is a JSON object")
    asked = _asked(document, values.Order, "")
    for required in ("currency", "lines"):
        if not asked.get(required):
            raise ValueError(f"{required} is missing")
    if isinstance(asked.get("hold"), str | int):
        asked["hold"] = parse_duration(str(asked["hold"]))
    return msgspec.convert(asked, values.Order)


def _documents(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """Numbered documents; a line that is no JSON comes as an Entry that says so."""
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    first_number, first = next(numbered, (0, ""))
    if not first:
        return
    try:
        yield first_number, msgspec.json.decode(first)
    except msgspec.DecodeError:  # not one a line: then it is one document over many
        yield from _whole("".join([first, *(line for _, line in numbered)]))
        return
    for number, line in numbered:
        try:
            yield number, msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            yield number, Entry(number, None, f"is no JSON: {error}")


def _whole(text: str) -> Iterator[tuple[int, Any]]:
    try:
        document = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        yield 1, Entry(1, None, f"is no JSON: {error}")
        return
    yield from enumerate(document if isinstance(document, list) else [document], 1)


def _unwrapped(document: Any) -> Any:
    """The order within an answer of `tally order`."""
    if isinstance(document, dict) and "order" in document and document.keys() <= {"order", "write"}:
        return document["order"]
    return document


def _asked(document: dict[str, Any], kind: type[msgspec.Struct], path: str) -> dict[str, Any]:
    """The caller's part of a record. Raises ValueError for a name that isn't there: a typo must not pass."""
    asked: dict[str, Any] = {}
    for name, value in document.items():
        if name not in kind.__struct_fields__:
            raise ValueError(f"{path}{name} is no field of an order")
        if name in _ANSWERS[kind]:
            continue
        nested = _NESTED.get(name)
        if nested and isinstance(value, list):
            value = [
                _asked(each, nested, f"{path}{name}[{index}].") if isinstance(each, dict) else each
                for index, each in enumerate(value)
            ]
        elif nested and isinstance(value, dict):
            value = _asked(value, nested, f"{path}{name}.")
        asked[name] = value
    return asked
