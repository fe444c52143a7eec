"""What a load process is told and what it answers: one JSON document each way."""

from __future__ import annotations

import msgspec

from benchmarks.figures import Figures
from benchmarks.workload import Shape

EMPTY, UNARY, SDK, BATCH, PACED = "empty", "unary", "sdk", "batch", "paced"
MODES = (UNARY, SDK, BATCH)


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """One load. It warms up, then measures `windows` windows on end; a bound that is not 0 ends its part."""

    mode: str
    target: str
    also: tuple[str, ...] = ()
    """Further nodes that get the same load at the same time (not unary); figures are of all together."""
    shape: Shape = Shape()
    in_flight: int = 0
    """Calls, or batches, that wait for their answers at any time, at each node."""
    per_s: float = 0.0
    """paced: orders a second at each node, whatever becomes of those before."""
    batch: int = 100
    """Orders in a batch."""
    view: str = "default"
    warm_s: float = 0.0
    warm_orders: int = 0
    windows: int = 1
    window_s: float = 0.0
    window_orders: int = 0
    built: int = 0
    """Requests for the windows that are built before the start; more are built as they are needed."""
    until_broken: bool = False
    """A stream that breaks ends the load in order: somebody is about to kill the server."""
    server_pid: int | None = None
    data: str | None = None
    """The server's data directory."""
    seed: int = 1

    @property
    def targets(self) -> tuple[str, ...]:
        """All nodes that get it."""
        return (self.target, *self.also)

    def bounded(self) -> bool:
        """Whether it ends by itself."""
        return bool((self.warm_s or self.warm_orders) and (self.window_s or self.window_orders))


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    windows: list[Figures]
    accepted: int
    """Warm-up included: every one was answered as placed."""
    refusals: dict[str, int]
    """By reason."""
    built_late: int = 0
    """Requests that had to be built while the clock ran: the client was busier than it should be."""
    last_ids: list[str] = []
    """Some ids, the youngest last, whose placing was acknowledged."""
