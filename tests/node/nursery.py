"""Many lives of a node in little time: each is a process, forked from one that has done its imports.

Starting Python and importing gRPC takes most of a node's start. The nursery does it once and forks for each
life, before anything is opened, which is when forking is safe.

    python -m tests.node.nursery    # {"start": {…settings…}, "log": …} or {"wait": pid} a line, on stdin
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallystick.core.members import node_name
from tallystick.node.settings import Settings
from tallystick.rpc.server import RunningNode, run

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Life:
    """A node that serves, until it is killed or stopped."""

    pid: int
    address: str
    node: str
    nursery: Nursery

    def kill(self) -> None:
        """End it like a power failure: no time for anything."""
        assert self.end(signal.SIGKILL) == -signal.SIGKILL

    def end(self, number: signal.Signals) -> int:
        """Send a signal; answers the exit code, or the negative of the signal that ended it."""
        os.kill(self.pid, number)
        return int(self.nursery.tell(wait=self.pid)["code"])


class Nursery:
    """The process that lives are forked from, seen from the test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, **order: Any) -> Any:
        """Give an order; answers what the nursery says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        assert select.select([self._process.stdout], [], [], PATIENCE_S)[0], "the nursery says nothing"
        return json.loads(self._process.stdout.readline())

    def start(self, log: Path, **settings: Any) -> Life:
        """Begin a life; its log goes to the end of a file. Waits until it serves."""
        born = self.tell(start=settings, log=str(log))
        assert "address" in born, log.read_text(encoding="utf-8")
        return Life(born["pid"], born["address"], born["node"], self)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery for the length of a block; no life outlasts it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.node.nursery"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield Nursery(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE_S)
        assert process.stdout is not None
        process.stdout.close()


# ----------------------------------------------------------------------------------- in the nursery itself


def main() -> None:
    """Obey until stdin ends; then end every life that is left."""
    lives: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "start" in order:
            told = _bear(order["start"], order["log"])
            lives.add(told["pid"])
        else:
            _, status = os.waitpid(order["wait"], 0)
            lives.discard(order["wait"])
            told = {"code": os.waitstatus_to_exitcode(status)}
        print(json.dumps(told), flush=True)
    for pid in lives:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _bear(settings: dict[str, Any], log: str) -> dict[str, Any]:
    """Fork a life and wait until it serves, or has ended."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _live(settings, log, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.readline()
    return {"pid": pid, **(json.loads(said) if said else {})}


def _live(settings: dict[str, Any], log: str, writing: int) -> None:
    """Be a node, and nothing else any more."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)

        def serving(running: RunningNode) -> None:
            told = {"address": running.address, "node": node_name(running.identity.replica)}
            os.write(writing, json.dumps(told).encode() + b"\n")
            os.close(writing)

        run(Settings(**settings), serving)
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
