"""The connections of a client, and which of them are well: the shell around `choosing` and `tokens`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Any

from tallystick.client.attempts import backoff_s
from tallystick.client.choosing import Health
from tallystick.client.connection import Connection
from tallystick.client.errors import ClientClosed, TallystickError, Unavailable
from tallystick.client.failures import Failure
from tallystick.client.tokens import Tokens

_ATTEMPT_MAX_S = 2.0
_PROBE_S = 2.0


class Fleet:
    """One connection an address, in order of preference. Made inside a running event loop.

    `attempt_timeout_s` is for one attempt in the first round; None leaves it to the time that a call has.
    """

    def __init__(self, addresses: Sequence[str], attempt_timeout_s: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._alone = len(addresses) == 1
        self._attempt_timeout_s = attempt_timeout_s
        self._probes: dict[int, asyncio.Task[None]] = {}
        self._closed = False
        self.connections = tuple(Connection(address, patient=self._alone) for address in addresses)
        self.health = Health(len(addresses))
        self.tokens = Tokens()

    def attempt_s(self, timeout_s: float, rounds: int = 0) -> float:
        """How long one attempt may take of a call that may take `timeout_s`, after so many rounds.

        With one address as long as it likes: there is nobody else to turn to. Later rounds have more time:
        what is merely slow is answered in the end.
        """
        if self._alone:
            return float("inf")
        attempt_s = self._attempt_timeout_s or min(timeout_s / len(self.connections), _ATTEMPT_MAX_S)
        return attempt_s * 2.0 ** min(rounds, 10)

    def failed(self, address: int, failure: Failure) -> None:
        """A call failed there. If the node is unwell, others come first until it says that it is back."""
        if not failure.unwell or self._alone or self._closed or self.health.is_down(address):
            return
        pause = self.health.fail(address, self._loop.time(), random.random())
        if address in self._probes:
            self._probes[address].cancel()  # of an earlier time, which a call has ended
        self._probes[address] = self._loop.create_task(self._probe(address, pause))

    async def _probe(self, address: int, pause: float) -> None:
        """Ask a node that is down, ever more seldom, until it answers this or a call."""
        await asyncio.sleep(pause)
        while self.health.is_down(address):
            if await self.connections[address].probe(_PROBE_S):
                self.health.rise(address)
            elif self.health.is_down(address):
                await asyncio.sleep(self.health.fail(address, self._loop.time(), random.random()))

    async def find(self, node: str, deadline: float) -> int:
        """The address at which `node` is; the preferred one if it is at none, and will say so.

        Raises Unavailable if nobody knows by the deadline, as an address could not be asked.
        """
        for address, connection in enumerate(self.connections):
            if self._alone or connection.known_node == node:
                return address
        asking = {self._loop.create_task(self.node_at(each, deadline)): each for each in self.health.tour}
        pending = set(asking)
        silent: TallystickError | None = None
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception()
                    if error is None and task.result() == node:
                        return asking[task]
                    if isinstance(error, TallystickError):
                        silent = error
        finally:
            await put_away(asking)
        if silent is not None:
            raise Unavailable(f"whether node {node} is there could not be asked: {silent}") from silent
        return 0

    async def node_at(self, address: int, deadline: float) -> str:
        """Who is at an address, and nobody elsewhere: waits until the deadline. Raises Unavailable."""
        tries = 0
        while True:
            try:
                return await self.connections[address].node(deadline)
            except Unavailable as error:
                delay = backoff_s(tries, 0.0, random.random())
                if isinstance(error, ClientClosed) or self._loop.time() + delay >= deadline:
                    raise
            tries += 1
            await asyncio.sleep(delay)

    async def close(self) -> None:
        """Ask nobody any more, and let go of all connections."""
        self._closed = True
        await put_away(self._probes.values())
        await asyncio.gather(*(connection.close() for connection in self.connections))


async def put_away(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel those that still run, and hear all out, whose results nobody wants any more."""
    tasks = tuple(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
