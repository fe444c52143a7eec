"""`regions`: the figures, by name, and the report that they make."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from benchmarks import machine
from benchmarks.processes import Failed
from benchmarks.regions import (
    catch_up,
    false_refusals,
    gossip_bytes,
    hot_wan,
    place_p99,
    slow_peer,
    together,
)
from benchmarks.regions.bench import Bench, Settings
from benchmarks.regions.finding import Finding

SCHEMA = "tallystick.benchmarks.regions/1"
PEERS = (hot_wan.PEER,)

FIGURES: Mapping[str, Callable[[Bench], list[Finding]]] = {
    each.NAME: each.measure
    for each in (place_p99, catch_up, together, slow_peer, false_refusals, gossip_bytes, hot_wan)
}

NOTES = (
    "All regions, their loads and the relays between them share the cores.",
    "What is compared was measured in turn; ratios are of medians, with each round's beside them.",
    "After the last round all regions say that what was acknowledged is sold, to the unit, and none has "
    "found a difference between replicas.",
    "Relays delay each way by half the round trip; they count what TCP carries, not its own headers.",
)


class Report(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """All that `regions --json` prints."""

    machine: machine.Machine
    settings: Settings
    findings: list[Finding]
    notes: list[str]


def chosen(settings: Settings) -> list[str]:
    """The figures to measure, in the table's order. Raises Failed."""
    unknown = [name for name in settings.only if name not in FIGURES]
    if unknown:
        raise Failed(f"there is no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    if settings.peer:
        return [name for name in FIGURES if not settings.only or name in settings.only]
    if hot_wan.NAME in settings.only:
        raise Failed(f"{hot_wan.NAME} compares with a peer: --peer {hot_wan.PEER}")
    return [name for name in FIGURES if name != hot_wan.NAME and (not settings.only or name in settings.only)]


def run(settings: Settings, parent: Path | None, say: Callable[[str], None]) -> Report:
    """Measure. Raises processes.Failed."""
    names = chosen(settings)
    cores = machine.use_cores(settings.cores)
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="tallystick-benchmark-", dir=parent) as name:
        description = machine.describe(Path(name), cores)
        for figure in names:
            say(f"{figure}: starting")
            found = FIGURES[figure](Bench(settings, Path(name), say))
            for each in found:
                say(f"{each.name}: {each.value:.3g} {each.unit or ''}".rstrip())
            findings += found
    return Report(
        machine=description,
        settings=settings,
        findings=findings,
        notes=machine.warnings(description) + list(NOTES),
    )
