"""Placing orders: what looks like one call an order, and travels in batches on a few streams."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque

import msgspec

from tallystick.client.attempts import Attempts
from tallystick.client.choosing import Route
from tallystick.client.connection import CLOSED
from tallystick.client.convert import placed_order, placing_bytes
from tallystick.client.deadlines import Deadlines
from tallystick.client.errors import ClientClosed, InvalidRequest, Unavailable
from tallystick.client.failures import (
    Failure,
    failure_of_status,
    unanswered,
    unreachable,
    worth_trying_elsewhere,
)
from tallystick.client.fleet import Fleet
from tallystick.client.in_flight import InFlight
from tallystick.client.stream import Answer, OrderStream, Placing
from tallystick.client.values.order import Order
from tallystick.client.values.write import PlacedOrder
from tallystick.v1 import order_service_pb2

# A request holds 1 MiB. One that is larger would break the stream, for its neighbours too.
_ORDER_BYTES_MAX = (1 << 20) - 4096


class Lane:
    """The streams to one address, and what waits for them."""

    def __init__(self, fleet: Fleet, address: int, header: bytes, streams: int, connect_s: float) -> None:
        connection = fleet.connections[address]
        self.address = connection.address
        self._queue: deque[Placing] = deque()
        self.streams = [
            OrderStream(fleet, connection, self._queue, header, connect_s) for _ in range(streams)
        ]

    def take(self, call: Placing) -> None:
        """Queue an attempt and see that some stream sends it."""
        self._queue.append(call)
        for stream in self.streams:
            stream.start()
            if stream.wake():
                break

    def time_out(self, call: Placing) -> Failure | None:
        """What an attempt has come to whose time is over; None if it waits its turn and others are answered.

        If none are, the time of the stream is over, too.
        """
        if call.sent_to:
            silent = [stream.cut_if_silent(call.since) for stream in self.streams]
            return unanswered(f"{self.address} did not answer in time", unwell=any(silent))
        if any(stream.has_answered(call.since) for stream in self.streams):
            return None
        return unreachable(Unavailable(f"{self.address} did not take it in time"))


class Placer:
    """Places orders for one client, over streams that it opens when there is something to place."""

    def __init__(
        self, fleet: Fleet, in_flight: InFlight, actor: str, *, streams: int, timeout_s: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._fleet = fleet
        self._in_flight = in_flight
        self._calls: dict[int, Placing] = {}
        self._numbers = itertools.count(1)
        self._deadlines = Deadlines(self._loop, self._expire)
        header = order_service_pb2.PlaceOrdersRequest(actor=actor).SerializeToString()
        connect_s = fleet.attempt_s(timeout_s)
        self._lanes = [
            Lane(fleet, address, header, streams, connect_s) for address in range(len(fleet.connections))
        ]
        self._closed = False

    async def place(self, order: Order, timeout_s: float, *, try_elsewhere: bool = False) -> PlacedOrder:
        """Place one order. Raises TallystickError; after OutcomeUnknown it may be placed."""
        deadline = self._loop.time() + timeout_s
        attempts = Attempts(order.id, order.id)
        route = Route(self._fleet.health)
        with self._in_flight:
            while True:
                address = route.next()
                attempt_s = self._fleet.attempt_s(timeout_s, route.rounds)
                call = self._send(order, attempts, address, attempt_s, deadline)
                try:
                    answer = await call.future
                finally:
                    del self._calls[call.number]
                if isinstance(answer, Answer) and not answer.message.HasField("error"):
                    route.wrote()
                    return _placed(answer)
                await self._fail_or_wait(call, _failure_of(answer, try_elsewhere), route)

    def _send(
        self, order: Order, attempts: Attempts, address: int, attempt_s: float, deadline: float
    ) -> Placing:
        """Begin an attempt: queue it in its lane."""
        if self._closed:
            raise attempts.give_up(CLOSED, under_way=False, if_never_sent=ClientClosed)
        number = next(self._numbers)
        payload = placing_bytes(number, order)
        if len(payload) > _ORDER_BYTES_MAX:
            raise InvalidRequest(
                f"order {order.id} takes {len(payload):,} bytes; {_ORDER_BYTES_MAX:,} is the most",
                reason="INVALID_FIELD",
                metadata={"field": "order"},
            )
        loop = self._loop
        call = Placing(
            *(number, payload, len(order.lines), attempts, address),
            *(loop.time(), attempt_s, deadline, loop.create_future()),
        )
        self._calls[number] = call
        self._deadlines.watch(call.until)
        self._lanes[address].take(call)
        return call

    async def _fail_or_wait(self, call: Placing, failure: Failure, route: Route) -> None:
        """Raise what an order was refused with, unless another attempt may mend it within the deadline."""
        call.attempts.note(failure, call.sent_to)
        self._fleet.failed(call.address, failure)
        delay = route.after(failure, random.random())
        if delay is None or self._loop.time() + delay >= call.deadline:
            raise call.attempts.conclude(route.told)
        if delay:
            await asyncio.sleep(delay)

    def _expire(self, now: float) -> float:
        """End the attempts and the calls whose time is over; when that of the next one is."""
        following = float("inf")
        for call in self._calls.values():
            if call.until <= now and not call.settled:
                self._time_out(call, now)
            if not call.settled:
                following = min(following, call.until)
        return following

    def _time_out(self, call: Placing, now: float) -> None:
        """A call whose time is over fails. An attempt's begins when it is sent, however long it waited."""
        if call.deadline <= now:
            call.settle(call.attempts.give_up("no answer in time", under_way=bool(call.sent_to)))
            return
        if call.since + call.attempt_s <= now:
            failure = self._lanes[call.address].time_out(call)
            if failure is not None:
                call.answer(failure)
                return
            call.since = now
        call.until = min(call.deadline, call.since + call.attempt_s)

    async def close(self) -> None:
        """Fail what is still under way, and close the streams."""
        self._closed = True
        for call in self._calls.values():
            under_way = bool(call.sent_to)
            call.settle(call.attempts.give_up(CLOSED, under_way=under_way, if_never_sent=ClientClosed))
        self._deadlines.stop()
        await asyncio.gather(*(stream.close() for lane in self._lanes for stream in lane.streams))


def _failure_of(answer: Answer | Failure, try_elsewhere: bool) -> Failure:
    """What an attempt that placed nothing has come to."""
    if isinstance(answer, Failure):
        return answer
    failure = failure_of_status(answer.message.error)
    return worth_trying_elsewhere(failure) if try_elsewhere else failure


def _placed(answer: Answer) -> PlacedOrder:
    write = answer.write
    if answer.message.replayed:
        write = msgspec.structs.replace(write, replayed=True)
    return placed_order(answer.message.order, write)
