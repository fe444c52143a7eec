"""Processes that a benchmark starts, pauses and ends: each by the pid that it got, none by a name."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine

_POLL_S = 0.01
ROOT = Path(__file__).resolve().parent.parent
"""The checkout: our own programs are started there, so that `-m benchmarks` finds them."""


class Failed(Exception):
    """Something that a benchmark needs did not work; the message is for people."""


class Process:
    """One started program, with its output at hand."""

    def __init__(self, command: Sequence[str], *, user: str | None = None) -> None:
        self.name = Path(command[0]).name
        self._out = os.memfd_create(self.name)
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            start_new_session=True,  # Ctrl-C is the benchmark's, which ends its processes in order
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
        self._paused: list[int] = []

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def ended(self) -> bool:
        return self._popen.poll() is not None

    def output(self) -> str:
        """All that it has printed so far."""
        size = os.fstat(self._out).st_size
        return os.pread(self._out, size, 0).decode(errors="replace")

    def wait_for(self, pattern: str, timeout_s: float) -> re.Match[str]:
        """Wait until it prints what matches. Raises Failed with its output if it ends or takes too long."""
        until = time.monotonic() + timeout_s
        while True:
            ended = self._popen.poll() is not None
            found = re.search(pattern, self.output())
            if found:
                return found
            if ended or time.monotonic() > until:
                what = "ended" if ended else f"was not ready within {timeout_s:g} s"
                raise Failed(f"{self.name} {what}:\n{self.output()[-2000:]}")
            time.sleep(_POLL_S)

    def pause(self) -> None:
        """Stop it where it stands, with all that it started: its deferred work is for its own turns."""
        if not self._paused and self._popen.poll() is None:
            self._paused = machine.tree(self.pid)
            _signal_all(self._paused, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        paused, self._paused = self._paused, []
        _signal_all(paused[::-1], signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self._popen.kill()
        self._popen.wait()

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 30.0) -> None:
        """End it in order; kill it if that takes too long."""
        if self._popen.poll() is None:
            self.resume()
            self._popen.send_signal(number)
            try:
                self._popen.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
        os.close(self._out)


def _signal_all(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def run(
    command: Sequence[str], *, user: str | None = None, timeout_s: float = 120.0, stdin: str | None = None
) -> str:
    """Run a program to its end and return what it printed. Raises Failed with its errors."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            input=stdin,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            check=False,
            cwd=ROOT,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{Path(command[0]).name} took more than {timeout_s:g} s") from error
    if done.returncode:
        raise Failed(f"{Path(command[0]).name} failed:\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout
