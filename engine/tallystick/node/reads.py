"""Reads: on the store's snapshots, in threads of their own, so that no read waits for a write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from tallystick.core.clock import EMPTY_HEAD
from tallystick.core.codec import decode
from tallystick.core.errors import InvalidField, Refused
from tallystick.node.engine import Engine
from tallystick.store.reader import Reader

T = TypeVar("T")


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

    async def run(self, token: bytes, read: Callable[[Reader], T]) -> T:
        """Answer `read` of a state that has what `token` stands for. Raises Refused."""
        self._check(token)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, read)

    def close(self) -> None:
        """Finish what runs."""
        self._pool.shutdown()

    def _run(self, read: Callable[[Reader], T]) -> T:
        with self._engine.store.read() as reader:
            return read(reader)

    def _check(self, token: bytes) -> None:
        if not token:
            return
        try:
            replica, seq, digest = decode(token, tuple[int, int, bytes])
        except msgspec.MsgspecError as problem:
            raise InvalidField("consistency_token", "is not one that a node has given") from problem
        head = self._engine.driver.vector.get(replica, EMPTY_HEAD)
        here = head.seq
        if seq > here or (seq == here and digest != head.digest):
            raise BehindToken(replica, seq, here)
