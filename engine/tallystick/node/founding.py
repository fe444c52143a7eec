"""The first event of a cluster, written before the node serves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tallystick.core.errors import Refused
from tallystick.core.replica.commands import Command, Found
from tallystick.node.engine import Engine, Receipt, Result
from tallystick.store.port import StoreFull


class FoundJob:
    """Writes the founder's member record."""

    deadline = None

    def __init__(self, command: Found) -> None:
        self._command = command
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, engine: Engine) -> None:
        """Submit, and wait until it is on disk. Raises StoreFull; engine and store are closed then."""
        engine.submit(self)
        try:
            await self._done
        except Refused as refusal:
            await asyncio.to_thread(engine.stop)
            engine.store.close()
            raise StoreFull(refusal.message) from refusal

    def commands(self) -> Sequence[Command]:
        return (self._command,)

    def answer(self, results: Sequence[Result], receipt: Receipt) -> Result:
        return results[0]

    def deliver(self, answer: Result) -> None:
        if isinstance(answer, Refused):
            self._done.set_exception(answer)
        else:
            self._done.set_result(None)
