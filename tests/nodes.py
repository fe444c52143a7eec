"""Real node processes for tests: started as a user would, and ended by their own pid.

    with start_node(tmp_path / "eu", region="eu") as node:
        channel = grpc.insecure_channel(node.address)
        node.kill()  # the power fails

Whatever happens in the block, the process is gone after it. `env` and further flags reach the node as given.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVING = re.compile(r"tally node (?P<name>\S+) \(region (?P<region>\S+)\) serving on (?P<address>\S+)\n")
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


@dataclass
class Node:
    """A node that serves."""

    process: subprocess.Popen[bytes]
    data: Path
    log: Path
    name: str
    region: str
    address: str

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it like a power failure: no time for anything."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and answer its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT_S)

    def logged(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def start_node(
    data: Path,
    *flags: str,
    listen: str = "127.0.0.1:0",
    region: str = "eu",
    new_cluster: bool = True,
    env: Mapping[str, str] | None = None,
) -> Iterator[Node]:
    """A node on `data`. To start one again where clients know it, give the `listen` of its last address."""
    command = [sys.executable, "-m", "tallystick", "node", "start", "--data", str(data)]
    command += ["--listen", listen, "--region", region, *(["--new-cluster"] if new_cluster else []), *flags]
    log = data.with_name(data.name + ".log")
    with log.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=clean_env(env))
    try:
        found = SERVING.fullmatch(_first_line(process, log))
        assert found, log.read_text(encoding="utf-8", errors="replace")
        yield Node(process, data, log, found["name"], found["region"], found["address"])
    finally:
        _end(process)


def run_tally(
    *words: str, node: Node | None = None, stdin: str | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, with `node` for its target; its exit code and output are the answer."""
    target = {"TALLY_TARGET": node.address} if node else {}
    return subprocess.run(
        [sys.executable, "-m", "tallystick", *words],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=READY_TIMEOUT_S,
        env=clean_env({**target, **(env or {})}),
    )


def clean_env(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would configure `tally` behind a test's back."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
    return {**kept, **(more or {})}


def _first_line(process: subprocess.Popen[bytes], log: Path) -> str:
    """The first line on stdout; fails the test if the process ends or takes too long instead."""
    assert process.stdout is not None
    line = b""
    until = time.monotonic() + READY_TIMEOUT_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, until - time.monotonic())):
                raise AssertionError(
                    f"the node does not serve after {READY_TIMEOUT_S:g} s\n{log.read_text()}"
                )
            read = os.read(process.stdout.fileno(), 4096)
            if not read:
                code = process.wait(STOP_TIMEOUT_S)
                raise AssertionError(f"the node ended with {code} before it served\n{log.read_text()}")
            line += read
    return line.decode()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
