"""The first event of a cluster, written before the node serves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tallystick.core.replica.commands import Command
from tallystick.node.engine import Engine
from tallystick.node.jobs import Job, Receipt, Result


class OwnJob(Job):
    """A command that the node's start waits for; or none: then what was committed before it has left."""

    def __init__(self, *commands: Command) -> None:
        self._commands = commands
        self._done: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()

    async def run(self, engine: Engine) -> Result | None:
        """Submit, and wait until it is on disk or refused."""
        engine.submit(self)
        return await self._done

    def commands(self) -> Sequence[Command]:
        return self._commands

    def answer(self, results: Sequence[Result], receipt: Receipt) -> Result | None:
        return results[0] if results else None

    def deliver(self, answer: Result | None) -> None:
        if not self._done.done():
            self._done.set_result(answer)
