"""The asyncio client."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tallystick.client.cluster_calls import ClusterCalls
from tallystick.client.order_calls import OrderCalls
from tallystick.client.stock_calls import StockCalls


class Client(OrderCalls, StockCalls, ClusterCalls):
    """A client of one node or of several, for asyncio.

        async with Client("127.0.0.1:7411", actor="web") as client:
            placed = await client.place_order(currency="EUR", lines=[Line("TEA", 2, amount=1800)])

    It connects when it is first used, in the event loop that runs then, and is used in no other. Any number
    of tasks may share it, and should: orders that are placed at the same time travel together.

    `addresses` is one address or a sequence, the preferred one (usually of the own region) first; each is one
    node's, not a balancer's before several: which node answered decides whether an outcome is known.
    `actor` names who acts, for the history. `timeout` is in seconds, for a call with all its retries; every
    method takes its own. With `read_your_writes`, reads see at least what this client wrote. `streams` is how
    many streams to a node carry orders; more than one was never faster.

    Every call raises `TallystickError`: `DefiniteError` if it did not happen, `OutcomeUnknown` if a write may
    have. Whatever a retry may mend is retried within the timeout, under the same id.

    With several addresses, a call goes to the next if one cannot be reached, stops, is full or too busy, or
    has not answered within `attempt_timeout` seconds: an equal share of the timeout unless given, 2 at most,
    and twice as much in each further round. That one is then tried last, until it answers again, which it is
    asked in the background. A write of stock goes to the node that it names and nowhere else.
    """

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
        super().__init__(
            addresses,
            actor=actor,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            read_your_writes=read_your_writes,
            streams=streams,
        )

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
