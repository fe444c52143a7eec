"""Figures: what one timed window yields, medians of several, and ratios between them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import msgspec

ROUNDING_DIGITS = 4


class Figures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One timed window. None: it does not apply, or cannot be told."""

    orders_per_s: float
    """Accepted orders (for the empty call: calls) answered in the window, by its length."""
    p50_ms: float
    """Of a call, at the client; for batches, of a batch: from sending it to its last answer."""
    p99_ms: float
    server_cpu_ms_per_1000: float | None = None
    """Processor time of all of the server's processes, user and system, for 1,000 orders."""
    client_cpu_ms_per_1000: float | None = None
    disk_bytes_per_order: float | None = None
    """Blocks that the data takes on disk after the window less before, by the orders in it."""
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    steal: float | None = None
    """The part of the machine's processor time that other machines on the same host took meanwhile."""


def median_of(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure alone; counts and seconds are sums."""
    values: dict[str, float | int | None] = {}
    for name in Figures.__struct_fields__:
        known = [value for each in rounds if (value := getattr(each, name)) is not None]
        if name in ("accepted", "refused", "seconds"):
            values[name] = sum(known)
        else:
            values[name] = statistics.median(known) if known else None
    return msgspec.convert(values, Figures)


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of all do not exceed; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over another, and what is hoped for."""

    name: str
    value: float
    """Of the medians."""
    rounds: list[float]
    """Of each round by itself: how far chance goes."""
    target: float | None = None
    met: bool | None = None


def ratio(name: str, ours: Sequence[Figures], theirs: Sequence[Figures], target: float | None) -> Ratio:
    """Throughput over throughput. The rounds were taken in turn, so they pair off."""
    value = divide(median_of(ours).orders_per_s, median_of(theirs).orders_per_s)
    pairs = [divide(a.orders_per_s, b.orders_per_s) for a, b in zip(ours, theirs, strict=False)]
    met = None if target is None else value >= target
    return Ratio(name=name, value=value, rounds=pairs, target=target, met=met)


def divide(a: float, b: float) -> float:
    """a / b, and 0 where b is."""
    return a / b if b else 0.0
