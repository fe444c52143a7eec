"""Counting what is answered: first the warm-up, then window after window, until the last one is full."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from time import perf_counter

from benchmarks.figures import Figures
from benchmarks.load.spec import Report, Spec
from benchmarks.machine import Probe


class Meter:
    """Told of every answer; says by `warm` and `running` how far the load has come.

    An answer counts in the window that it comes in, and so does its whole latency: load is steady, so what
    the window inherits at its start it leaves over at its end.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._probe = Probe(spec.server_pid, Path(spec.data) if spec.data else None)
        self.windows: list[Figures] = []
        self.refusals: Counter[str] = Counter()
        self.accepted = 0
        self.running = True
        self.warm = True
        self._latencies: list[float] = []
        self._begin(spec.warm_orders, spec.warm_s)

    def _begin(self, orders: int, seconds: float) -> None:
        self._latencies = []
        self._accepted_before = self.accepted
        self._refused_before = self.refusals.total()
        self._before = self._probe.sample()
        self._full = self.accepted + orders if orders else float("inf")
        self._until = self._before.at + seconds if seconds else float("inf")

    def report(self, *, built_late: int, last_ids: list[str]) -> Report:
        """All that was counted."""
        return Report(
            windows=self.windows,
            accepted=self.accepted,
            refusals=dict(self.refusals),
            built_late=built_late,
            last_ids=last_ids,
        )

    def answered(self, orders: int, sent_at: float) -> None:
        """`orders` placed orders were answered; the last answer of a call or batch sent at `sent_at`."""
        now = perf_counter()
        self._latencies.append(now - sent_at)
        self.accepted += orders
        if now >= self._until or self.accepted >= self._full:
            self._roll()

    def refused(self, reason: str) -> None:
        """An order was refused, or its call failed."""
        self.refusals[reason] += 1
        if perf_counter() >= self._until:
            self._roll()

    def _roll(self) -> None:
        if not self.running:
            return
        if not self.warm:
            self.windows.append(
                self._probe.figures(
                    self._before,
                    self._probe.sample(),
                    self.accepted - self._accepted_before,
                    self.refusals.total() - self._refused_before,
                    self._latencies,
                )
            )
        self.warm = False
        if len(self.windows) < self._spec.windows:
            self._begin(self._spec.window_orders, self._spec.window_s)
        else:
            self.running = False
