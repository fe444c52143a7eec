"""PostgreSQL: a private cluster on this machine, driven by pgbench over a Unix socket."""

from __future__ import annotations

import os
import pwd
import random
import re
import resource
import shutil
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from benchmarks.figures import Figures
from benchmarks.machine import Probe
from benchmarks.processes import Failed, Process, run
from benchmarks.systems import Cell, Window
from benchmarks.workload import CUSTOMERS, STOCK_ITEMS, Shape, bodies, make_json

_STOCKED = 10**12
_SERVER = ("initdb", "postgres")
_CLIENT = ("pgbench", "psql")
_WAL_SEGMENTS_READY = 192

# Durable as ours is; what else an expert sets on such a machine for such work. Hash and merge joins and whole
# scans never pay here, and without them no plan can go wrong while statistics are young.
_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_buffers": "64MB",
    "wal_compression": "lz4",
    "min_wal_size": "4GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "shared_buffers": "512MB",
    "max_connections": "150",
    "jit": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "listen_addresses": "''",
}

# The queries that our API answers: orders by time, by customer and time, by status and time.
_SECONDARY_INDEXES = """
CREATE INDEX orders_by_time ON orders (placed_at, id);
CREATE INDEX orders_by_customer ON orders (customer, placed_at, id);
CREATE INDEX orders_by_status ON orders (status, placed_at, id);
"""

_DRAW = r"""\set noise random(0, 4503599627370495)
\set customer random(0, {customers} - 1)
"""
_ONE_LINE = r"""\set a random(0, {items} - 1)
WITH taken AS (
    UPDATE stock SET available = available - 1 WHERE sku = sku(:a) AND available >= 1 RETURNING 1
)
INSERT INTO orders SELECT new_id(:noise), customer(:customer), 1, now(), :body::jsonb FROM taken;
"""
_ONE_HOT_LINE = """SELECT place(new_id(:noise), customer(:customer), ARRAY[sku(0)], ARRAY[1], :body::jsonb);
"""
_THREE_LINES = r"""\set i random(0, {items} - 1)
\set j random(0, {items} - 1)
\set k {third}
\set a greatest(:i, :j, :k)
\set c least(:i, :j, :k)
\set b :i + :j + :k - :a - :c
SELECT place(
    new_id(:noise), customer(:customer), ARRAY[sku(:a), sku(:b), sku(:c)], ARRAY[1, 1, 1], :body::jsonb);
"""
_MANY = r"""\set shift random(0, 49999)
SELECT place_many(:noise, :customers::bigint[], :bodies::jsonb[], :items::bigint[], :quantities::bigint[],
    :shift, {modulus});
"""


def find_programs() -> Path:
    """Where the newest installed PostgreSQL's programs are. Raises Failed, saying what to install."""
    places = [Path(found).parent for name in _SERVER if (found := shutil.which(name))]
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    places += sorted(versions, key=lambda path: float(path.parent.name), reverse=True)
    for place in places:
        if all((place / name).exists() for name in (*_SERVER, *_CLIENT)):
            return place
    raise Failed("PostgreSQL's programs are missing; on Debian and Ubuntu: apt install postgresql")


