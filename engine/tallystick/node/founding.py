"""The first event of a cluster, written before the node serves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tallystick.core.replica.commands import Command
from tallystick.node.engine import Engine
from tallystick.node.jobs import Job, Receipt, Result


class OwnJob(Job):
    """A command that the node's start waits for."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    async def run(self, engine: Engine) -> Result:
        """Submit, and wait until it is on disk or refused."""
        engine.submit(self)
        return await self._done

    def commands(self) -> Sequence[Command]:
        return (self._command,)

    def answer(self, results: Sequence[Result], receipt: Receipt) -> Result:
        return results[0]

    def deliver(self, answer: Result) -> None:
        self._done.set_result(answer)
