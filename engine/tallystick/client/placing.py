"""Placing orders: what looks like one call an order, and travels in batches on a few streams."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque

import msgspec

from tallystick.client.attempts import backoff_s
from tallystick.client.connection import CLOSED, Connection
from tallystick.client.convert import placed_order, placing_bytes
from tallystick.client.deadlines import Deadlines
from tallystick.client.errors import ClientClosed, InvalidRequest
from tallystick.client.failures import failure_of_status
from tallystick.client.in_flight import InFlight
from tallystick.client.stream import Answer, OrderStream, Placing
from tallystick.client.values.order import Order
from tallystick.client.values.write import PlacedOrder
from tallystick.v1 import order_service_pb2

# A request holds 1 MiB. One that is larger would break the stream, for its neighbours too.
_ORDER_BYTES_MAX = (1 << 20) - 4096


class Placer:
    """Places orders for one client, over streams that it opens when there is something to place."""

    def __init__(self, connection: Connection, in_flight: InFlight, actor: str, streams: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._in_flight = in_flight
        self._queue: deque[Placing] = deque()
        self._calls: dict[int, Placing] = {}
        self._numbers = itertools.count(1)
        self._deadlines = Deadlines(self._loop, self._expire)
        header = order_service_pb2.PlaceOrdersRequest(actor=actor).SerializeToString()
        self._streams = [OrderStream(connection, self._queue, header) for _ in range(streams)]
        self._closed = False

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
            with self._in_flight:
                while True:
                    answer = await self._send(call)
                    if not answer.message.HasField("error"):
                        return _placed(answer)
                    await self._fail_or_wait(call, answer)
        finally:
            del self._calls[number]

    def _send(self, call: Placing) -> asyncio.Future[Answer]:
        """Queue a call and see that some stream takes it; the future is its answer."""
        if self._closed:
            raise call.give_up(CLOSED, under_way=False, if_never_sent=ClientClosed)
        call.future = self._loop.create_future()
        call.sent_to = ""
        self._queue.append(call)
        for stream in self._streams:
            stream.start()
            if stream.wake():
                break
        return call.future

    async def _fail_or_wait(self, call: Placing, answer: Answer) -> None:
        """Raise what an order was refused with, unless waiting may mend it within the deadline."""
        failure = failure_of_status(answer.message.error)
        error = call.fail(failure, answer.node)
        delay = backoff_s(call.count, failure.retry_after_s, random.random())
        if not failure.retryable or self._loop.time() + delay >= call.deadline:
            raise error
        call.count += 1
        await asyncio.sleep(delay)

    def _expire(self, now: float) -> float:
        """Fail the calls whose deadline has passed; the earliest of the others."""
        following = float("inf")
        for call in self._calls.values():
            if call.deadline > now:
                following = min(following, call.deadline)
            elif not call.settled:
                call.settle(
                    call.give_up(f"no answer within {call.timeout_s:g} s", under_way=bool(call.sent_to))
                )
        return following

    async def close(self) -> None:
        """Fail what is still under way, and close the streams."""
        self._closed = True
        for call in self._calls.values():
            call.settle(call.give_up(CLOSED, under_way=bool(call.sent_to), if_never_sent=ClientClosed))
        self._deadlines.stop()
        await asyncio.gather(*(stream.close() for stream in self._streams))


def _placed(answer: Answer) -> PlacedOrder:
    write = answer.write
    if answer.message.replayed:
        write = msgspec.structs.replace(write, replayed=True)
    return placed_order(answer.message.order, write)
