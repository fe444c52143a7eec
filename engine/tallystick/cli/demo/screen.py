"""What every demo looks like: a live picture on a terminal, plain lines elsewhere, then the audit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from tallystick.cli.demo.audit import ItemRow, Promise
from tallystick.cli.demo.story import Article

_FRAME_S = 0.08
_WIDTH_MAX = 100
BAR = 28

_LEGEND = (
    "[dim]Reserved: held for shoppers who are still at the checkout. "
    "✓: received = sold + reserved + left, to the unit.[/dim]"
)


def console() -> Console:
    """Wide enough for the tables, never wider than is good to read."""
    paper = Console(highlight=False)
    return Console(highlight=False, width=min(paper.width, _WIDTH_MAX) if paper.is_terminal else _WIDTH_MAX)


@contextlib.asynccontextmanager
async def watching(
    out: Console, phases: Sequence[str], picture: Callable[[], RenderableType]
) -> AsyncIterator[None]:
    """Show what runs meanwhile: the picture as it is, or a line whenever a phase is added."""
    show = _animate(out, picture) if out.is_terminal else _tell(out, phases)
    watcher = asyncio.create_task(show)
    try:
        yield
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher


async def _animate(out: Console, picture: Callable[[], RenderableType]) -> None:
    with Live(console=out, auto_refresh=False, transient=True) as live:
        while True:
            live.update(picture(), refresh=True)
            await asyncio.sleep(_FRAME_S)


async def _tell(out: Console, phases: Sequence[str]) -> None:
    """A line whenever something else begins."""
    told = 0
    try:
        while True:
            await asyncio.sleep(_FRAME_S)
            told = _tell_more(out, phases, told)
    finally:
        _tell_more(out, phases, told)


def _tell_more(out: Console, phases: Sequence[str], told: int) -> int:
    for phase in phases[told:]:
        out.print(f"  {phase} …")
    return len(phases)


class Shelf(NamedTuple):
    """An article while the sale runs: units left as far as the shoppers were told, units at the beginning."""

    name: str
    left: int
    stock: int


def shelves_of(articles: Iterable[Article], sold: Mapping[str, int]) -> list[Shelf]:
    return [Shelf(each.name, each.stock - sold.get(each.sku, 0), each.stock) for each in articles]


def draw_shelves(shelves: Iterable[Shelf]) -> Table:
    """How full each shelf is."""
    table = Table.grid(padding=(0, 2))
    for name, left, stock in shelves:
        bar = ProgressBar(stock, max(0, left), width=BAR, complete_style="green", finished_style="green")
        words = f"{left:,} of {stock:,} left" if left else Text("sold out", style="yellow")
        table.add_row(name, bar, words)
    return table


def panel(out: Console, title: str, words: str) -> None:
    """What is about to happen, in a frame."""
    out.print()
    out.print(Panel(words, title=title, title_align="left", border_style="cyan", padding=(1, 2)))


def conclude(out: Console, items: Sequence[ItemRow], promises: Sequence[Promise]) -> None:
    """The audit: articles, promises, and the one sentence that matters."""
    out.print(Rule("The audit: what the server says, beside what the shoppers were told", style="dim"))
    out.print(Padding(_items(items), (1, 2, 0, 2)))
    out.print(Padding(_LEGEND, (0, 2)))
    out.print(Padding(_promises(promises), (1, 2)))
    broken = ", ".join(promise.words for promise in promises if not promise.held)
    if broken:
        out.print(Panel(f"[bold red]A promise broke:[/bold red] {broken}", border_style="red"))
    else:
        out.print(Panel("[bold green]Every promise held.[/bold green]", border_style="green"))


def _items(items: Sequence[ItemRow]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("Article", no_wrap=True)
    for title in ("Asked", "Received", "Sold", "Reserved", "Left", "Sold twice"):
        table.add_column(title, justify="right")
    table.add_column("")
    for item in items:
        right = item.adds_up and not item.oversold
        numbers = (item.asked, item.received, item.sold, item.reserved, item.left, item.oversold)
        table.add_row(item.article.name, *(f"{units:,}" for units in numbers), mark(right))
    return table


def _promises(promises: Sequence[Promise]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 3, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for promise in promises:
        table.add_row(mark(promise.held), promise.words, promise.detail)
    return table


def mark(right: bool) -> Text:
    return Text("✓", style="bold green") if right else Text("✗", style="bold red")
