"""`place`: orders a second, latency and cost of placing, by raw unary calls, SDK calls and stream batches."""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks import machine
from benchmarks.figures import Figures, Ratio, median_of, ratio
from benchmarks.load.spec import BATCH, EMPTY, SDK, UNARY
from benchmarks.node import EmptyCalls, Tallystick
from benchmarks.peers.postgres import Postgres
from benchmarks.peers.redis import Redis
from benchmarks.systems import Cell, System, Window
from benchmarks.workload import ORDER_BYTES, Shape

SCHEMA = "tallystick.benchmarks.place/1"
PEERS = ("postgres", "redis")
CALL = "call"

UNARY_OF_EMPTY = 0.55
SDK_OF_UNARY = 2.0
BATCH_OF_POSTGRES = 1.0
HOT_SDK_OF_POSTGRES = 5.0

_PEER_CELLS = {
    # mode, clients, orders a call: with these each did best on two cores.
    "postgres": ((CALL, 16, 1), (CALL, 64, 1), (BATCH, 4, 100)),
    "redis": ((CALL, 64, 1), (BATCH, 8, 100)),
}

NOTES = (
    "Server and load share the cores, each server with its own client: ours in Python, the peers' in C.",
    "Every order is on disk (fdatasync or its like) before it is answered, on the same file system.",
    "After each window it is checked that what was answered is stored and its stock taken, to the unit.",
    "Whoever's turn it isn't is paused: deferred work (checkpoints, vacuum) is done in one's own turns.",
    "Medians of the rounds, which are taken in turn; ratios are of medians, with each round's beside them.",
    "A batch's latency is that of the whole batch.",
    "disk: blocks of our data directory, log included; of PostgreSQL's tables and indexes, its log, which is "
    "written over, not included; of Redis's append-only file.",
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure, and for how long."""

    modes: tuple[str, ...] = (UNARY, SDK, BATCH)
    lines: tuple[int, ...] = (1, 3)
    items: tuple[int, ...] = (10_000, 1)
    seconds: float = 5.0
    warm_s: float = 1.0
    rounds: int = 3
    batch: int = 100
    unary_in_flight: int = 64
    sdk_in_flight: int = 256
    batches_in_flight: int = 16
    view: str = "default"
    peers: tuple[str, ...] = ()
    peer_indexes: str = "full"
    cores: int = 2


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A cell with what was measured of it."""

    cell: Cell
    median: Figures
    rounds: list[Figures]


class Report(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """All that `place --json` prints."""

    machine: machine.Machine
    settings: Settings
    order_bytes: int
    """Of an order as protobuf, its id included."""
    systems: dict[str, dict[str, object]]
    rows: list[Row]
    ratios: list[Ratio]
    notes: list[str]


def cells(settings: Settings) -> list[Cell]:
    """What is measured in a round, in this order: what is compared stands close together."""
    found = []
    for items, lines in itertools.product(settings.items, settings.lines):
        shape = Shape(lines=lines, items=items)
        ours = [
            Cell(system="tallystick", mode=UNARY, shape=shape, in_flight=settings.unary_in_flight),
            Cell(system="tallystick", mode=SDK, shape=shape, in_flight=settings.sdk_in_flight),
            Cell(
                system="tallystick",
                mode=BATCH,
                shape=shape,
                in_flight=settings.batches_in_flight,
                batch=settings.batch,
            ),
        ]
        found += [
            Cell(system="grpc", mode=EMPTY, shape=shape, in_flight=settings.unary_in_flight)
            for mode in settings.modes
            if mode == UNARY
        ]
        found += [cell for cell in ours if cell.mode in settings.modes]
        found += [
            Cell(system=peer, mode=mode, shape=shape, in_flight=clients, batch=many)
            for peer in settings.peers
            for mode, clients, many in _PEER_CELLS[peer]
        ]
    return found


@contextlib.contextmanager
def started(settings: Settings, folder: Path, say: Callable[[str], None]) -> Iterator[dict[str, System]]:
    """The systems that take part, all paused; ended afterwards, whatever happens."""
    makers: dict[str, Callable[[], System]] = {
        "tallystick": lambda: Tallystick(folder, settings.view),
        "grpc": EmptyCalls,
        "postgres": lambda: Postgres(folder, settings.peer_indexes),
        "redis": lambda: Redis(folder, settings.peer_indexes),
    }
    with contextlib.ExitStack() as stack:
        systems = {}
        for name in dict.fromkeys(cell.system for cell in cells(settings)):
            say(f"starting {name}")
            system = makers[name]()
            stack.callback(system.stop)
            system.pause()
            systems[name] = system
        yield systems


def run(settings: Settings, parent: Path | None, say: Callable[[str], None]) -> Report:
    """Measure. Raises processes.Failed."""
    chosen = machine.use_cores(settings.cores)
    plan, window = cells(settings), Window(warm_s=settings.warm_s, seconds=settings.seconds)
    with tempfile.TemporaryDirectory(prefix="tallystick-benchmark-", dir=parent) as name:
        description = machine.describe(Path(name), chosen)
        with started(settings, Path(name), say) as systems:
            measured: dict[Cell, list[Figures]] = {cell: [] for cell in plan}
            steps = [(number, cell) for number in range(settings.rounds) for cell in plan]
            for step, (number, cell) in enumerate(steps, 1):
                start = time.monotonic()
                figures = measure(systems[cell.system], cell, window)
                measured[cell].append(figures)
                took = time.monotonic() - start
                left = (len(steps) - step) * (window.warm_s + window.seconds + 2)
                say(
                    f"round {number + 1}, {cell}: {figures.orders_per_s:,.0f}/s  "
                    f"({took:.0f} s; about {left / 60:.0f} min left)"
                )
            facts = {key: system.facts() for key, system in systems.items()}
    return Report(
        machine=description,
        settings=settings,
        order_bytes=ORDER_BYTES,
        systems=facts,
        rows=[Row(cell=cell, median=median_of(each), rounds=each) for cell, each in measured.items()],
        ratios=ratios(measured),
        notes=machine.warnings(description) + list(NOTES),
    )


def measure(system: System, cell: Cell, window: Window) -> Figures:
    """One window, in the system's turn."""
    system.resume()
    try:
        return system.measure(cell, window)
    finally:
        system.pause()


def ratios(measured: dict[Cell, list[Figures]]) -> list[Ratio]:
    """Ours over the yardsticks, wherever both were measured; with a target where one is set."""
    found = []
    for shape in dict.fromkeys(cell.shape for cell in measured):
        rounds = {
            (cell.system, cell.mode, cell.in_flight if cell.mode == CALL else 0): figures
            for cell, figures in measured.items()
            if cell.shape == shape
        }
        for (mode, title), (yardstick, name), target in _comparisons(shape):
            ours, theirs = rounds.get(("tallystick", mode, 0)), rounds.get(yardstick)
            if ours and theirs:
                found.append(ratio(f"{title} / {name}: {shape}", ours, theirs, target))
    return found


_Yardstick = tuple[tuple[str, str, int], str]


def _comparisons(shape: Shape) -> Sequence[tuple[tuple[str, str], _Yardstick, float | None]]:
    unary, sdk, batch = (UNARY, "raw unary"), (SDK, "SDK"), (BATCH, "batches")
    lines_3 = shape.lines == 3 and not shape.hot
    return (
        (unary, (("grpc", EMPTY, 0), "empty grpc.aio call"), UNARY_OF_EMPTY),
        (sdk, (("tallystick", UNARY, 0), "raw unary"), SDK_OF_UNARY),
        (unary, (("postgres", CALL, 16), "PostgreSQL, 16 clients"), None),
        (sdk, (("postgres", CALL, 16), "PostgreSQL, 16 clients"), None),
        (
            sdk,
            (("postgres", CALL, 64), "PostgreSQL, 64 clients"),
            HOT_SDK_OF_POSTGRES if shape.hot else None,
        ),
        (
            batch,
            (("postgres", BATCH, 0), "PostgreSQL, 100 a statement"),
            BATCH_OF_POSTGRES if lines_3 else None,
        ),
        (sdk, (("redis", CALL, 64), "Redis, 64 clients"), None),
        (batch, (("redis", BATCH, 0), "Redis, 100 a call"), None),
    )


def say_on_stderr(text: str) -> None:
    """Progress, kept apart from the results."""
    print(text, file=sys.stderr, flush=True)
