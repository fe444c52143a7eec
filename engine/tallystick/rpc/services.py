"""The services as gRPC sees them: check, hand over, map the error. No rule of the business is here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, cast

import grpc
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status

from tallystick.core.errors import Refused
from tallystick.core.limits import Limits
from tallystick.node.engine import Engine, Internal, Stopping
from tallystick.node.reads import Reads
from tallystick.rpc.errors import TooManyCalls, status_of
from tallystick.rpc.reads import Ask, Read
from tallystick.rpc.writes import BatchJob, Site, UnaryJob, Write, parse
from tallystick.v1 import order_service_pb2

log = structlog.get_logger("rpc")

Context = grpc.aio.ServicerContext[Any, Any]
_MESSAGES_UNDER_WAY = 16


class Shell:
    """What all services share: the engine, the reads, how many calls are in flight."""

    def __init__(
        self, engine: Engine, reads: Reads, site: Site, limits: Limits, calls_max: int, window_lines: int
    ) -> None:
        self.engine = engine
        self.reads = reads
        self.site = site
        self.limits = limits
        self.window_lines = window_lines
        self.stopping = asyncio.Event()
        self._calls_max = calls_max
        self._calls = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """One call in flight. Raises Refused when there are too many, or the node is stopping."""
        if self.stopping.is_set():
            raise Stopping
        if self._calls >= self._calls_max:
            raise TooManyCalls(self._calls_max)
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1

    def unary_write(self, write: Write) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler that takes bytes and gives bytes: the engine thread reads and writes messages."""

        async def handle(data: bytes, context: Context) -> bytes:
            try:
                with self.admitted():
                    future = asyncio.get_running_loop().create_future()
                    self.engine.submit(UnaryJob(write, data, deadline(context), self.site, future))
                    answer = await future
            except Refused as refusal:
                answer = status_of(refusal)
            if isinstance(answer, status_pb2.Status):
                await abort(context, answer)
            return cast(bytes, answer)

        return grpc.unary_unary_rpc_method_handler(handle)

    def unary_read(self, read: Read) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler that reads one committed state."""

        async def handle(data: bytes, context: Context) -> bytes:
            try:
                with self.admitted():
                    request = parse(read.request, data)
                    token = getattr(request, "consistency_token", b"")
                    return await self.reads.run(token, lambda reader: self._answer(read, request, reader))
            except Refused as refusal:
                failed = status_of(refusal)
            except Exception:
                log.exception("a read failed by a bug", request=read.request.DESCRIPTOR.name)
                failed = status_of(Internal(definite=True))
            return await abort(context, failed)

        return grpc.unary_unary_rpc_method_handler(handle)

    def place_orders(self) -> grpc.RpcMethodHandler[Any, Any]:
        """The stream of placings."""

        async def handle(requests: Any, context: Context) -> None:
            try:
                with self.admitted():
                    failed = await PlaceStream(self, context).run()
            except Refused as refusal:
                failed = status_of(refusal)
            if failed is not None:
                await abort(context, failed)

        return grpc.stream_stream_rpc_method_handler(handle)

    def _answer(self, read: Read, request: Any, reader: Any) -> bytes:
        ask = Ask(reader, self.site.replica, self.site.regions, self.limits)
        return bytes(read.answer(ask, request).SerializeToString())


class PlaceStream:
    """One PlaceOrders stream: messages are read while others are decided and answers written.

    What was read is always answered: a stop, or a message that can't be taken, ends the reading, then the
    answers go out, then the stream. So what has no answer when it ends was never begun.
    """

    def __init__(self, shell: Shell, context: Context) -> None:
        self._shell = shell
        self._context = context
        self._answers: asyncio.Queue[bytes | status_pb2.Status | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_MESSAGES_UNDER_WAY)
        self._cut = asyncio.create_task(shell.stopping.wait())
        self._under_way = 0
        self._ended = False
        self._failed: status_pb2.Status | None = None

    async def run(self) -> status_pb2.Status | None:
        """Serve until the client is done or the node stops; answers why it failed, if it did."""
        reading = asyncio.create_task(self._read_all())
        try:
            hello = order_service_pb2.PlaceOrdersResponse(window_lines=self._shell.window_lines)
            await self._context.write(hello.SerializeToString())
            await self._write_all()
        finally:
            reading.cancel()
            self._cut.cancel()
        return self._failed

    async def _read_all(self) -> None:
        try:
            while (data := await self._read_one()) is not grpc.aio.EOF:
                self._under_way += 1
                self._shell.engine.submit(
                    BatchJob(data, deadline(self._context), self._shell.site, self._take)
                )
        finally:
            self._ended = True
            if not self._under_way:
                self._answers.put_nowait(None)

    async def _read_one(self) -> Any:
        """The next message, or EOF, also if nothing is to be read any more."""
        await self._room.acquire()
        read = asyncio.ensure_future(self._context.read())
        try:
            await asyncio.wait((read, self._cut), return_when=asyncio.FIRST_COMPLETED)
            if read.done():
                return read.result()
        finally:
            read.cancel()
        self._failed = self._failed or status_of(Stopping())
        return grpc.aio.EOF

    def _take(self, answer: bytes | status_pb2.Status) -> None:
        self._under_way -= 1
        if isinstance(answer, status_pb2.Status):
            self._failed = self._failed or answer
            self._cut.cancel()
        self._answers.put_nowait(answer)
        if self._ended and not self._under_way:
            self._answers.put_nowait(None)

    async def _write_all(self) -> None:
        while (answer := await self._answers.get()) is not None:
            if isinstance(answer, bytes):
                await self._context.write(answer)
            self._room.release()


def generic_handler(service: str, methods: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> Any:
    """The handlers of one service, by method name."""
    return grpc.method_handlers_generic_handler(service, dict(methods))


def deadline(context: Context) -> float | None:
    """The caller's deadline on time.monotonic(); None if it set none."""
    # The stubs say float; without a deadline it is None.
    remaining = cast("float | None", context.time_remaining())
    return None if remaining is None else time.monotonic() + remaining


async def abort(context: Context, status: status_pb2.Status) -> NoReturn:
    """End the call with a rich error."""
    # The stubs of grpcio lack this method of the asyncio context.
    await cast(Any, context).abort_with_status(rpc_status.to_status(status))
    raise AssertionError("to abort is to raise")
