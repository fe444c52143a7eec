"""What every synchronous client needs: an asyncio one, and a thread of the SDK's own that runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from tallystick.client.client import Client
from tallystick.client.loop_thread import shared_loop
from tallystick.client.pages import Pages

T = TypeVar("T")


class SyncBase:
    """Opens, closes, and runs what is asynchronous until it is done."""

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        actor: str = "",
        timeout: float = 10.0,
        attempt_timeout: float | None = None,
        read_your_writes: bool = True,
        streams: int = 1,
    ) -> None:
        self._client = Client(
            addresses,
            actor=actor,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            read_your_writes=read_your_writes,
            streams=streams,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, grace: float = 5.0) -> None:
        """Take no more calls, give those under way `grace` seconds, fail the rest, disconnect."""
        self._run(self._client.close(grace))

    @property
    def address(self) -> str:
        """The preferred address."""
        return self._client.address

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where nodes are, the preferred one first."""
        return self._client.addresses

    @property
    def consistency_token(self) -> bytes:
        """See Client."""
        return self._client.consistency_token

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, shared_loop())
        try:
            return future.result()
        finally:
            future.cancel()  # whoever is interrupted while waiting leaves no call behind

    def _iterate(self, start: Callable[[], Pages[T]]) -> Iterator[T]:
        async def begin() -> Pages[T]:
            return start()  # in the loop, to which the client belongs

        pages = self._run(begin())
        while page := self._run(pages.next_page()):
            yield from page
