"""A raw stream a node: batches built beforehand, answers counted by number, whichever order they come in."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from time import perf_counter

import grpc
from google.rpc import error_details_pb2, status_pb2

from benchmarks.load.meter import Meter
from benchmarks.load.pool import Pool
from benchmarks.load.spec import Report, Spec
from benchmarks.workload import Requests, stamp
from tallystick.v1.order_service_pb2 import PlaceOrdersRequest, PlaceOrdersResponse

PLACE_ORDERS = "/tallystick.v1.OrderService/PlaceOrders"
_DEADLINE_S = 3_600.0
_READY_S = 30.0
_BATCHES_KEPT = 10
_Call = grpc.aio.StreamStreamCall[bytes, PlaceOrdersResponse]


async def run(spec: Spec) -> Report:
    """Load each node over one stream until the meter has seen enough."""
    pool = Pool(Requests(spec.shape, spec.seed, spec.view).batches(spec.batch), spec.built)
    finished: deque[bytes] = deque(maxlen=_BATCHES_KEPT)
    async with contextlib.AsyncExitStack() as stack:
        calls = [await _open(stack, target) for target in spec.targets]
        meter = Meter(spec)
        async with asyncio.TaskGroup() as tasks:
            for call in calls:
                tasks.create_task(_load(_Load(spec, call, pool, meter, finished)))
    requests = map(PlaceOrdersRequest.FromString, finished)
    ids = [each.order.id for request in requests for each in request.orders]
    return meter.report(built_late=pool.late, last_ids=ids)


async def _open(stack: contextlib.AsyncExitStack, target: str) -> _Call:
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(target))
    await asyncio.wait_for(channel.channel_ready(), _READY_S)
    stream: grpc.aio.StreamStreamMultiCallable[bytes, PlaceOrdersResponse] = channel.stream_stream(
        PLACE_ORDERS, response_deserializer=PlaceOrdersResponse.FromString
    )
    call = stream(timeout=_DEADLINE_S)
    stack.callback(call.cancel)
    return call


async def _load(load: _Load) -> None:
    try:
        await load.run()
    except grpc.aio.AioRpcError:
        if not load.spec.until_broken:
            raise


class _Load:
    """One stream: a writer that keeps `in_flight` batches under way, a reader that checks answers off."""

    def __init__(
        self,
        spec: Spec,
        call: _Call,
        pool: Pool[tuple[int, bytes]],
        meter: Meter,
        finished: deque[bytes],
    ) -> None:
        self.spec = spec
        self._call = call
        self._pool = pool
        self._room = asyncio.Semaphore(spec.in_flight)
        # Of each batch under way, by its number: when it was sent, how many answers are missing and how many
        # were refusals, and its bytes.
        self._sent_at: dict[int, float] = {}
        self._missing: dict[int, int] = {}
        self._refused: dict[int, int] = {}
        self._bodies: dict[int, bytes] = {}
        self._finished = finished
        self._meter = meter

    async def run(self) -> None:
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write())
        try:
            done, _ = await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await asyncio.wait_for(reader, _READY_S)
        finally:
            for task in (reader, writer):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                    await task

    async def _write(self) -> None:
        while self._meter.running:
            await self._room.acquire()
            number, unstamped = self._pool.take(timed=not self._meter.warm)
            request = stamp(unstamped)
            self._sent_at[number] = perf_counter()
            self._missing[number] = self.spec.batch
            self._bodies[number] = request
            await self._call.write(request)
        await self._call.done_writing()

    async def _read(self) -> None:
        """Read until every batch that was sent is answered and the server has ended the stream."""
        while (response := await self._call.read()) is not grpc.aio.EOF:
            assert isinstance(response, PlaceOrdersResponse)
            self._check_off(response)
        if self._missing:
            raise ValueError(f"the stream ended with {len(self._missing)} batches unanswered")

    def _check_off(self, response: PlaceOrdersResponse) -> None:
        size, missing = self.spec.batch, self._missing
        for answer in response.answers:
            batch = answer.number // size
            missing[batch] -= 1
            if answer.HasField("error"):
                self._refused[batch] = self._refused.get(batch, 0) + 1
                self._meter.refused(reason_of(answer.error))
            elif answer.replayed:
                raise ValueError(f"an id that was placed before: {answer}")
            if not missing[batch]:
                self._finish(batch)

    def _finish(self, batch: int) -> None:
        del self._missing[batch]
        self._room.release()
        body, refused = self._bodies.pop(batch), self._refused.pop(batch, 0)
        if not refused:
            self._finished.append(body)
        self._meter.answered(self.spec.batch - refused, self._sent_at.pop(batch))


def reason_of(status: status_pb2.Status) -> str:
    """The stable reason that an error carries, or else its message."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return str(status.message)
