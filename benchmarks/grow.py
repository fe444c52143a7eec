"""`grow`: does speed hold with a million orders stored, how much memory that takes, how fast a restart is."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks import machine
from benchmarks.figures import Figures, Ratio, divide, median_of
from benchmarks.load.spec import BATCH, Report, Spec
from benchmarks.node import Node, load
from benchmarks.processes import Failed, Process
from benchmarks.workload import Shape

SCHEMA = "tallystick.benchmarks.grow/1"

LARGE_OF_SMALL = 0.8
RESTART_S = 3.0
ANONYMOUS_BYTES = 300_000_000

_WINDOWS = 3
_BACKLOG_WAIT_S = 15.0  # without growing
_POLL_S = 0.1
_BATCHES_BEFORE_KILL = 50


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How far to grow, and how to look at it."""

    orders: int = 1_000_000
    start: int = 10_000
    window_orders: int = 30_000
    lines: int = 3
    items: int = 10_000
    batch: int = 100
    batches_in_flight: int = 16
    restarts: int = 3
    backlog: int = 95_000
    """Events that wait for their checkpoint when the node is killed."""
    cores: int = 2


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """The node with so many orders in it, under load."""

    stored: int
    """Before the first window."""
    median: Figures
    windows: list[Figures]
    anonymous_bytes: int
    """Memory that is not the page cache's, after the windows."""
    resident_bytes: int
    disk_bytes: int


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """A kill under load, and coming back."""

    backlog: int
    """Events that were waiting for their checkpoint just before the kill."""
    seconds: float
    """From the start of the process until the health check answers SERVING."""
    anonymous_bytes: int
    """The larger of just before the kill and when it serves again."""
    checked: int
    """Orders acknowledged last before the kill, looked up afterwards; every one was there."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What was hoped for."""

    name: str
    value: float
    target: str
    met: bool


