"""The services as gRPC sees them: check, hand over, map the error. No rule of the business is here."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, cast

import grpc
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status

from tallystick.core.errors import Refused
from tallystick.node.engine import Engine
from tallystick.node.jobs import Installing, Internal, Rotten, Starting, Stopping
from tallystick.node.reads import Reads
from tallystick.node.settings import Settings
from tallystick.rpc.errors import RequestTooLarge, TooManyCalls, status_of
from tallystick.rpc.reads import Ask, Read
from tallystick.rpc.writes import BatchJob, Site, UnaryJob, Write, parse
from tallystick.store.port import CorruptRecord
from tallystick.v1 import order_service_pb2

log = structlog.get_logger("rpc")

Context = grpc.aio.ServicerContext[Any, Any]
_MESSAGES_UNDER_WAY = 16
_BYTES_UNDER_WAY = 1 << 20
_SILENCE_S = 0.1
_DRAIN_S = 2.0


class Shell:
    """What all services share: the engine, the reads, how many calls are in flight."""

    def __init__(self, engine: Engine, reads: Reads, site: Site, settings: Settings) -> None:
        self.engine = engine
        self.reads = reads
        self.site = site
        self.limits = settings.limits
        self.window_lines = settings.window_lines
        self.stopping = asyncio.Event()
        self.quiet = asyncio.Event()
        """Set while no call is in flight."""
        self.quiet.set()
        self.closed: type[Starting | Installing] | None = Starting
        """Why nothing is answered yet: what is here may lack what others have."""
        self._calls_max = settings.calls_max
        self._bytes_max = settings.request_bytes_max
        self._calls = 0
        self._streams = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """One call in flight. Raises Refused when there are too many, or the node is stopping."""
        self._check_open()
        if self._calls >= self._calls_max:
            raise TooManyCalls(self._calls_max)
        self._calls += 1
        self.quiet.clear()
        try:
            yield
        finally:
            self._calls -= 1
            self._note_quiet()

    @contextmanager
    def admitted_stream(self) -> Iterator[None]:
        """One stream that is open, which may be idle for days: it takes the place of no call."""
        self._check_open()
        if self._streams >= self._calls_max:
            raise TooManyCalls(self._calls_max)
        self._streams += 1
        self.quiet.clear()
        try:
            yield
        finally:
            self._streams -= 1
            self._note_quiet()

    def check_size(self, data: bytes) -> None:
        """Raises RequestTooLarge."""
        if len(data) > self._bytes_max:
            raise RequestTooLarge(len(data), self._bytes_max)

    def _check_open(self) -> None:
        if self.stopping.is_set():
            raise Stopping
        if self.closed is not None:
            raise self.closed()

    def _note_quiet(self) -> None:
        if not self._calls and not self._streams:
            self.quiet.set()

    def unary_write(self, write: Write) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler that takes bytes and gives bytes: the engine thread reads and writes messages."""

        async def handle(data: bytes, context: Context) -> bytes:
            try:
                self.check_size(data)
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

    def unary_status(self, request: Any, answer: Callable[[Any], Any]) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler that answers at once, however many calls are in flight: operators must get through."""

        async def handle(data: bytes, context: Context) -> bytes:
            try:
                return bytes(answer(parse(request, data)).SerializeToString())
            except Refused as refusal:
                failed = status_of(refusal)
            return await abort(context, failed)

        return grpc.unary_unary_rpc_method_handler(handle)

    def unary_task(
        self, request: Any, answer: Callable[[Any], Awaitable[Any]]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler that may take its time: a node that stops does not wait for it."""

        async def handle(data: bytes, context: Context) -> bytes:
            try:
                with self.admitted():
                    found = await self._until_stopping(answer(parse(request, data)))
                    return bytes(found.SerializeToString())
            except Refused as refusal:
                failed = status_of(refusal)
            return await abort(context, failed)

        return grpc.unary_unary_rpc_method_handler(handle)

    async def _until_stopping(self, task: Awaitable[Any]) -> Any:
        """Raises Stopping."""
        work, stop = asyncio.ensure_future(task), asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Stopping
            return work.result()
        finally:
            work.cancel()
            stop.cancel()

    def unary_read(self, read: Read) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler that reads one committed state."""

        async def handle(data: bytes, context: Context) -> bytes:
            try:
                self.check_size(data)
                with self.admitted():
                    request = parse(read.request, data)
                    token = getattr(request, "consistency_token", b"")
                    until = deadline(context) if token else None
                    return await self.reads.run(token, until, lambda at: self._answer(read, request, at))
            except Refused as refusal:
                failed = status_of(refusal)
            except CorruptRecord as rot:
                log.error("a record is corrupt", table=rot.table.value, key=rot.key.hex())
                failed = status_of(Rotten(rot))
            except Exception:
                log.exception("a read failed by a bug", request=read.request.DESCRIPTOR.name)
                failed = status_of(Internal(definite=True))
            return await abort(context, failed)

        return grpc.unary_unary_rpc_method_handler(handle)

    def place_orders(self) -> grpc.RpcMethodHandler[Any, Any]:
        """The stream of placings."""

        async def handle(requests: Any, context: Context) -> None:
            try:
                with self.admitted_stream():
                    failed = await PlaceStream(self, context).run()
            except Refused as refusal:
                failed = status_of(refusal)
            if failed is not None:
                await abort(context, failed)

        return grpc.stream_stream_rpc_method_handler(handle)

    def _answer(self, read: Read, request: Any, reader: Any) -> bytes:
        site = self.site
        ask = Ask(reader, site.replica, site.regions, self.limits, site.members(), site.demands)
        return bytes(read.answer(ask, request).SerializeToString())


class PlaceStream:
    """One PlaceOrders stream: messages are read while others are decided and answers written.

    What was read is always answered: a stop, or a message that can't be taken, ends the reading, then the
    answers go out, then the stream. So what has no answer when it ends was never begun.
    """

    def __init__(self, shell: Shell, context: Context) -> None:
        self._shell = shell
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[tuple[bytes | status_pb2.Status, bool] | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._waiting: deque[int] = deque()
        """Sizes of the messages that are under way; those of which only orders that wait for tokens are
        left count no more, or a shortage would keep from being sold what is here."""
        self._closed = False
        self._read: asyncio.Future[Any] | None = None
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
            self._closed = True
            if self._read is not None:
                self._read.cancel()
            reading.cancel()
            self._cut.cancel()
        return self._failed

    async def _read_all(self) -> None:
        try:
            while (data := await self._read_one()) is not grpc.aio.EOF:
                try:
                    self._shell.check_size(data)
                except Refused as refusal:
                    self._failed = status_of(refusal)
                    break
                self._under_way += 1
                self._waiting.append(len(data))
                self._note_room()
                until, site = deadline(self._context), self._shell.site
                job = BatchJob(data, until, site, self._take, self._is_closed, self._set_aside)
                self._shell.engine.submit(job)
            if self._shell.stopping.is_set():
                await self._drain()
        finally:
            self._ended = True
            if not self._under_way:
                self._answers.put_nowait(None)

    async def _read_one(self) -> Any:
        """The next message, or EOF, also if nothing is to be read any more."""
        await self._room.wait()
        self._read = asyncio.ensure_future(self._context.read())
        await asyncio.wait((self._read, self._cut), return_when=asyncio.FIRST_COMPLETED)
        if self._read.done():
            return self._read.result()
        self._failed = self._failed or status_of(Stopping())
        return grpc.aio.EOF

    async def _drain(self) -> None:
        """Read on until the client is silent, and begin nothing: to end a stream while its client writes
        would take from it the answers that are on their way."""
        until = time.monotonic() + _DRAIN_S
        read = self._read
        while read is not None and time.monotonic() < until:
            done, _ = await asyncio.wait((read,), timeout=_SILENCE_S)
            if not done or read.exception() is not None or read.result() is grpc.aio.EOF:
                return
            read = self._read = asyncio.ensure_future(self._context.read())

    def _is_closed(self) -> bool:
        return self._closed

    def _note_room(self) -> None:
        if len(self._waiting) < _MESSAGES_UNDER_WAY and sum(self._waiting) < _BYTES_UNDER_WAY:
            self._room.set()
        else:
            self._room.clear()

    def _set_aside(self) -> None:
        """In the engine thread: a message is done but for orders that wait."""
        self._loop.call_soon_threadsafe(self._make_room)

    def _make_room(self) -> None:
        self._waiting.popleft()
        self._note_room()

    def _take(self, answer: bytes | status_pb2.Status, last: bool, makes_room: bool) -> None:
        self._under_way -= last
        if isinstance(answer, status_pb2.Status):
            self._failed = self._failed or answer
            self._cut.cancel()
        self._answers.put_nowait((answer, makes_room))
        if self._ended and not self._under_way:
            self._answers.put_nowait(None)

    async def _write_all(self) -> None:
        while (found := await self._answers.get()) is not None:
            answer, makes_room = found
            if isinstance(answer, bytes):
                await self._context.write(answer)
            if makes_room:
                self._make_room()


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