def unprivileged_user() -> str | None:
    """Whom to run it as: PostgreSQL refuses root. None: as ourselves."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Failed("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")


class Postgres:
    """A cluster of our own, with the schema of postgres.sql."""

    name = "postgres"

    def __init__(
        self,
        folder: Path,
        indexes: str,
        *,
        more: Mapping[str, str] | None = None,
        port: int = 5432,
        wal_segments: int = _WAL_SEGMENTS_READY,
    ) -> None:
        self._settings = {**_SETTINGS, **(more or {})}
        self._port = port
        self._wal_segments = wal_segments
        self._programs = find_programs()
        self._user = unprivileged_user()
        self._indexes = indexes
        self._folder = folder / "postgres"
        self._folder.mkdir()
        if self._user:
            folder.chmod(0o711)
            shutil.chown(self._folder, self._user)
        self._data = self._folder / "data"
        initdb = (str(self._programs / "initdb"), "-D", str(self._data), "-U", "bench", "-A", "trust")
        run((*initdb, "-E", "UTF8", "--locale=C", "--no-instructions"), user=self._user)
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in self._settings.items())
            file.write(f"unix_socket_directories = '{self._folder}'\n")
        server = (str(self._programs / "postgres"), "-D", str(self._data))
        self._process = Process(server, user=self._user)
        try:
            self._process.wait_for("ready to accept connections", 60)
            self._prepare()
        except BaseException:
            self.stop()
            raise

    def _prepare(self) -> None:
        self._sql(Path(__file__).with_suffix(".sql").read_text())
        stocked = f"SELECT sku(n), {_STOCKED} FROM generate_series(0, {STOCK_ITEMS - 1}) n"
        self._sql(f"INSERT INTO stock {stocked};")
        if self._indexes == "full":
            self._sql(_SECONDARY_INDEXES)
        # A log in its steady state writes over old segments; a young one has to make each first, at half the
        # speed. So make some, and let a checkpoint hand them on.
        for _ in range(self._wal_segments // 64):
            step = "SELECT count(pg_logical_emit_message(false, 'make', 'room')), pg_switch_wal();\n"
            self._sql(step * 64)
        self._sql("VACUUM ANALYZE;")
        self._sql("CHECKPOINT;")

    @property
    def _door(self) -> tuple[str, ...]:
        """How a client finds it: its Unix socket."""
        return ("-h", str(self._folder), "-p", str(self._port), "-U", "bench")

    def _sql(self, script: str) -> str:
        psql = (str(self._programs / "psql"), *self._door, "-d", "postgres")
        return run((*psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"), stdin=script)

    def measure(self, cell: Cell, window: Window) -> Figures:
        before = self._stored()
        command = self._pgbench(cell)
        warm = self._run(command, window.warm_s)
        probe = Probe(self._process.pid, self._data / "base")
        start = probe.sample(_children_cpu_s())
        timed = self._run(command, window.seconds, log=True)
        figures = probe.figures(
            start, probe.sample(_children_cpu_s()), timed.calls * cell.batch, 0, self._latencies()
        )
        self._verify(before, (warm.calls + timed.calls) * cell.batch, cell.shape)
        return msgspec.structs.replace(figures, orders_per_s=timed.per_s * cell.batch, seconds=window.seconds)

    def _pgbench(self, cell: Cell) -> tuple[str, ...]:
        """The command, without how long to run and what to log."""
        path = self._folder / "script.sql"
        script, variables = _script(cell)
        path.write_text(script)
        return (
            *(str(self._programs / "pgbench"), *self._door, "-n"),
            *("-M", "prepared", "-c", str(cell.in_flight), "-j", "1", "-f", str(path)),
            *(word for name, value in variables.items() for word in ("-D", f"{name}={value}")),
        )

    def _run(self, command: tuple[str, ...], seconds: float, *, log: bool = False) -> _Run:
        more: tuple[str, ...] = ("-T", str(max(1, round(seconds))))
        if log:
            more += ("-l", "--log-prefix", str(self._folder / "calls"))
        text = run((*command, *more, "postgres"), timeout_s=seconds + 60)
        calls = re.search(r"transactions actually processed: (\d+)", text)
        per_s = re.search(r"tps = ([\d.]+) \(without", text)
        # On a busy machine, 64 clients may not get one order through in a warm-up: then there is no tps.
        idle = calls is not None and calls[1] == "0"
        if not calls or not (per_s or idle) or "failed transactions: 0 " not in text:
            raise Failed(f"pgbench printed what was not expected:\n{text[-2000:]}")
        return _Run(calls=int(calls[1]), per_s=float(per_s[1]) if per_s else 0.0)

    def _latencies(self) -> list[float]:
        latencies: list[float] = []
        for path in self._folder.glob("calls.*"):
            latencies += (int(line.split(" ", 3)[2]) / 1e6 for line in path.read_text().splitlines())
            path.unlink()
        return latencies

    def _stored(self) -> tuple[int, int]:
        """Orders, and units taken."""
        orders, units = self._sql(
            f"SELECT (SELECT count(*) FROM orders), {_STOCKED * STOCK_ITEMS} - sum(available) FROM stock;"
        ).split("|")
        return int(orders), int(units)

    def _verify(self, before: tuple[int, int], orders: int, shape: Shape) -> None:
        """Every call left its orders, and took their stock: the work was done."""
        stored, units = self._stored()
        if (stored - before[0], units - before[1]) != (orders, orders * shape.lines):
            raise Failed(f"PostgreSQL answered {orders} orders and stored {stored - before[0]}")

    def facts(self) -> dict[str, object]:
        return {
            "version": run((str(self._programs / "postgres"), "--version")).strip(),
            "indexes": self._indexes,
            "body_bytes": len(make_json(bodies(Shape(), 1, 1)[0])),
            "settings": self._settings,
        }

    def pause(self) -> None:
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def stop(self) -> None:
        self._process.stop(signal.SIGINT)


class _Run(msgspec.Struct, frozen=True):
    calls: int
    per_s: float


def _children_cpu_s() -> float:
    """Processor time of the programs that were run and have ended: pgbench's, between two looks."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _script(cell: Cell) -> tuple[str, dict[str, str]]:
    """What pgbench runs, and the strings that it sends along."""
    shape, draw = cell.shape, random.Random(1)
    items = STOCK_ITEMS if shape.hot else shape.items
    jsons = [make_json(order) for order in bodies(shape, 1, cell.batch)]
    head = _DRAW.format(customers=CUSTOMERS)
    if cell.batch == 1:
        if shape.lines == 1:
            script = _ONE_HOT_LINE if shape.hot else _ONE_LINE.format(items=items)
        else:
            third = "0" if shape.hot else f"random(0, {items} - 1)"
            script = _THREE_LINES.format(items=items, third=third)
        return head + script, {"body": jsons[0]}
    lines = [
        0 if shape.hot and line == 0 else draw.randrange(1, items)
        for _ in range(cell.batch)
        for line in range(shape.lines)
    ]
    strings = {
        "customers": _array(str(draw.randrange(CUSTOMERS)) for _ in range(cell.batch)),
        "bodies": _array('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in jsons),
        "items": _array(map(str, lines)),
        "quantities": _array("1" for _ in lines),
    }
    return head + _MANY.format(modulus=items - 1), strings


def _array(texts: Iterable[str]) -> str:
    return "{" + ",".join(texts) + "}"
