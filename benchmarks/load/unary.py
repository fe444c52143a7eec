"""Raw unary calls: bytes out, bytes in, `in_flight` of them at any time. The empty call runs the same way."""

from __future__ import annotations

import asyncio
from itertools import repeat
from time import perf_counter

import grpc

from benchmarks.empty import METHOD as EMPTY_METHOD
from benchmarks.load.meter import Meter
from benchmarks.load.pool import Pool
from benchmarks.load.spec import EMPTY, Report, Spec
from benchmarks.workload import Requests, stamp
from tallystick.v1 import order_pb2, order_service_pb2

PLACE_ORDER = "/tallystick.v1.OrderService/PlaceOrder"
_DEADLINE_S = 30.0
_IDS_KEPT = 1_000
_Call = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


async def run(spec: Spec) -> Report:
    """Load one address until the meter has seen enough."""
    empty = spec.mode == EMPTY
    supply = repeat(b"") if empty else Requests(spec.shape, spec.seed, spec.view).unary()
    pool = Pool(supply, spec.built)
    answers: list[bytes] = []
    async with grpc.aio.insecure_channel(spec.target) as channel:
        await asyncio.wait_for(channel.channel_ready(), _DEADLINE_S)
        call: _Call = channel.unary_unary(EMPTY_METHOD if empty else PLACE_ORDER)
        meter = Meter(spec)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(spec.in_flight):
                tasks.create_task(_caller(call, pool, meter, answers))
    ids = [] if empty else verified_ids(answers)
    return meter.report(built_late=pool.late, last_ids=ids[-_IDS_KEPT:])


async def _caller(call: _Call, pool: Pool[bytes], meter: Meter, answers: list[bytes]) -> None:
    while meter.running:
        request = stamp(pool.take(timed=not meter.warm))
        sent_at = perf_counter()
        try:
            answer = await call(request, timeout=_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            meter.refused(error.code().name)
            continue
        answers.append(answer)
        meter.answered(1, sent_at)


def verified_ids(answers: list[bytes]) -> list[str]:
    """The ids; every answer is of an order that is placed and sold, and was not before. Off the clock."""
    ids = []
    for answer in answers:
        response = order_service_pb2.PlaceOrderResponse.FromString(answer)
        if response.order.state != order_pb2.ORDER_STATE_CONFIRMED or response.write.replayed:
            raise ValueError(f"not the answer to a new order: {response}")
        ids.append(response.order.id)
    if len(set(ids)) < len(ids):
        raise ValueError("two answers are of one order")
    return ids
