"""What commands print: tables for people, JSON for programs. Nothing else in the CLI knows how it looks."""

from __future__ import annotations

import base64
import enum
import io
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

_WIDE = 100_000  # off a terminal no row is folded: what reads it splits by lines


class Format(enum.StrEnum):
    """`-o`: what an answer is printed as."""

    TABLE = "table"
    JSON = "json"
    """One document."""
    JSONL = "jsonl"
    """Each record on a line, as it comes."""


class Column(NamedTuple):
    """A column of a table; numbers go to the right."""

    title: str
    right: bool = False


def column(title: str) -> Column:
    return Column(title)


def number(title: str) -> Column:
    return Column(title, right=True)


# ----------------------------------------------------------------------------------------------------- JSON


def plain(value: object) -> Json:
    """A value of the SDK as JSON holds it: every field, also those that are empty.

    Names are the contract's in snake_case, integers are integers, times RFC 3339 in UTC, durations seconds
    ("900s"), bytes base64, enumerations their lower-case words, sets sorted lists.
    """
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
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
    """Print rows under their titles. Columns line up; on a terminal long cells fold, elsewhere never."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for each in columns:
        justify = "right" if each.right else "left"
        table.add_column(each.title.upper(), justify=justify, overflow="fold", no_wrap=each.right)
    for row in rows:
        table.add_row(*(Text(printable(_cell(cell))) for cell in row))
    _echo(table, err=err)


def echo_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line, leaving out what is empty."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields:
        if value not in ("", None):
            table.add_row(f"{name}:", Text(printable(_cell(value))))
    _echo(table)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return local_time(value)
    return "" if value is None else str(value)


def _echo(table: Table, *, err: bool = False) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        Console(file=stream, highlight=False).print(table)
        return
    paper = io.StringIO()
    Console(file=paper, width=_WIDE, color_system=None, highlight=False).print(table)
    for line in paper.getvalue().splitlines():
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
