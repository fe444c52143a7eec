"""A raw stream: batches built beforehand, answers counted by number, whichever order they come in."""

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


async def run(spec: Spec) -> Report:
    """Load one address over one stream until the meter has seen enough."""
    pool = Pool(Requests(spec.shape, spec.seed, spec.view).batches(spec.batch), spec.built)
    async with grpc.aio.insecure_channel(spec.target) as channel:
        await asyncio.wait_for(channel.channel_ready(), _READY_S)
        stream: grpc.aio.StreamStreamMultiCallable[bytes, PlaceOrdersResponse] = channel.stream_stream(
            PLACE_ORDERS, response_deserializer=PlaceOrdersResponse.FromString
        )
        call = stream(timeout=_DEADLINE_S)
        load = _Load(spec, call, pool)
        try:
            await load.run()
        except grpc.aio.AioRpcError:
            if not spec.until_broken:
                raise
        finally:
            call.cancel()
    requests = map(PlaceOrdersRequest.FromString, load.finished)
    ids = [each.order.id for request in requests for each in request.orders]
    return load.meter.report(built_late=pool.late, last_ids=ids)


class _Load:
    """One stream: a writer that keeps `in_flight` batches under way, a reader that checks answers off."""

    def __init__(
        self,
        spec: Spec,
        call: grpc.aio.StreamStreamCall[bytes, PlaceOrdersResponse],
        pool: Pool[tuple[int, bytes]],
    ) -> None:
        self._spec = spec
        self._call = call
        self._pool = pool
        self._room = asyncio.Semaphore(spec.in_flight)
        # Of each batch under way, by its number: when it was sent, how many answers are missing and how many
        # were refusals, and its bytes.
        self._sent_at: dict[int, float] = {}
        self._missing: dict[int, int] = {}
        self._refused: dict[int, int] = {}
        self._bodies: dict[int, bytes] = {}
        self.finished: deque[bytes] = deque(maxlen=_BATCHES_KEPT)
        self.meter = Meter(spec)

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
        while self.meter.running:
            await self._room.acquire()
            number, unstamped = self._pool.take(timed=not self.meter.warm)
            request = stamp(unstamped)
            self._sent_at[number] = perf_counter()
            self._missing[number] = self._spec.batch
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
        size, missing = self._spec.batch, self._missing
        for answer in response.answers:
            batch = answer.number // size
            missing[batch] -= 1
            if answer.HasField("error"):
                self._refused[batch] = self._refused.get(batch, 0) + 1
                self.meter.refused(reason_of(answer.error))
            elif answer.replayed:
                raise ValueError(f"an id that was placed before: {answer}")
            if not missing[batch]:
                self._finish(batch)

    def _finish(self, batch: int) -> None:
        del self._missing[batch]
        self._room.release()
        body, refused = self._bodies.pop(batch), self._refused.pop(batch, 0)
        if not refused:
            self.finished.append(body)
        self.meter.answered(self._spec.batch - refused, self._sent_at.pop(batch))


def reason_of(status: status_pb2.Status) -> str:
    """The stable reason that an error carries, or else its message."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return str(status.message)
