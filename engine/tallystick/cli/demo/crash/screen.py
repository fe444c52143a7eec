"""How the sale with a crash looks."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tallystick.cli.demo.crash.sale import SHOPPERS, Sale
from tallystick.cli.demo.crash.verdict import Verdict
from tallystick.cli.demo.screen import BAR, conclude, draw_shelves, panel, shelves_of
from tallystick.cli.demo.story import Story, units_of

INTRODUCTION = (
    "A shop puts {articles} articles on sale, and {orders:,} orders come at once, through {shoppers} tills. "
    "There is not enough for everybody. In the middle of the rush the server is killed without warning "
    "(kill -9, as if the power failed), started again, and the sale goes on. Then every order is checked."
)


def introduce(out: Console, story: Story, seed: int) -> None:
    words = INTRODUCTION.format(articles=len(story.articles), orders=len(story.orders), shoppers=SHOPPERS)
    title = f"[bold]Tallystick[/bold]: a flash sale with a crash in the middle [dim](seed {seed})[/dim]"
    panel(out, title, words)


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
    progress.add_row(ProgressBar(total, books.answered, width=BAR), f"{books.answered:,} of {total:,} orders")
    shelves = draw_shelves(shelves_of(sale.story.articles, units_of(books.acknowledged.values())))
    return Padding(Group(phase, "", progress, counts, "", shelves), (1, 2))


def report(out: Console, sale: Sale, verdict: Verdict) -> None:
    """What happened, and whether every promise held."""
    out.print(Padding(_narrative(sale, verdict), (1, 2)))
    conclude(out, verdict.items, verdict.promises)


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
