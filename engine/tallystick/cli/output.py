"""What commands print: tables for people, JSON for programs. Nothing else in the CLI knows how it looks."""

from __future__ import annotations

import base64
import enum
import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_WIDE = 100_000  # columns that no row reaches: a terminal that is narrower wraps them itself


class Format(enum.StrEnum):
    """`-o`: what an answer is printed as."""

    TABLE = "table"
    JSON = "json"
    """One document."""
    JSONL = "jsonl"
    """Each record on a line, as it comes."""


class Column(NamedTuple):
    """A column of a table. Numbers go to the right; an optional one is left out where no row fills it."""

    title: str
    right: bool = False
    optional: bool = False


def column(title: str, *, optional: bool = False) -> Column:
    return Column(title, optional=optional)


def number(title: str, *, optional: bool = False) -> Column:
    return Column(title, right=True, optional=optional)


# ----------------------------------------------------------------------------------------------------- JSON


def plain(value: object) -> Json:
    """A value of the SDK as JSON holds it: every field, also those that are empty.

    Names are the contract's in snake_case, integers are integers, times RFC 3339 in UTC, durations seconds
    ("900s"), bytes base64, enumerations their lower-case words, sets sorted lists.
    """
    if isinstance(value, msgspec.Struct):
        return dict(plain_fields(value))
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
    return _plain_collection(value)


def _plain_collection(value: object) -> Json:
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, AbstractSet):
        return [plain(item) for item in sorted(value)]
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def plain_fields(value: msgspec.Struct) -> dict[str, Json]:
    """A record as a JSON object."""
    return {name: plain(getattr(value, name)) for name in value.__struct_fields__}


def encode_json(value: Json, *, indent: bool = True) -> str:
    """JSON text. Characters beyond ASCII stay as they are where the output can carry them."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return json.dumps(value, indent=2 if indent else None, ensure_ascii=encoding != "utf8")


def echo_json(value: Json, chosen: Format, *, err: bool = False) -> None:
    """Print one document: indented as JSON, on one line as JSONL."""
    click.echo(encode_json(value, indent=chosen is Format.JSON), err=err)


# --------------------------------------------------------------------------------------------------- tables


def printable(text: str) -> str:
    """Text that can't steer a terminal: control characters, as a note may hold them, show as ␊, ␛, …"""
    if text.isprintable():
        return text
    return "".join(_picture(sign) for sign in text)


def _picture(sign: str) -> str:
    if sign.isprintable() or sign == " ":
        return sign
    point = ord(sign)
    if point < 0x20:
        return chr(0x2400 + point)
    return "␡" if point == 0x7F else f"\\u{point:04x}" if unicodedata.category(sign) != "Zs" else " "


def echo_table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, err: bool = False) -> None:
    """Print rows under their titles. Columns line up, and no row is folded: what is copied is whole."""
    cells = [[_cell(value) for value in row] for row in rows]
    shown = [at for at, each in enumerate(columns) if not each.optional or any(row[at] for row in cells)]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for at in shown:
        table.add_column(columns[at].title.upper(), justify="right" if columns[at].right else "left")
    for row in cells:
        table.add_row(*(Text(row[at]) for at in shown))
    _echo(table, err=err)


def echo_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line, leaving out what is empty."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    for name, value in fields:
        if value not in ("", None):
            table.add_row(f"{name}:", Text(_cell(value)))
    _echo(table)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return local_time(value)
    return "" if value is None else printable(str(value))


def _echo(table: Table, *, err: bool = False) -> None:
    console = Console(file=sys.stderr if err else sys.stdout, width=_WIDE, highlight=False)
    with console.capture() as paper:
        console.print(table)
    for line in paper.get().splitlines():
        click.echo(line.rstrip(), err=err)


def local_time(moment: datetime | None) -> str:
    """A time where the reader lives, with its zone: 2026-03-01 09:30:00+01:00."""
    return moment.astimezone().isoformat(sep=" ", timespec="seconds") if moment else ""


def short_duration(length: timedelta) -> str:
    """ "1h30m", as people write it and `parse_duration` reads it."""
    seconds = round(length.total_seconds())
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def rough_length(seconds: float) -> str:
    """A length of time in one unit, as precise as a person needs it: 45s, 12m, 7h, 30d."""
    for unit, length, most in (("s", 1, 120), ("m", 60, 120), ("h", 3_600, 48)):
        if seconds < length * most:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds / 86_400:,.0f}d"


def size(count: int) -> str:
    """Bytes in the largest unit that fits: 1.5 GiB."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def note(text: str) -> None:
    """Tell the person beside the answer, never within it."""
    click.echo(printable(text), err=True)
