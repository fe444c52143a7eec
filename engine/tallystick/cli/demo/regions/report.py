"""The outcome of a sale over several regions, for programs. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from tallystick.cli.demo.audit import items_json
from tallystick.cli.demo.regions.books import RegionBooks
from tallystick.cli.demo.regions.story import RegionalStory
from tallystick.cli.demo.regions.timeline import Phase
from tallystick.cli.demo.regions.verdict import Findings, Verdict
from tallystick.cli.output import Json


def as_json(
    story: RegionalStory, books: Mapping[str, RegionBooks], findings: Findings, verdict: Verdict
) -> dict[str, Json]:
    """One object; what differs between regions is an object by region. p99s are of accepted orders."""
    took = findings.seconds_to_converge
    return {
        "regions": list(story.regions),
        "cut_off": story.cut_off,
        "orders_accepted": sum(len(each.acknowledged) for each in books.values()),
        "orders_refused": sum(len(each.refused) for each in books.values()),
        "accepted_during_cut": {region: each.accepted_in(Phase.CUT) for region, each in books.items()},
        "p99_ms_before_cut": _p99s(books, Phase.WHOLE),
        "p99_ms_during_cut": _p99s(books, Phase.CUT),
        "false_refusals": findings.false_refusals,
        "oversold_units": sum(item.oversold for item in verdict.items),
        "seconds_to_converge": None if took is None else round(took, 3),
        "digests_equal": findings.digests_equal,
        "audit": "passed" if verdict.ok else "failed",
        "promises": {promise.name: promise.held for promise in verdict.promises},
        "items": items_json(verdict.items),
        "ok": verdict.ok,
    }


def _p99s(books: Mapping[str, RegionBooks], phase: Phase) -> dict[str, Json]:
    waits = {region: each.p99_ms_in(phase) for region, each in books.items()}
    return {region: None if wait is None else round(wait, 2) for region, wait in waits.items()}
