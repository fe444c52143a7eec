"""Single calls: reads, and writes that are repeated under their id until the deadline."""

from __future__ import annotations

import asyncio
import random
from typing import Protocol, TypeVar

import grpc

from tallystick.client.attempts import Attempts, backoff_s
from tallystick.client.connection import CLOSED, Connection
from tallystick.client.errors import ClientClosed, OutcomeUnknown, TallystickError, Unavailable
from tallystick.client.failures import Failure, failure_of_call
from tallystick.client.in_flight import InFlight
from tallystick.v1 import write_pb2


class _Written(Protocol):
    """An answer to a write."""

    @property
    def write(self) -> write_pb2.WriteResult: ...


Request = TypeVar("Request")
Response = TypeVar("Response")
WriteResponse = TypeVar("WriteResponse", bound=_Written)


class Calls:
    """Single calls over one connection. Timeouts are in seconds, for all attempts together."""

    def __init__(self, connection: Connection, in_flight: InFlight) -> None:
        self._connection = connection
        self._in_flight = in_flight
        self._loop = asyncio.get_running_loop()

    async def read(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout_s: float,
    ) -> Response:
        """Read. Raises DefiniteError: a read has no outcome that could be unknown."""
        deadline = self._loop.time() + timeout_s
        tries = 0
        refusal: TallystickError | None = None  # the last thing that a node said
        with self._in_flight:
            while True:
                answer = await self._attempt(method, request, deadline, wait_for_ready=True)
                if not isinstance(answer, Failure):
                    return answer
                if not answer.indefinite:
                    refusal = answer.error
                if not await self._pause(answer, tries, deadline):
                    raise refusal or Unavailable(f"no answer: {answer.error}", reason=answer.error.reason)
                tries += 1

    async def write(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, WriteResponse],
        request: Request,
        attempts: Attempts,
        timeout_s: float,
    ) -> WriteResponse:
        """Write; `request` carries the id that `attempts` names. Raises TallystickError.

        Each attempt waits for a connection first, so an attempt that nobody can have seen is never taken for
        one that may have happened.
        """
        deadline = self._loop.time() + timeout_s
        with self._in_flight:
            while True:
                try:
                    node = await self._connection.node(deadline)
                except TallystickError as error:
                    if attempts.lost_at:
                        raise attempts.give_up(str(error), under_way=False) from error
                    raise
                answer = await self._attempt(method, request, deadline)
                if not isinstance(answer, Failure):
                    self._connection.token = answer.write.consistency_token
                    return answer
                failed = attempts.fail(answer, node)
                if not await self._pause(answer, attempts.count, deadline):
                    raise failed
                attempts.count += 1

    async def _attempt(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        deadline: float,
        *,
        wait_for_ready: bool = False,
    ) -> Response | Failure:
        if self._connection.closed:
            raise ClientClosed(CLOSED)
        try:
            return await method(request, timeout=deadline - self._loop.time(), wait_for_ready=wait_for_ready)
        except grpc.aio.AioRpcError as error:
            return failure_of_call(error)
        except asyncio.CancelledError:
            # Closing the channel cancels its calls; but nobody cancelled this task.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return Failure(OutcomeUnknown(CLOSED), retryable=False, verdict=False, retry_after_s=0.0)

    async def _pause(self, failure: Failure, tries: int, deadline: float) -> bool:
        """Wait before the next attempt; False if there is to be none."""
        delay = backoff_s(tries, failure.retry_after_s, random.random())
        if not failure.retryable or self._loop.time() + delay >= deadline:
            return False
        await asyncio.sleep(delay)
        return True
