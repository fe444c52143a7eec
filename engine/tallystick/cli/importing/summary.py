"""The outcome of an import, as one JSON object. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tallystick.cli.importing.audit import Audit
from tallystick.cli.importing.mapping import Cancellation, Plan
from tallystick.cli.importing.regional_audit import Regional
from tallystick.cli.output import Json


@dataclass(repr=False)
class Outcome:
    """What became of a plan. `refused` has a reason for each refused order; latencies are in seconds."""

    plan: Plan
    accepted: int = 0
    replayed: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    unmatched: list[tuple[Cancellation, int]] = field(default_factory=list)
    """Cancellations with the units left over."""
    latencies: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def orders_per_second(self) -> float:
        return (self.accepted + len(self.refused)) / self.elapsed_s if self.elapsed_s else 0.0


def percentile_ms(latencies: Sequence[float], share: float) -> float:
    """The latency that `share` of the calls did not exceed, in milliseconds; 0 of none."""
    if not latencies:
        return 0.0
    rank = max(1, math.ceil(share * len(latencies)))
    return round(sorted(latencies)[rank - 1] * 1000, 3)


def as_json(outcome: Outcome, audit: Audit, regional: Regional | None = None) -> dict[str, Json]:
    """The object that `--json` prints; its keys are a promise. Several regions add theirs."""
    told: dict[str, Json] = {
        "orders_sent": len(outcome.plan.orders),
        "orders_accepted": outcome.accepted,
        "orders_refused": len(outcome.refused),
        "cancellations": len(outcome.plan.cancellations),
        "cancellations_unmatched": len(outcome.unmatched),
        "lines_reported": len(outcome.plan.reported),
        "orders_per_second": round(outcome.orders_per_second, 1),
        "p50_ms": percentile_ms(outcome.latencies, 0.5),
        "p99_ms": percentile_ms(outcome.latencies, 0.99),
        "oversold_units": audit.oversold_units,
        "audit": list(audit.problems) or "ok",
    }
    return told | (_regional_json(regional) if regional else {})


def _regional_json(regional: Regional) -> dict[str, Json]:
    took = regional.seconds_to_converge
    return {
        "regions": list(regional.regions),
        "accepted_during_cut": dict(regional.accepted_during_cut),
        "digests_equal": regional.digests_equal,
        "seconds_to_converge": None if took is None else round(took, 3),
    }


def refusal_counts(outcome: Outcome) -> list[tuple[str, int]]:
    """How many orders were refused, by reason."""
    return Counter(outcome.refused.values()).most_common()


def report_rows(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    """Every row that was not sent, and every cancellation with units left over, as `--report` writes them."""
    for number, kind, fields, detail in outcome.plan.reported:
        yield str(number), kind.value, detail, *fields
    for cancellation, left in outcome.unmatched:
        row = cancellation.row
        yield str(row.number), "cancellation_unmatched", f"{left} units left over", *row.fields
