"""Reads: on the store's snapshots, in threads of their own, so that no read waits for a write.

One that brings a consistency token waits until what the token stands for is on disk here, within its
deadline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tallystick.core.clock import EMPTY_HEAD, Head, Vector
from tallystick.core.codec import DecodeError
from tallystick.core.errors import InvalidField, Refused
from tallystick.node.engine import Engine
from tallystick.node.identity import decode_token
from tallystick.store.reader import Reader

T = TypeVar("T")

MARGIN_S = 0.05
"""Who waits in vain must hear so this long before the deadline."""
WAIT_S = 1.0
"""How long a read waits that has no deadline."""


class BehindToken(Refused):
    """This node has not seen the write that the token stands for."""

    def __init__(self, replica: int, wanted: int, here: int) -> None:
        super().__init__(
            "BEHIND_TOKEN",
            f"the token is of event {wanted} of node {replica:012x}; this node has seen {here} of its events",
            {"node": f"{replica:012x}", "wanted": str(wanted), "here": str(here)},
        )


class Reads:
    """Runs read functions on committed state."""

    def __init__(self, engine: Engine, threads: int = 2) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reads")

    async def run(self, token: bytes, deadline: float | None, read: Callable[[Reader], T]) -> T:
        """Answer `read` of a state that has what `token` stands for; `deadline` on time.monotonic(). Raises
        Refused."""
        if token:
            await self._reach(_read_token(token), deadline)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, read)

    def close(self) -> None:
        """Finish what runs."""
        self._pool.shutdown()

    def _run(self, read: Callable[[Reader], T]) -> T:
        with self._engine.store.read() as reader:
            return read(reader)

    async def _reach(self, token: Vector, deadline: float | None) -> None:
        """Wait until the token's writes are on disk here. Raises BehindToken."""
        until = time.monotonic() + WAIT_S if deadline is None else deadline - MARGIN_S
        driver = self._engine.driver
        seen = driver.vector
        while missing := [replica for replica, head in token.items() if not _has(seen, replica, head)]:
            left = until - time.monotonic()
            for replica in missing:
                here, wanted = seen.get(replica, EMPTY_HEAD).seq, token[replica].seq
                # What a stranger wrote, or what we ourselves did not, never comes; nor does another branch.
                may_come = replica in driver.peering.members and replica != driver.replica.replica
                if left <= 0 or not may_come or here >= wanted:
                    raise BehindToken(replica, wanted, here)
            await self._engine.progress(seen, left)
            seen = driver.vector


def _has(vector: Vector, replica: int, wanted: Head) -> bool:
    head = vector.get(replica, EMPTY_HEAD)
    return head.seq > wanted.seq or head == wanted


def _read_token(token: bytes) -> Vector:
    try:
        return decode_token(token)
    except DecodeError as problem:
        raise InvalidField("consistency_token", "is not one that a node has given") from problem
