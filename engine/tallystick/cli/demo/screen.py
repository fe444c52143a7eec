"""How the demo looks: a live picture of the sale on a terminal, plain lines elsewhere, then the audit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from tallystick.cli.demo.books import Books
from tallystick.cli.demo.sale import SHOPPERS, Sale
from tallystick.cli.demo.story import Story, units_of
from tallystick.cli.demo.verdict import Verdict

_FRAME_S = 0.08
_WIDTH_MAX = 100
_BAR = 28

INTRODUCTION = (
    "A shop puts {articles} articles on sale, and {orders:,} orders come at once, through {shoppers} tills. "
    "There is not enough for everybody. In the middle of the rush the server is killed without warning "
    "(kill -9, as if the power failed), started again, and the sale goes on. Then every order is checked."
)

_LEGEND = (
    "[dim]Reserved: held for shoppers who are still at the checkout. "
    "✓: received = sold + reserved + left, to the unit.[/dim]"
)


def console() -> Console:
    """Wide enough for the tables, never wider than is good to read."""
    paper = Console(highlight=False)
    return Console(highlight=False, width=min(paper.width, _WIDTH_MAX) if paper.is_terminal else _WIDTH_MAX)


def introduce(out: Console, story: Story, seed: int) -> None:
    words = INTRODUCTION.format(articles=len(story.articles), orders=len(story.orders), shoppers=SHOPPERS)
    title = f"[bold]Tallystick[/bold]: a flash sale with a crash in the middle [dim](seed {seed})[/dim]"
    out.print()
    out.print(Panel(words, title=title, title_align="left", border_style="cyan", padding=(1, 2)))


@contextlib.asynccontextmanager
async def watching(out: Console, sale: Sale) -> AsyncIterator[None]:
    """Show the sale while it runs."""
    show = _animate if out.is_terminal else _tell
    watcher = asyncio.create_task(show(out, sale))
    try:
        yield
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher


async def _animate(out: Console, sale: Sale) -> None:
    with Live(console=out, auto_refresh=False, transient=True) as live:
        while True:
            live.update(picture(sale), refresh=True)
            await asyncio.sleep(_FRAME_S)


async def _tell(out: Console, sale: Sale) -> None:
    """A line whenever something else begins."""
    told = 0
    try:
        while True:
            await asyncio.sleep(_FRAME_S)
            told = _tell_more(out, sale, told)
    finally:
        _tell_more(out, sale, told)


def _tell_more(out: Console, sale: Sale, told: int) -> int:
    for phase in sale.phases[told:]:
        out.print(f"  {phase} …")
    return len(sale.phases)


def picture(sale: Sale) -> RenderableType:
    """One frame: how far the sale is, and what is left on the shelves."""
    books, total = sale.books, len(sale.story.orders)
    phase = Text(f" {sale.phases[-1]} ", style="bold white on red" if sale.down else "bold reverse")
    counts = Text.assemble(
        (f"{len(books.acknowledged):,}", "bold green"),
        " accepted   ",
        (f"{len(books.refused):,}", "bold yellow"),
        " refused   ",
        (f"{len(books.unknown):,}", "bold red" if books.unknown else "dim"),
        " without an answer",
    )
    progress = Table.grid(padding=(0, 2))
    progress.add_row(
        ProgressBar(total, books.answered, width=_BAR), f"{books.answered:,} of {total:,} orders"
    )
    shelves = Table.grid(padding=(0, 2))
    for name, left, stock in _shelves(sale.story, books):
        bar = ProgressBar(stock, max(0, left), width=_BAR, complete_style="green", finished_style="green")
        words = f"{left:,} of {stock:,} left" if left else Text("sold out", style="yellow")
        shelves.add_row(name, bar, words)
    return Padding(Group(phase, "", progress, counts, "", shelves), (1, 2))


def _shelves(story: Story, books: Books) -> list[tuple[str, int, int]]:
    """(name, units left as far as the shoppers were told, units at the beginning)."""
    gone = units_of(books.acknowledged.values())
    return [(each.name, each.stock - gone.get(each.sku, 0), each.stock) for each in story.articles]


def report(out: Console, sale: Sale, verdict: Verdict) -> None:
    """What happened, and whether every promise held."""
    out.print(Padding(_narrative(sale, verdict), (1, 2)))
    out.print(Rule("The audit: what the server says, beside what the shoppers were told", style="dim"))
    out.print(Padding(_items(verdict), (1, 2, 0, 2)))
    out.print(Padding(_LEGEND, (0, 2)))
    out.print(Padding(_promises(verdict), (1, 2)))
    if verdict.ok:
        out.print(Panel("[bold green]Every promise held.[/bold green]", border_style="green"))
    else:
        broken = ", ".join(promise.words for promise in verdict.promises if not promise.held)
        out.print(Panel(f"[bold red]A promise broke:[/bold red] {broken}", border_style="red"))


def _narrative(sale: Sale, verdict: Verdict) -> Text:
    books = sale.books
    rarest = min(verdict.items, key=lambda item: item.received)
    rate = books.answered / sale.selling_s if sale.selling_s else 0
    return Text.from_markup(
        f"[bold]{books.answered:,}[/bold] orders were answered in [bold]{sale.selling_s:.1f} s[/bold] of "
        f"sale ({rate:,.0f} a second): [bold green]{len(books.acknowledged):,}[/bold green] accepted, "
        f"[bold yellow]{len(books.refused):,}[/bold yellow] refused. After "
        f"{len(books.acknowledged_before_kill):,} acceptances the server was killed; "
        f"[bold]{sale.down_s:.1f} s[/bold] later it was back, with nothing but its disk. "
        f"{rarest.article.name}: {rarest.asked:,} wanted, {rarest.received:,} there, {rarest.sold:,} sold."
    )


def _items(verdict: Verdict) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("Article")
    for title in ("Asked for", "Received", "Sold", "Reserved", "Left", "Sold twice"):
        table.add_column(title, justify="right")
    table.add_column("")
    for item in verdict.items:
        right = item.adds_up and not item.oversold
        numbers = (item.asked, item.received, item.sold, item.reserved, item.left, item.oversold)
        table.add_row(item.article.name, *(f"{units:,}" for units in numbers), mark(right))
    return table


def _promises(verdict: Verdict) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 3, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for promise in verdict.promises:
        table.add_row(mark(promise.held), promise.words, promise.detail)
    return table


def mark(right: bool) -> Text:
    return Text("✓", style="bold green") if right else Text("✗", style="bold red")
