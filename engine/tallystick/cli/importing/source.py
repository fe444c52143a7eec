"""The file: plain or gzip, read and mapped in one pass."""

from __future__ import annotations

import csv
import gc
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from tallystick.cli.importing.mapping import Plan, first_invoices, make_plan
from tallystick.cli.importing.rows import NotTheFormat, read_rows

_GZIP_MAGIC = b"\x1f\x8b"


def load_plan(path: Path, limit: int | None, progress: Callable[[int], None]) -> Plan:
    """Read a file. `progress` hears how far into it, in bytes. Raises a usage error for another format."""
    try:
        with path.open("rb") as file, _without_collector():
            return make_plan(first_invoices(read_rows(_lines(file, progress)), limit))
    except (NotTheFormat, csv.Error, UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise click.UsageError(f"{path} is not a file of the format: {problem}") from problem
    except OSError as problem:
        raise click.UsageError(f"{path} can't be read: {problem.strerror or problem}") from problem


def _lines(file: BinaryIO, progress: Callable[[int], None]) -> Iterator[str]:
    """Lines with their ends, as the csv module wants them: a field may hold a line break."""
    zipped = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    data: BinaryIO = gzip.GzipFile(fileobj=file) if zipped else file  # type: ignore[assignment]
    with io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as text:
        for number, line in enumerate(text):
            if number % 5_000 == 0:
                progress(file.tell())
            yield line


@contextmanager
def _without_collector() -> Iterator[None]:
    """Half a million tuples hold no cycles: looking for some again and again costs a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
