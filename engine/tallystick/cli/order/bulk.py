"""Placing many orders: as many under way as a node likes, each answer told as it comes."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tallystick.cli.errors import advice_for, describe, headline
from tallystick.cli.exit_codes import ExitCode, worst
from tallystick.cli.options import Call
from tallystick.cli.order.file import Entry
from tallystick.cli.order.show import placed_json
from tallystick.cli.output import Format, Json, echo_fields, echo_json
from tallystick.cli.session import converse
from tallystick.client import Client
from tallystick.client.errors import InvalidRequest, Overloaded, TallystickError, Unavailable
from tallystick.client.values.order import Order
from tallystick.client.values.write import PlacedOrder

Advance = Callable[[], None]
Place = Callable[[Order], Awaitable[PlacedOrder]]

IN_FLIGHT = 512  # enough to fill the batches that the SDK sends; the node's window bounds it further
TOLD_MAX = 20  # failures told one by one to a person; a program gets all of them

_NO_ID = (
    'it has no "id": with one in each order the file can be sent again safely; '
    "give them, or number them with --id-prefix PREFIX"
)


@dataclass(slots=True)
class Outcome:
    """What became of a file of orders."""

    call: Call
    placed: int = 0
    replayed: int = 0
    codes: dict[ExitCode, int] = field(default_factory=dict)
    answers: list[Json] = field(default_factory=list)
    stopped: bool = False
    """The node can't be reached: what is left of the file is not sent."""

    def accept(self, entry: Entry, placed: PlacedOrder) -> None:
        self.placed += 1
        self.replayed += placed.write.replayed
        if not self.call.is_table:
            self._tell({"number": entry.number, **placed_json(placed)})

    def fail(self, entry: Entry, error: TallystickError) -> None:
        code = advice_for(error).code
        self.codes[code] = self.codes.get(code, 0) + 1
        self.stopped |= isinstance(error, Unavailable) and not isinstance(error, Overloaded)
        order_id = entry.order.id if entry.order and entry.named else ""
        if not self.call.is_table:
            self._tell({"number": entry.number, "id": order_id, "error": describe(error)})
        elif self.failed <= TOLD_MAX:
            name = f", order {order_id}" if order_id else ""
            click.echo(f"number {entry.number}{name}: {headline(error)}", err=True)
        elif self.failed == TOLD_MAX + 1:
            click.echo("more failed; see all answers with -o jsonl", err=True)

    @property
    def failed(self) -> int:
        return sum(self.codes.values())

    def _tell(self, answer: Json) -> None:
        if self.call.output is Format.JSONL:
            echo_json(answer, self.call.output)
        else:
            self.answers.append(answer)

    def counts(self) -> dict[str, int]:
        unknown = self.codes.get(ExitCode.OUTCOME_UNKNOWN, 0)
        unreachable = self.codes.get(ExitCode.UNREACHABLE, 0)
        return {
            "placed": self.placed,
            "replayed": self.replayed,
            "refused": self.failed - unknown - unreachable,
            "unknown": unknown,
            "unreachable": unreachable,
        }


def place_many(call: Call, entries: Iterable[Entry], file: TextIO, replicas: int) -> ExitCode:
    """Place every order of a file, print what became of them, and answer the exit code."""
    outcome = Outcome(call)
    began = time.monotonic()
    with _progress(call, file, outcome) as advance:

        async def talk(client: Client) -> None:
            place = partial(client.place_order, replicas=replicas)
            await _place_all(place, iter(entries), file, outcome, advance)

        converse(call, talk, ids=())
    if call.is_table:
        _echo_summary(outcome, time.monotonic() - began)
    elif call.output is Format.JSON:
        echo_json({"answers": outcome.answers, **outcome.counts()}, call.output)
    return worst(set(outcome.codes))


async def _place_all(
    place: Place, entries: Iterator[Entry], file: TextIO, outcome: Outcome, advance: Advance
) -> None:
    """Feed workers, each of which has one order under way, until the file ends or the node is away."""
    waiting: asyncio.Queue[Entry | None] = asyncio.Queue(IN_FLIGHT)

    async def work() -> None:
        while (entry := await waiting.get()) is not None:
            if outcome.stopped:
                continue
            try:
                outcome.accept(entry, await place(_placeable(entry)))
            except TallystickError as error:
                outcome.fail(entry, error)
            advance()

    # What comes from a pipe may come slowly: then each order is placed as it comes.
    chunk = 500 if _size(file) else 1
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())
            while not outcome.stopped:
                # In a thread: reading must not hold up answers.
                read = await asyncio.to_thread(lambda: list(islice(entries, chunk)))
                if not read:
                    break
                for entry in read:
                    await waiting.put(entry)
            for _ in range(IN_FLIGHT):
                await waiting.put(None)
    except ExceptionGroup as failed:  # workers fail alike, as when the reader of stdout has gone: one is told
        raise failed.exceptions[0] from failed


@contextmanager
def _progress(call: Call, file: TextIO, outcome: Outcome) -> Iterator[Advance]:
    """A bar on the terminal, if there is one and the answers don't go there."""
    if not sys.stderr.isatty() or (sys.stdout.isatty() and call.output is Format.JSONL):
        yield lambda: None
        return
    columns = (TextColumn("placing"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        size = _size(file)
        task = progress.add_task("", total=size or None, told="")

        def advance() -> None:
            told = f"{outcome.placed:,} placed" + (f", {outcome.failed:,} failed" if outcome.failed else "")
            progress.update(task, completed=file.buffer.tell() if size else None, told=told)

        yield advance


def _size(file: TextIO) -> int:
    """Bytes in a regular file; 0 for a pipe."""
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _placeable(entry: Entry) -> Order:
    """The order. Raises InvalidRequest for what is none."""
    if entry.order is None or not entry.named:
        raise InvalidRequest(entry.problem or _NO_ID, reason="INVALID_FIELD")
    return entry.order


def _echo_summary(outcome: Outcome, seconds: float) -> None:
    counts = outcome.counts()
    answered = f"{seconds:.1f} s, {outcome.placed / seconds:,.0f} placed a second" if seconds else ""
    echo_fields(
        [*((name, count) for name, count in counts.items() if count or name == "placed"), ("took", answered)]
    )
    if outcome.stopped:
        click.echo("the node can't be reached: the rest of the file was not sent", err=True)
    if outcome.stopped or counts["unknown"]:
        click.echo("send the file again when the node is back: what is placed is not placed twice", err=True)
