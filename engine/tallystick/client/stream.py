"""One long-lived PlaceOrders stream: what waits goes out, answers come in, a break is told to who waits."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from typing import NamedTuple, cast

import grpc

from tallystick.client import errors
from tallystick.client.attempts import Attempts, backoff_s
from tallystick.client.batching import Batcher, Limits
from tallystick.client.connection import Connection, PlaceOrdersCall, only_the_call_was_cancelled
from tallystick.client.convert import write_result
from tallystick.client.failures import Failure, failure_of_call, unanswered, unreachable
from tallystick.client.fleet import Fleet
from tallystick.client.values.write import WriteResult
from tallystick.v1.order_service_pb2 import PlaceOrdersAnswer, PlaceOrdersResponse

_LIMITS = Limits()
# An order that was on so many streams when they broke may be what breaks them.
_BREAKS_MAX = 5
_FAREWELL_S = 1.0
_ENDED = unanswered("the stream ended", unwell=True)


class Answer(NamedTuple):
    """What became of one order, and the node that said so."""

    message: PlaceOrdersAnswer
    write: WriteResult
    node: str


class Placing:
    """One attempt at placing an order.

    Each has a number of its own, so an answer to an earlier one, from a node that thaws, is not taken for an
    answer to this.
    """

    __slots__ = (
        *("address", "attempt_s", "attempts", "deadline", "future", "lines", "number", "payload"),
        *("sent_to", "since", "size", "until"),
    )

    def __init__(
        self,
        number: int,
        payload: bytes,
        lines: int,
        attempts: Attempts,
        address: int,
        since: float,
        attempt_s: float,
        deadline: float,
        future: asyncio.Future[Answer | Failure],
    ) -> None:
        self.number = number
        self.payload = payload
        self.size = len(payload)
        self.lines = lines
        self.attempts = attempts
        self.address = address
        self.attempt_s = attempt_s
        self.deadline = deadline
        self.future = future
        self.sent_to = ""  # the node whose answer is awaited
        self.since = since  # when it was queued; then when it was sent
        self.until = min(deadline, since + attempt_s)  # when to look after it

    @property
    def settled(self) -> bool:
        return self.future.done()

    def answer(self, answer: Answer | Failure) -> None:
        """End this attempt, unless it was answered or given up."""
        if not self.future.done():
            self.future.set_result(answer)

    def settle(self, error: errors.TallystickError) -> None:
        """Fail the call, unless the attempt was answered or given up."""
        if not self.future.done():
            self.future.set_exception(error)


class OrderStream:
    """Writes what is in `queue`, which other streams may share, once it is started."""

    def __init__(
        self, fleet: Fleet, connection: Connection, queue: deque[Placing], header: bytes, connect_s: float
    ) -> None:
        self._fleet = fleet
        self._connection = connection
        self._queue = queue
        self._header = header
        self._connect_s = connect_s
        self._batcher: Batcher[Placing] = Batcher(queue, _LIMITS)
        self._parked: asyncio.Future[None] | None = None
        self._breaks = 0  # in a row
        self._heard = False  # anything, on the present stream
        self._answered_at = 0.0
        self._call: PlaceOrdersCall | None = None
        self._closing = False
        self._loop = asyncio.get_running_loop()
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
            self._task = self._loop.create_task(self._run())

    def cut_if_silent(self, since: float) -> bool:
        """End the present stream if orders are under way on it and nothing was answered `since` then.

        The node learns of it, should it thaw, and need not begin what it has not read.
        """
        if self._call is None or self._batcher.idle or self.has_answered(since):
            return False
        self._call.cancel()
        return True

    def has_answered(self, since: float) -> bool:
        """Whether any order was answered since then."""
        return self._answered_at >= since

    async def close(self) -> None:
        """End the stream, in order if it is open; nothing may be waiting or under way any more."""
        self._closing = True
        if self._task is None:
            return
        if self._call is not None:
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
                node = await self._connection.node(self._connect_until())
            except errors.TallystickError as error:
                self._refuse_waiting(unreachable(error))
                continue
            failure = await self._pump(self._connection.place_orders(), node)
            if not self._closing:
                self._break_off(failure)
                delay = backoff_s(self._breaks, failure.retry_after_s, random.random())
                self._breaks += 1
                await asyncio.sleep(delay)

    def _connect_until(self) -> float | None:
        """When to give up looking for a node, on the loop's clock; None for never."""
        return None if self._connection.patient else self._loop.time() + self._connect_s

    async def _pump(self, call: PlaceOrdersCall, node: str) -> Failure:
        """Write and read until the stream ends, and answer why."""
        self._heard = False
        self._call = call
        reader = self._loop.create_task(self._read(call, node))
        reader.add_done_callback(lambda _: self.wake())
        try:
            # If writing fails, the reader knows why.
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._write(call, node, reader)
        except asyncio.CancelledError:
            if not only_the_call_was_cancelled():
                raise
        finally:
            self._call = None
            call.cancel()
            await asyncio.wait({reader})
        return _ENDED if reader.cancelled() else reader.result()

    async def _write(self, call: PlaceOrdersCall, node: str, reader: asyncio.Task[Failure]) -> None:
        while not reader.done():
            now = self._loop.time()
            message = self._batcher.next_message(now)
            if message:
                for placing in message:
                    placing.sent_to = node
                    placing.since = now
                await call.write(b"".join((self._header, *(placing.payload for placing in message))))
            elif self._closing:
                await call.done_writing()
                await asyncio.wait({reader}, timeout=_FAREWELL_S)
                return
            else:
                await self._park(self._batcher.held_until(now) if self._queue else None)

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
            self._answered_at = self._loop.time()
            if response.write.consistency_token:
                self._fleet.tokens.wrote(node, response.write.consistency_token)
            write = write_result(response.write)
            for message in response.answers:
                placing = self._batcher.answered(message.number)
                if placing is not None:
                    placing.answer(Answer(message, write, node))
        if self._queue:
            self.wake()

    def _break_off(self, failure: Failure) -> None:
        """Tell all that were under way on a broken stream, so that they are sent again under their ids.

        A node answers all that it has read before it ends a stream by itself, with a reason: what then has
        no answer was never begun. Of any other end nobody knows.
        """
        own_words = bool(failure.error.reason) or not self._heard
        never_begun = own_words and not failure.indefinite
        lost = failure if never_begun else unanswered(str(failure.error), unwell=True)
        for placing in self._batcher.break_off():
            if not never_begun:
                placing.attempts.breaks += 1
            fatal = placing.attempts.breaks == _BREAKS_MAX
            placing.answer(lost._replace(retryable=False, elsewhere=False) if fatal else lost)
        if not self._connection.patient:
            why = errors.Unavailable(f"the stream to {self._connection.address} broke: {failure.error}")
            self._refuse_waiting(unreachable(why))

    def _refuse_waiting(self, failure: Failure) -> None:
        """Tell all that wait for a node at this address that there is none."""
        while self._queue:
            self._queue.popleft().answer(failure)

    async def _park(self, until: float | None = None) -> None:
        """Sleep until there may be something to do, `until` at the latest."""
        self._parked = self._loop.create_future()
        timer = None if until is None else self._loop.call_at(until, self.wake)
        try:
            await self._parked
        finally:
            self._parked = None
            if timer is not None:
                timer.cancel()
