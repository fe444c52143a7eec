"""How the sale over several regions looks."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tallystick.cli.demo.regions.books import RegionBooks
from tallystick.cli.demo.regions.snapshot import RegionRow, Snapshot
from tallystick.cli.demo.regions.story import RegionalStory
from tallystick.cli.demo.regions.timeline import Phase
from tallystick.cli.demo.regions.verdict import Findings, Verdict
from tallystick.cli.demo.screen import BAR, conclude, draw_shelves, panel

INTRODUCTION = (
    "A shop sells one stock of {articles} articles in {count} regions ({regions}), each a server of its own, "
    "{delay_ms:g} ms from the others. {orders:,} orders come in {seconds:g} seconds, and there is not enough "
    "for everybody. In the middle of it {cut_off} is cut off. Both sides go on selling, alone. Then the cut "
    "heals, and every order is checked in every region."
)

_LIVE = ("Region", "Links", "Accepted", "Refused", "Per s", "p99", "Tokens", "Runway", "Lag")
_LEGEND = (
    "[dim]Tokens: units that a region may sell without asking. Runway: how long they last at this pace. "
    "p99: of accepted orders. Lag: events that others have and it does not.[/dim]"
)
_SUMMARY = ("Region", "Accepted", "… while cut", "Refused", "p99 before", "p99 while cut")


def introduce(out: Console, story: RegionalStory, *, seed: int, seconds: float, delay_ms: float) -> None:
    words = INTRODUCTION.format(
        articles=len(story.articles),
        count=len(story.regions),
        regions=", ".join(story.regions),
        delay_ms=delay_ms,
        orders=len(story.orders),
        seconds=seconds,
        cut_off=story.cut_off,
    )
    panel(out, f"[bold]Tallystick[/bold]: one stock, many regions, and a cut [dim](seed {seed})[/dim]", words)


def picture(now: Snapshot) -> RenderableType:
    """One frame: how every region fares, and what is left on the shelves."""
    phase = Text(f" {now.words} ", style="bold white on red" if now.is_cut else "bold reverse")
    progress = Table.grid(padding=(0, 2))
    progress.add_row(
        ProgressBar(now.seconds, now.at, width=BAR), f"{now.at:.0f} of {now.seconds:g} seconds of sale"
    )
    # So that five regions fit into 80 columns.
    regions = _table(_LIVE, left=2, gap=2 if len(now.regions) <= 3 else 1)
    for row in now.regions:
        style = "bold red" if row.is_alone else ""
        regions.add_row(Text(row.region, style=style), _links(row), *_figures(row))
    return Padding(Group(phase, "", progress, "", regions, _LEGEND, "", draw_shelves(now.shelves)), (1, 2))


def _links(row: RegionRow) -> Text:
    return Text(" ").join(
        Text(f"{peer} {'✓' if up else '✗'}", style="green" if up else "bold red")
        for peer, up in row.links.items()
    )


def _figures(row: RegionRow) -> tuple[str, ...]:
    return (
        f"{row.accepted:,}",
        f"{row.refused:,}",
        f"{row.orders_per_s:.0f}",
        _ms(row.p99_ms),
        _count(row.tokens),
        "" if row.runway_s is None else f"{row.runway_s:.0f} s",
        _count(row.lag),
    )


def report(
    out: Console,
    story: RegionalStory,
    books: Mapping[str, RegionBooks],
    findings: Findings,
    verdict: Verdict,
) -> None:
    """What happened, and whether every promise held."""
    out.print(Padding(_narrative(story, books, findings), (1, 2, 0, 2)))
    summary = _table(_SUMMARY, left=1)
    for region, each in books.items():
        summary.add_row(
            f"{region} (cut off)" if region == story.cut_off else region,
            f"{len(each.acknowledged):,}",
            f"{each.accepted_in(Phase.CUT):,}",
            f"{len(each.refused):,}",
            _ms(each.p99_ms_in(Phase.WHOLE)),
            _ms(each.p99_ms_in(Phase.CUT)),
        )
    out.print(Padding(summary, (1, 2)))
    conclude(out, verdict.items, verdict.promises)


def _narrative(story: RegionalStory, books: Mapping[str, RegionBooks], findings: Findings) -> Text:
    accepted = sum(len(each.acknowledged) for each in books.values())
    refused = sum(len(each.refused) for each in books.values())
    alone, others = (sum(books[name].accepted_in(Phase.CUT) for name in side) for side in story.sides)
    took = findings.seconds_to_converge
    healed = (
        "They did not come together again"
        if took is None
        else f"[bold]{took:.1f} s[/bold] after it healed all agreed"
    )
    return Text.from_markup(
        f"[bold green]{accepted:,}[/bold green] orders accepted, [bold yellow]{refused:,}[/bold yellow] "
        f"refused. While {story.cut_off} was cut off it accepted [bold]{alone:,}[/bold] by itself, "
        f"{'the others' if len(story.regions) > 2 else 'the other'} [bold]{others:,}[/bold]. {healed}."
    )


def tell_addresses(out: Console, addresses: Mapping[str, str]) -> None:
    """Where everybody may look around, while it is kept running."""
    out.print(Padding("Still running; Ctrl-C ends it. Look around with, for example:", (1, 2, 0, 2)))
    for region, address in addresses.items():
        out.print(Padding(f"tally node status --target {address}   [dim]# {region}[/dim]", (0, 4)))


def _table(titles: tuple[str, ...], *, left: int, gap: int = 2) -> Table:
    """Columns of numbers after so many of words."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, gap, 0, 0))
    for place, title in enumerate(titles):
        table.add_column(title, justify="left" if place < left else "right", no_wrap=True)
    return table


def _ms(wait: float | None) -> str:
    return "" if wait is None else f"{wait:.1f} ms" if wait < 100 else f"{wait:.0f} ms"


def _count(units: int | None) -> str:
    return "" if units is None else f"{units:,}"
