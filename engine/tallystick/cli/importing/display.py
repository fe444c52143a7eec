"""What a person sees of an import: progress on stderr, then the summary on stdout."""

from __future__ import annotations

import sys
from collections import Counter
from types import TracebackType

import click
import rich.progress
from rich.console import Console

from tallystick.cli.importing.audit import Audit
from tallystick.cli.importing.mapping import EXPLANATIONS, Plan
from tallystick.cli.importing.money import CURRENCY
from tallystick.cli.importing.regional_audit import Regional
from tallystick.cli.importing.summary import Outcome, percentile_ms, refusal_counts
from tallystick.cli.money import format_amount
from tallystick.cli.output import column, echo_fields, echo_table, note, number

_EXAMPLES = 3
_PROBLEMS_SHOWN = 20


class Progress:
    """A bar for each phase on a terminal; elsewhere a line as each begins, unless `quiet`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._live = sys.stderr.isatty() and not quiet
        self._quiet = quiet
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description:<16}"),
            rich.progress.BarColumn(),
            rich.progress.TaskProgressColumn(),
            rich.progress.TimeElapsedColumn(),
            console=Console(file=sys.stderr),
            disable=not self._live,
        )
        self._bar: rich.progress.TaskID | None = None

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, phase: str, total: int) -> None:
        """A phase with so many steps; the one before it is over."""
        if not self._live and not self._quiet:
            note(f"{phase} …")
        self._bar = self._bars.add_task(phase, total=total)

    def advance(self, steps: int) -> None:
        """So many steps more."""
        if self._bar is not None:
            self._bars.advance(self._bar, steps)

    def reach(self, step: int) -> None:
        """So many steps in all."""
        if self._bar is not None:
            self._bars.update(self._bar, completed=step)


def echo_summary(outcome: Outcome, audit: Audit, regional: Regional | None = None) -> None:
    """The outcome, for people."""
    plan = outcome.plan
    lines = sum(len(order.lines) for order in plan.orders)
    left = sum(units for _, units in outcome.unmatched)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in refusal_counts(outcome))
    echo_fields(
        [
            ("rows read", f"{plan.rows:,}"),
            ("orders sent", f"{len(plan.orders):,}, with {lines:,} lines ({plan.merged:,} rows merged)"),
            ("accepted", f"{outcome.accepted:,}" + _in_brackets(outcome.replayed, "were there already")),
            ("refused", f"{len(outcome.refused):,}" + (f" ({reasons})" if reasons else "")),
            ("cancellations", f"{len(plan.cancellations):,} lines"),
            ("unmatched", f"{len(outcome.unmatched):,} of them, with {left:,} units left over"),
            ("rows reported", f"{len(plan.reported):,}"),
            ("money", _money(audit)),
            ("speed", f"{outcome.orders_per_second:,.0f} orders a second"),
            ("latency", f"p50 {_ms(outcome, 0.5)}, p99 {_ms(outcome, 0.99)}"),
        ]
    )
    if regional:
        _echo_regional(regional)
    _echo_reported(plan)
    _echo_audit(audit)


def _heading(title: str) -> None:
    click.echo()
    click.secho(title, bold=True)


def _in_brackets(count: int, what: str) -> str:
    return f" ({count:,} {what})" if count else ""


def _money(audit: Audit) -> str:
    sent, cancelled, due = (
        format_amount(pence, CURRENCY)
        for pence in (audit.money_sent, audit.money_cancelled, audit.money_sent - audit.money_cancelled)
    )
    return f"{sent} accepted − {cancelled} cancelled = {due}"


def _ms(outcome: Outcome, share: float) -> str:
    return f"{percentile_ms(outcome.latencies, share):.1f} ms"


def _echo_regional(regional: Regional) -> None:
    """What several regions have beside one."""
    took = regional.seconds_to_converge
    in_cut = ", ".join(f"{count:,} in {region}" for region, count in regional.accepted_during_cut.items())
    _heading("Regions")
    echo_fields(
        [
            ("regions", ", ".join(regional.regions)),
            (
                "accepted while cut",
                in_cut if any(regional.accepted_during_cut.values()) else "there was no cut",
            ),
            (
                "decided later",
                f"{regional.recorded:,} cancellations, recorded away from their order's region",
            ),
            ("converged", "never" if took is None else f"in {took:.1f} s"),
            ("digests", "equal" if regional.digests_equal else "DIFFERENT"),
        ]
    )


def _echo_reported(plan: Plan) -> None:
    """Each kind of row that was not sent: how many, why, and a few of them."""
    counts = Counter(row.kind for row in plan.reported)
    if not counts:
        return
    _heading("Reported, not sent")
    rows = []
    for kind, count in counts.most_common():
        alike = [row for row in plan.reported if row.kind is kind][:_EXAMPLES]
        shown = "; ".join(" ".join(row.fields[:4]) for row in alike)
        rows.append([kind.value, f"{count:,}", EXPLANATIONS[kind], shown])
    echo_table([column("kind"), number("rows"), column("what they are"), column("for example")], rows)


def _echo_audit(audit: Audit) -> None:
    _heading("Audit")
    if not audit.problems:
        print_ok = f"{audit.orders_read:,} orders read back as sent, {audit.items_read:,} items add up, "
        echo_fields([("ok", f"{print_ok}nothing oversold, the money is right")])
        return
    echo_fields([("FAILED", f"{len(audit.problems):,} problems, {audit.oversold_units:,} units oversold")])
    echo_table([column("problem")], [[problem] for problem in audit.problems[:_PROBLEMS_SHOWN]])
    if len(audit.problems) > _PROBLEMS_SHOWN:
        note(f"… and {len(audit.problems) - _PROBLEMS_SHOWN:,} more; --json lists them all")
