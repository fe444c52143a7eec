"""Redis: a private server on this machine, driven by redis-benchmark over a Unix socket."""

from __future__ import annotations

import resource
import shutil
import time
from pathlib import Path

import msgspec

from benchmarks.figures import Figures
from benchmarks.machine import Probe
from benchmarks.processes import Failed, Process, run
from benchmarks.systems import Cell, Window
from benchmarks.workload import STOCK_ITEMS, Shape, bodies, make_json

_STOCKED = 10**11  # their sum is a number that Lua holds exactly
_PROGRAMS = ("redis-server", "redis-benchmark", "redis-cli")
_RANDOM = "__rand_int__"
_RANDOM_BELOW = 2_000_000_000
_FIRST_GUESS_CALLS = 200
_GUESS_S = 0.3

# Durable as ours is: every answer waits for an fsync, which all calls of one turn of its loop share. No
# snapshots and no rewriting of the file meanwhile.
_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "auto-aof-rewrite-percentage": "0",
    "port": "0",
}

_STOCK_UP = "for i = 0, 9999 do redis.call('SET', string.format('stock:SKU-%06d', i), ARGV[1]) end"
_SUM_UP = """
local n = 0
for i = 0, 9999 do n = n + redis.call('GET', string.format('stock:SKU-%06d', i)) end
return string.format('%.0f', n)
"""


def find_programs() -> None:
    """Raise Failed, saying what to install, unless Redis is."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        raise Failed(f"{', '.join(missing)} missing; on Debian and Ubuntu: apt install redis-server")


class Redis:
    """A server of our own, with place.lua loaded and stock in it."""

    name = "redis"

    def __init__(self, folder: Path, indexes: str) -> None:
        find_programs()
        self._indexes = indexes
        self._data = folder / "redis"
        self._data.mkdir()
        self._socket = str(self._data / "redis.sock")
        settings = (word for name, value in _SETTINGS.items() for word in (f"--{name}", value))
        self._process = Process(
            ["redis-server", "--dir", str(self._data), "--unixsocket", self._socket, *settings]
        )
        try:
            self._process.wait_for("eady to accept connections", 30)
            script = Path(__file__).with_name("place.lua").read_text()
            self._sha = self._cli("SCRIPT", "LOAD", script)
        except BaseException:
            self.stop()
            raise

    def _cli(self, *words: str) -> str:
        return run(("redis-cli", "-s", self._socket, *words)).strip()

    def measure(self, cell: Cell, window: Window) -> Figures:
        self._start_over()
        call = self._call(cell)
        # redis-benchmark is told how many calls to make, not how long to run: what it did before tells that.
        guess = self._run(cell, call, _FIRST_GUESS_CALLS, _FIRST_GUESS_CALLS / _GUESS_S)
        warm = self._run(cell, call, max(1, round(guess.per_s * window.warm_s)), guess.per_s)
        probe = Probe(self._process.pid, self._data)
        start = probe.sample(_children_cpu_s())
        timed = self._run(cell, call, max(1, round(warm.per_s * window.seconds)), warm.per_s)
        figures = probe.figures(start, probe.sample(_children_cpu_s()), timed.calls * cell.batch, 0, [])
        self._verify((guess.calls + warm.calls + timed.calls) * cell.batch, cell.shape)
        return msgspec.structs.replace(
            figures,
            orders_per_s=timed.per_s * cell.batch,
            p50_ms=timed.p50_ms,
            p99_ms=timed.p99_ms,
            seconds=timed.calls / timed.per_s,
        )

    def _start_over(self) -> None:
        """Empty it and stock it: at its speed, memory would fill up over a long benchmark."""
        self._cli("FLUSHALL")
        self._cli("BGREWRITEAOF")
        self._cli("EVAL", _STOCK_UP, "0", str(_STOCKED))
        until = time.monotonic() + 60
        while "aof_rewrite_in_progress:0" not in self._cli("INFO", "persistence"):
            if time.monotonic() > until:
                raise Failed("Redis did not finish rewriting its file within a minute")
            time.sleep(0.05)

    def _call(self, cell: Cell) -> tuple[str, ...]:
        """One call's words: redis-benchmark puts a random number for each placeholder."""
        order = (*(_RANDOM,) * (3 + cell.shape.lines), make_json(bodies(cell.shape, 1, 1)[0]))
        shape = (str(cell.shape.lines), self._indexes, str(int(cell.shape.hot)))
        return ("EVALSHA", self._sha, "0", *shape, *order * cell.batch)

    def _run(self, cell: Cell, call: tuple[str, ...], calls: int, expected_per_s: float) -> _Run:
        calls = max(calls, cell.in_flight)
        command = ("redis-benchmark", "-s", self._socket, "-c", str(cell.in_flight), "-P", "1")
        text = run(
            (*command, "-n", str(calls), "-r", str(_RANDOM_BELOW), "--csv", *call),
            timeout_s=60 + 10 * calls / expected_per_s,
        )
        try:
            # The first column is the call itself, commas and all.
            row = text.strip().rsplit(",", 7)[1:]
            per_s, _, _, p50, _, p99, _ = (float(word.strip('"')) for word in row)
        except ValueError as error:
            raise Failed(f"redis-benchmark printed what was not expected:\n{text[-500:]}") from error
        return _Run(calls=calls, per_s=per_s, p50_ms=p50, p99_ms=p99)

    def _verify(self, orders: int, shape: Shape) -> None:
        """Every call left its orders, and took their stock: the work was done."""
        taken = _STOCKED * STOCK_ITEMS - int(self._cli("EVAL", _SUM_UP, "0"))
        if self._indexes == "full":
            stored = int(self._cli("ZCARD", "orders:by_time"))
        else:
            stored = int(self._cli("DBSIZE")) - STOCK_ITEMS
        if (stored, taken) != (orders, orders * shape.lines):
            raise Failed(f"Redis answered {orders} orders, stored {stored} and took {taken} units")

    def facts(self) -> dict[str, object]:
        return {
            "version": run(("redis-server", "--version")).strip(),
            "indexes": self._indexes,
            "body_bytes": len(make_json(bodies(Shape(), 1, 1)[0])),
            "settings": _SETTINGS,
        }

    def pause(self) -> None:
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def stop(self) -> None:
        self._process.stop()


class _Run(msgspec.Struct, frozen=True):
    calls: int
    per_s: float
    p50_ms: float
    p99_ms: float


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