class Result(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """All that `grow --json` prints."""

    machine: machine.Machine
    settings: Settings
    small: Stage
    large: Stage
    ratio: Ratio
    """Throughput at the large stage over that at the small one."""
    disk_bytes_per_order: float
    """Of the whole data directory, over all orders."""
    restarts: list[Restart]
    restart_s: float
    """The median."""
    checks: list[Check]


def run(settings: Settings, parent: Path | None, say: Callable[[str], None]) -> Result:
    """Grow, measure, kill, restart. Raises processes.Failed."""
    chosen = machine.use_cores(settings.cores)
    with tempfile.TemporaryDirectory(prefix="tallystick-benchmark-", dir=parent) as name:
        description = machine.describe(Path(name), chosen)
        node = Node(Path(name) / "node")
        try:
            node.receive_stock()
            growth = _Growth(settings, node, say)
            small = growth.stage(settings.start)
            large = growth.stage(settings.orders)
            restarts = [growth.kill_and_restart() for _ in range(settings.restarts)]
        finally:
            node.process.stop()
    pairs = zip(large.windows, small.windows, strict=True)
    ratio = Ratio(
        name=f"throughput at {large.stored:,} orders / at {small.stored:,}",
        value=divide(large.median.orders_per_s, small.median.orders_per_s),
        rounds=[divide(a.orders_per_s, b.orders_per_s) for a, b in pairs],
        target=LARGE_OF_SMALL,
        met=large.median.orders_per_s >= LARGE_OF_SMALL * small.median.orders_per_s,
    )
    restart_s = sorted(each.seconds for each in restarts)[len(restarts) // 2] if restarts else 0.0
    return Result(
        machine=description,
        settings=settings,
        small=small,
        large=large,
        ratio=ratio,
        disk_bytes_per_order=large.disk_bytes / growth.stored_at_large,
        restarts=restarts,
        restart_s=restart_s,
        checks=checks(ratio, large, restart_s, restarts),
    )


def checks(ratio: Ratio, large: Stage, restart_s: float, restarts: list[Restart]) -> list[Check]:
    """The figures that have a target."""
    anonymous_bytes = max(large.anonymous_bytes, *(each.anonymous_bytes for each in restarts), 0)
    found = [
        Check(name=ratio.name, value=ratio.value, target=f"≥ {LARGE_OF_SMALL}", met=bool(ratio.met)),
        Check(
            name="anonymous resident memory at its largest, MB",
            value=anonymous_bytes / 1e6,
            target=f"< {ANONYMOUS_BYTES / 1e6:.0f}",
            met=anonymous_bytes < ANONYMOUS_BYTES,
        ),
    ]
    if restarts:
        found.append(
            Check(
                name=f"start to SERVING after SIGKILL, backlog {min(each.backlog for each in restarts):,}, s",
                value=restart_s,
                target=f"< {RESTART_S:g}",
                met=restart_s < RESTART_S,
            )
        )
    return found


class _Growth:
    """One node that is filled, looked at, and killed."""

    def __init__(self, settings: Settings, node: Node, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._node = node
        self._say = say
        self._stored = 0
        self._seed = 0
        self.stored_at_large = 0

    def _spec(self, **bounds: int | bool) -> Spec:
        self._seed += 1
        spec = Spec(
            mode=BATCH,
            target=self._node.target,
            shape=Shape(lines=self._settings.lines, items=self._settings.items),
            in_flight=self._settings.batches_in_flight,
            batch=self._settings.batch,
            server_pid=self._node.process.pid,
            data=str(self._node.data),
            seed=self._seed,
        )
        return msgspec.structs.replace(spec, **bounds)

    def stage(self, stored: int) -> Stage:
        """Fill up to `stored` orders and go on without a pause, now looking."""
        missing = max(self._settings.batch, stored - self._stored)
        self._say(
            f"placing {missing:,} orders, then {_WINDOWS} × {self._settings.window_orders:,} on the clock"
        )
        built = _WINDOWS * (self._settings.window_orders // self._settings.batch + 1)
        spec = self._spec(
            warm_orders=missing, window_orders=self._settings.window_orders, windows=_WINDOWS, built=built
        )
        report = load(spec)
        before, self._stored = self._stored, self._stored + report.accepted
        self.stored_at_large = self._stored
        memory = machine.memory(self._node.process.pid)
        median = median_of(report.windows)
        self._say(
            f"{median.orders_per_s:,.0f} orders/s; {memory['Anonymous'] / 1e6:.0f} MB of anonymous memory"
        )
        return Stage(
            stored=before + missing,
            median=median,
            windows=report.windows,
            anonymous_bytes=memory["Anonymous"],
            resident_bytes=memory["Rss"],
            disk_bytes=machine.disk_bytes(self._node.data),
        )

    def kill_and_restart(self) -> Restart:
        """Load until the backlog is full, kill the node in the midst of it, and start it again."""
        spec = self._spec(warm_orders=1, window_orders=1 << 40, until_broken=True)
        command = [sys.executable, "-m", "benchmarks.load", msgspec.json.encode(spec).decode()]
        client = Process(command)
        try:
            backlog = self._await_backlog(client)
            before = machine.memory(self._node.process.pid)["Anonymous"]
            self._node.process.kill()
            text = client.wait_for(r"(?m)^\{.*\}$", 60)[0]
        finally:
            client.stop()
        seconds = self._node.restart()
        after = machine.memory(self._node.process.pid)["Anonymous"]
        report = msgspec.json.decode(text, type=Report)
        lost = self._node.missing(report.last_ids)
        if lost:
            raise Failed(f"{len(lost)} acknowledged orders are lost: {lost[:3]}")
        self._say(f"killed with a backlog of {backlog:,} events, SERVING after {seconds:.2f} s")
        return Restart(
            backlog=backlog,
            seconds=seconds,
            anonymous_bytes=max(before, after),
            checked=len(report.last_ids),
        )

    def _await_backlog(self, client: Process) -> int:
        """The backlog, once the load has come under way and it is as large as wanted, or as it gets."""
        under_way = self._node.status().sequence + _BATCHES_BEFORE_KILL * self._settings.batch
        largest, until = 0, time.monotonic() + _BACKLOG_WAIT_S
        while True:
            status = self._node.status()
            backlog = status.storage.checkpoint_backlog
            if status.sequence >= under_way and backlog >= self._settings.backlog:
                return backlog
            if backlog > largest or status.sequence < under_way:
                largest, until = backlog, time.monotonic() + _BACKLOG_WAIT_S
            if time.monotonic() > until and backlog >= 0.95 * largest:
                self._say(f"the backlog does not reach {self._settings.backlog:,} events")
                return backlog
            if client.ended:
                raise Failed(f"the load ended by itself:\n{client.output()[-2000:]}")
            time.sleep(_POLL_S)
