"""What every call of a client needs: its settings, and a session that is open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from tallystick.client.calls import Method
from tallystick.client.connection import CLOSED
from tallystick.client.errors import ClientClosed
from tallystick.client.pages import Pages
from tallystick.client.session import Session


class _PageRequest(Protocol):
    page_token: str
    consistency_token: bytes


class _PageResponse(Protocol):
    @property
    def next_page_token(self) -> str: ...


_Request = TypeVar("_Request", bound=_PageRequest)
_Response = TypeVar("_Response", bound=_PageResponse)
_Value = TypeVar("_Value")


class ClientBase:
    """Opens when it is first used, so that it can be made outside an event loop."""

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        actor: str,
        timeout: float,
        attempt_timeout: float | None,
        read_your_writes: bool,
        streams: int,
    ) -> None:
        if not timeout > 0 or streams < 1 or (attempt_timeout is not None and not attempt_timeout > 0):
            raise ValueError("timeouts must be more than 0, streams at least 1")
        self.addresses = (addresses,) if isinstance(addresses, str) else tuple(addresses)
        """Where nodes are, the preferred one first."""
        if not self.addresses or len(set(self.addresses)) < len(self.addresses):
            raise ValueError("give one address or several, each once")
        self._actor = actor
        self._timeout = timeout
        self._attempt_timeout = attempt_timeout
        self._read_your_writes = read_your_writes
        self._streams = streams
        self._session: Session | None = None
        self._closed = False

    @property
    def address(self) -> str:
        """The preferred address."""
        return self.addresses[0]

    @property
    def consistency_token(self) -> bytes:
        """Of the last write that was answered; hand it to whoever is to see that write elsewhere."""
        return self._session.fleet.tokens.last if self._session else b""

    async def close(self, grace: float = 5.0) -> None:
        """Take no more calls, give those under way `grace` seconds, fail the rest, disconnect."""
        self._closed = True
        if self._session is not None:
            await self._session.close(grace)

    def _open(self) -> Session:
        if self._closed:
            raise ClientClosed(CLOSED)
        if self._session is None:
            self._session = Session(
                self.addresses,
                self._actor,
                timeout_s=self._timeout,
                attempt_timeout_s=self._attempt_timeout,
                streams=self._streams,
            )
        elif self._session.loop is not asyncio.get_running_loop():
            raise RuntimeError("a Client belongs to the event loop that it was first used in; make another")
        return self._session

    def _seconds(self, timeout: float | None) -> float:
        if timeout is None:
            return self._timeout
        if not timeout > 0:
            raise ValueError("timeout must be more than 0")
        return timeout

    def _token(self, given: bytes | None) -> bytes | None:
        """What a read is to see at least; None: all that this client has written."""
        return b"" if given is None and not self._read_your_writes else given

    def _list(
        self,
        method: Method[_Request, _Response],
        request: _Request,
        values: Callable[[_Response], Sequence[_Value]],
        token: bytes | None,
        timeout: float | None,
    ) -> Pages[_Value]:
        async def fetch(page_token: str) -> tuple[Sequence[_Value], str]:
            request.page_token = page_token
            seconds = self._seconds(timeout)
            response = await self._open().calls.read(method, request, self._token(token), seconds)
            return values(response), response.next_page_token

        return Pages(fetch)
