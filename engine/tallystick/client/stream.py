"""One long-lived PlaceOrders stream: what waits goes out, answers come in, and a break is mended."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from typing import NamedTuple, cast

import grpc

from tallystick.client import errors
from tallystick.client.attempts import Attempts, backoff_s
from tallystick.client.batching import Batcher, Limits, put_first
from tallystick.client.connection import Connection, PlaceOrdersCall
from tallystick.client.convert import write_result
from tallystick.client.failures import Failure, failure_of_call
from tallystick.client.values.write import WriteResult
from tallystick.v1.order_service_pb2 import PlaceOrdersAnswer, PlaceOrdersResponse

_LIMITS = Limits()
# An order that was on so many streams when they broke may be what breaks them.
_BREAKS_MAX = 5
_FAREWELL_S = 1.0
_ENDED = Failure(errors.OutcomeUnknown("the stream ended"), retryable=True, verdict=False, retry_after_s=0.0)


class Answer(NamedTuple):
    """What became of one order, and the node that said so."""

    message: PlaceOrdersAnswer
    write: WriteResult
    node: str


class Placing(Attempts):
    """One order on its way: encoded once, sent as often as it takes."""

    __slots__ = ("breaks", "deadline", "future", "lines", "number", "payload", "sent_to", "size", "timeout_s")

    future: asyncio.Future[Answer]

    def __init__(
        self, number: int, order_id: str, payload: bytes, lines: int, timeout_s: float, deadline: float
    ) -> None:
        super().__init__(order_id, order_id)
        self.number = number
        self.payload = payload
        self.size = len(payload)
        self.lines = lines
        self.timeout_s = timeout_s
        self.deadline = deadline
        self.sent_to = ""  # the node whose answer is awaited
        self.breaks = 0

    @property
    def settled(self) -> bool:
        return self.future.done()

    def settle(self, error: errors.TallystickError) -> None:
        """Fail it, unless it was answered or given up."""
        if not self.future.done():
            self.future.set_exception(error)


class OrderStream:
    """Writes what is in `queue`, which other streams may share, once it is started."""

    def __init__(self, connection: Connection, queue: deque[Placing], header: bytes) -> None:
        self._connection = connection
        self._queue = queue
        self._header = header
        self._batcher: Batcher[Placing] = Batcher(queue, _LIMITS)
        self._parked: asyncio.Future[None] | None = None
        self._breaks = 0  # in a row
        self._heard = False  # anything, on the present stream
        self._open = False
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> bool:
        """Look at the queue again. False if the stream was not waiting for work."""
        if self._parked is None or self._parked.done():
            return False
        self._parked.set_result(None)
        return True

    def start(self) -> None:
        """Run in the background until `close`, if it doesn't already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """End the stream, in order if it is open; nothing may be waiting or under way any more."""
        self._closing = True
        if self._task is None:
            return
        if self._open:
            self.wake()
            await asyncio.wait({self._task}, timeout=2 * _FAREWELL_S)
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        """Keep a stream open while there is work, and open another when it breaks."""
        while not self._closing:
            if not self._queue:
                await self._park()
                continue
            try:
                node = await self._connection.node()
            except errors.TallystickError as error:
                self._refuse_all(error)
                continue
            failure = await self._pump(self._connection.place_orders(), node)
            if not self._closing:
                self._mend(failure, node)
                delay = backoff_s(self._breaks, failure.retry_after_s, random.random())
                self._breaks += 1
                await asyncio.sleep(delay)

    async def _pump(self, call: PlaceOrdersCall, node: str) -> Failure:
        """Write and read until the stream ends, and answer why."""
        self._heard = False
        self._open = True
        reader = asyncio.get_running_loop().create_task(self._read(call, node))
        reader.add_done_callback(lambda _: self.wake())
        try:
            # If writing fails, the reader knows why.
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._write(call, node, reader)
        finally:
            self._open = False
            call.cancel()
            await asyncio.wait({reader})
        return _ENDED if reader.cancelled() else reader.result()

    async def _write(self, call: PlaceOrdersCall, node: str, reader: asyncio.Task[Failure]) -> None:
        loop = asyncio.get_running_loop()
        while not reader.done():
            message = self._batcher.next_message(loop.time())
            if message:
                for placing in message:
                    placing.sent_to = node
                await call.write(b"".join((self._header, *(placing.payload for placing in message))))
            elif self._closing:
                await call.done_writing()
                await asyncio.wait({reader}, timeout=_FAREWELL_S)
                return
            else:
                await self._park(self._batcher.held_until(loop.time()) if self._queue else None)

    async def _read(self, call: PlaceOrdersCall, node: str) -> Failure:
        try:
            while (response := await call.read()) is not grpc.aio.EOF:
                self._hand_out(cast(PlaceOrdersResponse, response), node)
        except grpc.aio.AioRpcError as error:
            return failure_of_call(error)
        return _ENDED

    def _hand_out(self, response: PlaceOrdersResponse, node: str) -> None:
        """Give each answer to who waits for it."""
        self._heard = True
        if response.window_lines:
            self._batcher.window_lines = response.window_lines
        if response.answers:
            self._breaks = 0
            if response.write.consistency_token:
                self._connection.token = response.write.consistency_token
            write = write_result(response.write)
            for message in response.answers:
                placing = self._batcher.answered(message.number)
                if placing is not None and not placing.future.done():
                    placing.future.set_result(Answer(message, write, node))
        if self._queue:
            self.wake()

    def _mend(self, failure: Failure, node: str) -> None:
        """Put what was under way on a broken stream back in front, to be sent again under its ids.

        A node answers all that it has read before it ends a stream by itself, with a reason: what then has
        no answer was never begun. Of any other end nobody knows.
        """
        own_words = bool(failure.error.reason) or not self._heard
        never_begun = own_words and not failure.indefinite
        lost = self._batcher.break_off()
        for placing in lost:
            placing.sent_to = ""
            if not never_begun:
                placing.lose(node)
                placing.breaks += 1
            if placing.breaks == _BREAKS_MAX or (never_begun and not failure.retryable):
                placing.settle(placing.fail(failure, node))
        put_first(self._queue, (placing for placing in lost if not placing.settled))

    def _refuse_all(self, error: errors.TallystickError) -> None:
        """There is no node at this address: fail all that wait for one."""
        failure = Failure(error, retryable=False, verdict=False, retry_after_s=0.0)
        while self._queue:
            placing = self._queue.popleft()
            placing.settle(placing.fail(failure, ""))

    async def _park(self, until: float | None = None) -> None:
        """Sleep until there may be something to do, `until` at the latest."""
        loop = asyncio.get_running_loop()
        self._parked = loop.create_future()
        timer = None if until is None else loop.call_at(until, self.wake)
        try:
            await self._parked
        finally:
            self._parked = None
            if timer is not None:
                timer.cancel()
