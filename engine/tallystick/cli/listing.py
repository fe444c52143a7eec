"""Long lists: read page by page through the SDK, printed as they come or as one document."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TypeVar

import click
import msgspec

from tallystick.cli.options import Call
from tallystick.cli.output import Format, echo_json, note, plain
from tallystick.cli.session import converse
from tallystick.client import Client

T = TypeVar("T", bound=msgspec.Struct)

PAGE_SIZE_MAX = 1_000

limit_option = click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="At most so many; 0 for all there are.",
)


def page_size(limit: int) -> int:
    """Rows to ask for at once: one more than shown tells whether there are more."""
    return min(limit + 1, PAGE_SIZE_MAX) if limit else PAGE_SIZE_MAX


def listed(
    call: Call,
    read: Callable[[Client], AsyncIterable[T]],
    *,
    name: str,
    limit: int,
    show: Callable[[Iterable[T]], None],
    prepare: Callable[[Client], Awaitable[None]] | None = None,
) -> None:
    """Print what `read` yields: JSON lines at once, a table or a document when all of it is there.

    `prepare` reads beforehand what a table needs beside its rows. Each page has the timeout to itself: a list
    is as long as it is.
    """
    stream = call.output is Format.JSONL
    rows: list[T] = []

    async def gather(client: Client) -> bool:
        if prepare is not None and call.is_table:
            await prepare(client)
        count = 0
        async for row in read(client):
            if limit and count == limit:
                return True
            count += 1
            if stream:
                echo_json(plain(row), call.output)
            else:
                rows.append(row)
        return False

    more = converse(call, gather)
    if call.is_table:
        show(rows)
    elif not stream:
        echo_json({name: [plain(row) for row in rows]}, call.output)
    if more:
        note(f"the first {limit} are shown, there are more: see all with --limit 0")
