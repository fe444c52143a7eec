"""What the machine says: processor time, blocks on disk, memory, and what it is. Linux only, from /proc."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchmarks.figures import Figures, quantile

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class Sample(msgspec.Struct, frozen=True):
    """Running totals at one instant; figures are made of the difference of two."""

    at: float
    server_cpu_s: float
    client_cpu_s: float
    disk_bytes: int
    stolen_s: float
    machine_s: float


class Probe:
    """Looks at one server: the process `pid` with all it started, and its files in `data`."""

    def __init__(self, pid: int | None, data: Path | None) -> None:
        self._pid = pid
        self._data = data

    def sample(self, client_cpu_s: float | None = None) -> Sample:
        """Totals now. The client is this process, unless its time is given."""
        stolen_s, machine_s = machine_times()
        return Sample(
            at=time.perf_counter(),
            server_cpu_s=tree_cpu_s(self._pid) if self._pid else 0.0,
            client_cpu_s=time.process_time() if client_cpu_s is None else client_cpu_s,
            disk_bytes=disk_bytes(self._data) if self._data else 0,
            stolen_s=stolen_s,
            machine_s=machine_s,
        )

    def figures(
        self, before: Sample, after: Sample, accepted: int, refused: int, latencies_s: list[float]
    ) -> Figures:
        """What happened between two samples."""
        seconds = after.at - before.at
        per_1000 = 1e6 / accepted if accepted else 0.0
        server_cpu = (after.server_cpu_s - before.server_cpu_s) * per_1000
        disk = (after.disk_bytes - before.disk_bytes) / accepted if accepted else 0.0
        machine_s = after.machine_s - before.machine_s
        return Figures(
            orders_per_s=accepted / seconds,
            p50_ms=quantile(latencies_s, 0.5) * 1e3,
            p99_ms=quantile(latencies_s, 0.99) * 1e3,
            server_cpu_ms_per_1000=server_cpu if self._pid else None,
            client_cpu_ms_per_1000=(after.client_cpu_s - before.client_cpu_s) * per_1000,
            disk_bytes_per_order=disk if self._data else None,
            accepted=accepted,
            refused=refused,
            seconds=seconds,
            steal=(after.stolen_s - before.stolen_s) / machine_s if machine_s else 0.0,
        )


def machine_times() -> tuple[float, float]:
    """Seconds that the host took from this machine, and all seconds, summed over its processors."""
    ticks = [int(word) for word in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7] / _TICKS_PER_S, sum(ticks) / _TICKS_PER_S


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, from the state on; None if it is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(root: int) -> list[int]:
    """A process and all that descend from it, parents first."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir(_PROC):
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, ())
    return found


def tree_cpu_s(root: int) -> float:
    """Processor time of a process and its descendants, those that ended and were waited for included."""
    ticks = 0
    for pid in tree(root):
        fields = _stat(pid)
        if fields is not None:
            ticks += sum(int(word) for word in fields[11:15])
    return ticks / _TICKS_PER_S


def disk_bytes(folder: Path) -> int:
    """Blocks that the files below a folder really take: holes are free."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def memory(pid: int) -> dict[str, int]:
    """Bytes of memory of a process, by the names of /proc/PID/smaps_rollup: Rss, Anonymous, …"""
    text = (_PROC / str(pid) / "smaps_rollup").read_text()
    return {name: int(kb) * 1024 for name, kb in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


def sync_ms(folder: Path, times: int = 50) -> float:
    """The median time to append 4 KiB and fdatasync them, in a scratch file there."""
    path = folder / "sync.probe"
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"\0" * 4096)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - start)
    path.unlink()
    return statistics.median(took) * 1e3


def file_system(folder: Path) -> str:
    """The type of the file system that a folder is on, as the kernel names it."""
    best, kind = "", "unknown"
    for line in (_PROC / "mounts").read_text().splitlines():
        _, mount, name, *_ = line.split()
        if folder.resolve().is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, name
    return kind


def use_cores(count: int) -> list[int]:
    """Keep this process, and all that it starts, to `count` processors. Returns which."""
    chosen = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, chosen)
    return chosen


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where the figures come from."""

    processor: str
    cores: int
    """That server and load shared; the machine may have more."""
    memory_bytes: int
    kernel: str
    python: str
    file_system: str
    sync_ms: float
    """Median of an fdatasync of 4 KiB."""
    load_before: float
    """The load average of a minute, before anything was started."""


def describe(folder: Path, cores: Iterable[int]) -> Machine:
    """The machine, and the disk under `folder`."""
    model = re.search(r"^model name\s*: (.*)$", (_PROC / "cpuinfo").read_text(), re.MULTILINE)
    return Machine(
        processor=model[1] if model else platform.machine(),
        cores=len(list(cores)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        python=platform.python_version(),
        file_system=file_system(folder),
        sync_ms=sync_ms(folder),
        load_before=os.getloadavg()[0],
    )


def warnings(description: Machine) -> list[str]:
    """What makes figures from there worth less."""
    found = []
    if description.load_before > 0.5:
        found.append(f"The machine was not idle before the start (load {description.load_before:.1f}).")
    if description.file_system in ("tmpfs", "ramfs"):
        found.append("THE DATA IS IN MEMORY, so nothing was durable: choose a disk with --dir.")
    return found
