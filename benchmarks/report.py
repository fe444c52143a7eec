"""What is printed: tables for people, JSON for programs."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import grow, place
from benchmarks.figures import ROUNDING_DIGITS, Figures
from benchmarks.machine import Machine
from benchmarks.regions import run as regions
from benchmarks.regions.finding import Finding

_WIDTH = 120


def to_json(report: msgspec.Struct) -> str:
    """The whole report, indented; floats to so many significant digits as mean anything."""
    return msgspec.json.format(msgspec.json.encode(_rounded(msgspec.to_builtins(report)))).decode()


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return float(f"{value:.{ROUNDING_DIGITS}g}") if isinstance(value, float) else value


def console() -> Console:
    """Standard output; tables keep their width in files and pipes."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def print_place(report: place.Report) -> None:
    """The matrix, the ratios, and how to read them."""
    out = console()
    out.print(describe(report.machine))
    out.print(
        f"Orders of {report.order_bytes} bytes; medians of {report.settings.rounds} windows of "
        f"{report.settings.seconds:g} s; processor time for 1,000 orders."
    )
    for shape in dict.fromkeys(row.cell.shape for row in report.rows):
        table = Table(title=str(shape), title_justify="left")
        table.add_column("system", no_wrap=True)
        table.add_column("calls", no_wrap=True)
        for name in ("in flight", *COLUMNS):
            table.add_column(name, justify="right")
        for row in report.rows:
            cell = row.cell
            if cell.shape == shape:
                mode = f"{cell.mode} of {cell.batch}" if cell.batch > 1 else cell.mode
                table.add_row(cell.system, mode, str(cell.in_flight), *figure_cells(row.median))
        out.print(table)
    if report.ratios:
        out.print(ratio_table(report))
    for system, facts in report.systems.items():
        out.print(f"{system}: {', '.join(_fact(name, value) for name, value in facts.items())}")
    for note in report.notes:
        out.print(f"• {note}")


COLUMNS = ("orders/s", "p50 ms", "p99 ms", "server CPU ms", "client CPU ms", "disk B/order")


def figure_cells(figures: Figures) -> tuple[str, ...]:
    """One row's figures; processor time is for 1,000 orders."""
    return (
        f"{figures.orders_per_s:,.0f}",
        f"{figures.p50_ms:.2f}",
        f"{figures.p99_ms:.2f}",
        *(
            "" if value is None else f"{value:,.0f}"
            for value in (
                figures.server_cpu_ms_per_1000,
                figures.client_cpu_ms_per_1000,
                figures.disk_bytes_per_order,
            )
        ),
    )


def ratio_table(report: place.Report) -> Table:
    """Ours over the yardsticks, with the range of the rounds."""
    table = Table(title="Ratios of throughput", title_justify="left")
    table.add_column("ratio")
    for name in ("of medians", "of rounds", "hoped for", ""):
        table.add_column(name, justify="right")
    for each in report.ratios:
        spread = f"{min(each.rounds):.2f}–{max(each.rounds):.2f}"
        target = "" if each.target is None else f"≥ {each.target:g}"
        table.add_row(each.name, f"{each.value:.2f}", spread, target, _verdict(each.met))
    return table


def print_grow(report: grow.Result) -> None:
    """The two stages, the restarts, and the figures with a target."""
    out = console()
    out.print(describe(report.machine))
    table = Table(title=f"Batches of {report.settings.batch}, medians of {len(report.small.windows)} windows")
    for name in ("orders stored", *COLUMNS, "anonymous MB", "data MB"):
        table.add_column(name, justify="right")
    for stage in (report.small, report.large):
        table.add_row(
            f"{stage.stored:,}",
            *figure_cells(stage.median),
            f"{stage.anonymous_bytes / 1e6:.0f}",
            f"{stage.disk_bytes / 1e6:,.0f}",
        )
    out.print(table)
    out.print(f"The data directory holds {report.disk_bytes_per_order:,.0f} bytes an order.")
    for each in report.restarts:
        out.print(
            f"Killed with {each.backlog:,} events waiting for their checkpoint: SERVING after "
            f"{each.seconds:.2f} s; all of the last {each.checked:,} acknowledged orders are there."
        )
    verdicts = Table(title="Hoped for")
    verdicts.add_column("figure")
    for name in ("value", "target", ""):
        verdicts.add_column(name, justify="right")
    for check in report.checks:
        verdicts.add_row(check.name, f"{check.value:.2f}", check.target, _verdict(check.met))
    out.print(verdicts)


def print_regions(report: regions.Report) -> None:
    """Every finding with its rounds, and what the ratios are made of."""
    out = console()
    out.print(describe(report.machine))
    table = Table(
        title=f"{report.settings.rounds} rounds; round trip {report.settings.rtt_ms:g} ms",
        title_justify="left",
    )
    table.add_column("figure")
    for name in ("value", "of rounds", "hoped for", ""):
        table.add_column(name, justify="right")
    for each in report.findings:
        rounds = f"{_number(min(each.rounds))}–{_number(max(each.rounds))}"
        value = f"{_number(each.value)} {each.unit}".rstrip()
        table.add_row(f"{each.figure}: {each.name}", value, rounds, each.target, _verdict(each.met))
        for made_of in _made_of(each):
            table.add_row(made_of)
    out.print(table)
    for note in report.notes:
        out.print(f"• {note}")


def _made_of(finding: Finding) -> list[str]:
    return [f"  {name}: {' '.join(map(_number, values))}" for name, values in finding.of.items()]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def describe(machine: Machine) -> str:
    """The machine in a line."""
    return (
        f"{machine.cores} cores of {machine.processor}, Python {machine.python}, Linux {machine.kernel}, "
        f"{machine.file_system}, fdatasync of 4 KiB {machine.sync_ms:.2f} ms, "
        f"load before {machine.load_before:.1f}"
    )


def _verdict(met: bool | None) -> str:
    return {None: "", True: "met", False: "NOT MET"}[met]


def _fact(name: str, value: object) -> str:
    if isinstance(value, dict):
        return f"{name} " + " ".join(f"{key}={each}" for key, each in value.items())
    return f"{name} {value}"
