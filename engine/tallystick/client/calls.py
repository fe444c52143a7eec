"""Single calls: reads, and writes that are repeated under their id, here or elsewhere, until the deadline."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import grpc

from tallystick.client.attempts import Attempts
from tallystick.client.choosing import Route
from tallystick.client.connection import CLOSED, Connection, only_the_call_was_cancelled
from tallystick.client.errors import OutcomeUnknown, TallystickError, Unavailable
from tallystick.client.failures import Failure, failure_of_call, unreachable, worth_trying_elsewhere
from tallystick.client.fleet import Fleet
from tallystick.client.in_flight import InFlight
from tallystick.v1 import write_pb2


class _Written(Protocol):
    """An answer to a write."""

    @property
    def write(self) -> write_pb2.WriteResult: ...


class _TokenRequest(Protocol):
    """A request for a read that may have to see a write."""

    consistency_token: bytes


Request = TypeVar("Request")
ReadRequest = TypeVar("ReadRequest", bound=_TokenRequest)
Response = TypeVar("Response")
WriteResponse = TypeVar("WriteResponse", bound=_Written)

Method = Callable[[Connection], grpc.aio.UnaryUnaryMultiCallable[Request, Response]]
"""Which call it is, on the stubs of any connection."""

_Attempt = Callable[[Connection, str, float], Awaitable[Response | Failure]]
"""One attempt, at the node of this name, until a time on the loop's clock."""


class Calls:
    """Single calls over the connections of a fleet. Timeouts are in seconds, for all attempts together.

    An attempt begins when there is a connection, so one that nobody can have seen is never taken for one that
    may have happened. `only` keeps a call to one address.
    """

    def __init__(self, fleet: Fleet, in_flight: InFlight) -> None:
        self._fleet = fleet
        self._in_flight = in_flight
        self._loop = asyncio.get_running_loop()

    async def ask(self, method: Method[Request, Response], request: Request, timeout_s: float) -> Response:
        """Ask whoever answers. Raises DefiniteError: a read has no outcome that could be unknown."""

        async def attempt(connection: Connection, _: str, until: float) -> Response | Failure:
            return await self._attempt(method(connection), request, until)

        return _read(await self._somewhere(attempt, timeout_s))

    async def read(
        self,
        method: Method[ReadRequest, Response],
        request: ReadRequest,
        token: bytes | None,
        timeout_s: float,
        only: int | None = None,
    ) -> Response:
        """Read a state that has what `token` stands for; None is all that this client has written.

        Raises DefiniteError.
        """
        tokens = self._fleet.tokens

        async def attempt(connection: Connection, node: str, until: float) -> Response | Failure:
            for each in tokens.to_show(node) if token is None else (token,):
                request.consistency_token = each
                answer = await self._attempt(method(connection), request, until)
                if isinstance(answer, Failure):
                    # What is not there is not looked for elsewhere: the token says how much is to be there.
                    return answer._replace(elsewhere=answer.elsewhere and not answer.verdict)
                tokens.showed(node, each)
            return answer

        return _read(await self._somewhere(attempt, timeout_s, only))

    async def write(
        self,
        method: Method[Request, WriteResponse],
        request: Request,
        attempts: Attempts,
        timeout_s: float,
        only: int | None = None,
        *,
        try_elsewhere: bool = False,
    ) -> WriteResponse:
        """Write; `request` carries the id that `attempts` names. Raises TallystickError."""

        async def attempt(connection: Connection, node: str, until: float) -> WriteResponse | Failure:
            answer = await self._attempt(method(connection), request, until)
            if isinstance(answer, Failure):
                attempts.note(answer, node)
                return worth_trying_elsewhere(answer) if try_elsewhere else answer
            self._fleet.tokens.wrote(node, answer.write.consistency_token)
            return answer

        answer = await self._somewhere(attempt, timeout_s, only, writes=True)
        if isinstance(answer, Failure):
            raise attempts.conclude(answer)
        return answer

    async def _somewhere(
        self,
        attempt: _Attempt[Response],
        timeout_s: float,
        only: int | None = None,
        *,
        writes: bool = False,
    ) -> Response | Failure:
        """Attempt at one address after the other until one answers, none may, or the time is over."""
        deadline = self._loop.time() + timeout_s
        route = Route(self._fleet.health, only)
        with self._in_flight:
            while True:
                address = route.next()
                until = deadline
                if only is None:
                    until = min(until, self._loop.time() + self._fleet.attempt_s(timeout_s, route.rounds))
                answer = await self._at(self._fleet.connections[address], attempt, until)
                if not isinstance(answer, Failure):
                    if writes:
                        route.wrote()
                    return answer
                self._fleet.failed(address, answer)
                delay = route.after(answer, random.random())
                if delay is None or self._loop.time() + delay >= deadline:
                    return route.told
                if delay:
                    await asyncio.sleep(delay)

    async def _at(
        self, connection: Connection, attempt: _Attempt[Response], until: float
    ) -> Response | Failure:
        try:
            node = await connection.node(until)
        except TallystickError as error:
            return unreachable(error)
        return await attempt(connection, node, until)

    async def _attempt(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        until: float,
    ) -> Response | Failure:
        try:
            return await method(request, timeout=until - self._loop.time())
        except grpc.aio.AioRpcError as error:
            return failure_of_call(error)
        except asyncio.CancelledError:
            # Closing the channel cancels its calls.
            if not only_the_call_was_cancelled():
                raise
            return Failure(OutcomeUnknown(CLOSED), retryable=False)


def _read(answer: Response | Failure) -> Response:
    """What was read. Raises what a node said of why not, or that none answered."""
    if not isinstance(answer, Failure):
        return answer
    if answer.indefinite:
        raise Unavailable(f"no answer: {answer.error}", reason=answer.error.reason)
    raise answer.error
