"""A node of one's own: a `tally node start` in a process, for as long as it is needed."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tallystick.cli.errors import NodeNotStarted

LOOPBACK = "127.0.0.1:0"

_SERVING = re.compile(rb"serving on (\S+)\s*$")
_START_S = 30.0
_STOP_S = 15.0
_LOG_TAIL = 2_000

T = TypeVar("T")


class NodeProcess:
    """One node process. `address` is where it serves; its log goes to `log`."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, log: Path) -> None:
        self._process = process
        self.address = address
        self.log = log

    @classmethod
    async def start(
        cls, data: Path, region: str, *, listen: str = LOOPBACK, flags: Iterable[str] = ("--new-cluster",)
    ) -> NodeProcess:
        """Start a node on a data directory, and wait until it serves. Raises NodeNotStarted."""
        log = data.with_name(f"{data.name}.log")
        command = [sys.executable, "-m", "tallystick", "node", "start", *flags]
        command += ["--data", str(data), "--listen", listen, "--region", region]
        with log.open("ab") as logs:
            # In a session of its own: Ctrl-C is for us, and we end the node when its clients are done.
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=logs,
                start_new_session=True,
            )
        node = cls(process, "", log)
        try:
            node.address = await asyncio.wait_for(node._first_words(), _START_S)
        except BaseException as error:
            await node.kill()
            if isinstance(error, TimeoutError):
                raise NodeNotStarted(f"the node did not serve within {_START_S:g} s; see {log}") from None
            raise
        return node

    async def _first_words(self) -> str:
        """Its address, from the line that it prints when it serves."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            serving = _SERVING.search(line)
            if serving:
                return serving[1].decode()
        raise NodeNotStarted(f"the node ended before it served: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-_LOG_TAIL:].strip() or "none"

    async def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and wait until it is gone; SIGKILL if it does not go."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            await self.kill()


@contextlib.contextmanager
def scratch_directory(prefix: str) -> Iterator[Path]:
    """A temporary directory that goes away with all that is in it."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.asynccontextmanager
async def own_node(data: Path | None, region: str) -> AsyncIterator[NodeProcess]:
    """A node on `data`, which stays; or in a directory that goes away with it."""
    with contextlib.ExitStack() as stack:
        if data is None:
            data = stack.enter_context(scratch_directory(f"tally-{region}-")) / "node"
        data.parent.mkdir(parents=True, exist_ok=True)
        node = await NodeProcess.start(data, region)
        try:
            yield node
        finally:
            await node.stop()


def run_cleaning_up(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in which SIGTERM, like Ctrl-C, ends what was started: no node stays behind."""

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await main

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise SystemExit(128 + signal.SIGTERM) from None
