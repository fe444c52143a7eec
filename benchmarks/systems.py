"""What a benchmark measures: systems that do the same work, and the cells of the table that it fills."""

from __future__ import annotations

from typing import Protocol

import msgspec

from benchmarks.figures import Figures
from benchmarks.workload import Shape


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table: a system under one kind of load."""

    system: str
    mode: str
    """tallystick: unary, sdk, batch; grpc: empty; peers: call, batch."""
    shape: Shape
    in_flight: int
    """Calls, batches or clients that wait for their answers at any time."""
    batch: int = 1
    """Orders in a call."""

    def __str__(self) -> str:
        many = f" of {self.batch}" if self.batch > 1 else ""
        return f"{self.system} {self.mode}{many}, {self.in_flight} in flight: {self.shape}"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """How long to look."""

    warm_s: float
    seconds: float


class System(Protocol):
    """Something that is running, paused unless it is its turn."""

    name: str

    def measure(self, cell: Cell, window: Window) -> Figures:
        """Warm up, then look. Raises processes.Failed."""
        ...

    def facts(self) -> dict[str, object]:
        """What a reader must know of it: version, settings."""
        ...

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...
