"""Placing orders: what looks like one call an order, and travels in batches on a few streams."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque

from tallystick.client.attempts import backoff_s
from tallystick.client.connection import Connection
from tallystick.client.convert import placed_order, placing_bytes, write_result
from tallystick.client.deadlines import Deadlines
from tallystick.client.errors import ClientClosed, InvalidRequest, OutcomeUnknown, TallystickError
from tallystick.client.failures import failure_of_status
from tallystick.client.stream import Answer, OrderStream, Placing
from tallystick.client.values.order import Order
from tallystick.client.values.write import PlacedOrder
from tallystick.v1 import order_service_pb2

# A request holds 1 MiB. One that is larger would break the stream, for its neighbours too.
_ORDER_BYTES_MAX = (1 << 20) - 4096


class Placer:
    """Places orders for one client, over streams that it opens when there is something to place."""

    def __init__(self, connection: Connection, actor: str, streams: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Placing] = deque()
        self._calls: dict[int, Placing] = {}
        self._numbers = itertools.count(1)
        self._deadlines = Deadlines(self._loop, self._expire)
        header = order_service_pb2.PlaceOrdersRequest(actor=actor).SerializeToString()
        self._streams = [OrderStream(connection, self._queue, header) for _ in range(streams)]
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._emptied: asyncio.Future[None] | None = None

    async def place(self, order: Order, timeout_s: float) -> PlacedOrder:
        """Place one order. Raises TallystickError; after OutcomeUnknown it may be placed."""
        number = next(self._numbers)
        payload = placing_bytes(number, order)
        if len(payload) > _ORDER_BYTES_MAX:
            raise InvalidRequest(
                f"order {order.id} takes {len(payload):,} bytes; {_ORDER_BYTES_MAX:,} is the most",
                reason="INVALID_FIELD",
                metadata={"field": "order"},
            )
        deadline = self._loop.time() + timeout_s
        call = Placing(number, order.id, payload, len(order.lines), timeout_s, deadline)
        self._calls[number] = call
        self._deadlines.watch(deadline)
        try:
            while True:
                answer = await self._send(call)
                message = answer.message
                if not message.HasField("error"):
                    return placed_order(message.order, answer.write)
                await self._fail_or_wait(call, answer)
        finally:
            del self._calls[number]
            if self._emptied is not None and not self._calls:
                self._emptied.set_result(None)

