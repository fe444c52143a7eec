"""One channel to one address, and the name of the node at its other end."""

from __future__ import annotations

import asyncio
import random

import grpc

from tallystick.client.attempts import backoff_s
from tallystick.client.errors import ClientClosed, TallystickError, Unavailable
from tallystick.client.failures import failure_of_call
from tallystick.v1 import cluster_service_pb2, order_service_pb2
from tallystick.v1.cluster_service_pb2_grpc import ClusterServiceStub
from tallystick.v1.order_service_pb2_grpc import OrderServiceStub
from tallystick.v1.stock_service_pb2_grpc import StockServiceStub

PlaceOrdersCall = grpc.aio.StreamStreamCall[bytes, order_service_pb2.PlaceOrdersResponse]

_OPTIONS = [
    # A node takes pings 10 s apart or more, also while no call is under way.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A node that restarts is found again at once, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A page of 1,000 large orders is more than gRPC's 4 MiB.
    ("grpc.max_receive_message_length", -1),
    # Retries are ours: they know which outcome is unknown.
    ("grpc.enable_retries", 0),
    # Two clients of one process get two connections.
    ("grpc.use_local_subchannel_pool", 1),
]
_STATUS_TIMEOUT_S = 5.0
_FAREWELL_S = 1.0
CLOSED = "the client was closed"


def only_the_call_was_cancelled() -> bool:
    """Of a CancelledError: whether it is gRPC's, of a call that ended, and nobody cancelled this task."""
    task = asyncio.current_task()
    return task is None or not task.cancelling()


class Connection:
    """The channel, the stubs on it, and what is known of the node.

    Made inside a running event loop, and used in no other. `patient`: whoever wants a connection waits for
    one, as there is no other address; else he learns at once that nobody is there.
    """

    def __init__(self, address: str, *, patient: bool = True) -> None:
        self.address = address
        self.patient = patient
        self.closed = False
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self.orders = OrderServiceStub(self._channel)
        self.stock = StockServiceStub(self._channel)
        self.cluster = ClusterServiceStub(self._channel)
        # Requests of this stream are joined from bytes that are encoded already.
        service = order_service_pb2.DESCRIPTOR.services_by_name["OrderService"]
        self._place_orders: grpc.aio.StreamStreamMultiCallable[
            bytes, order_service_pb2.PlaceOrdersResponse
        ] = self._channel.stream_stream(
            f"/{service.full_name}/PlaceOrders",
            response_deserializer=order_service_pb2.PlaceOrdersResponse.FromString,
        )
        self._node = ""
        self._learning: asyncio.Task[TallystickError | None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._tries = 0

    def place_orders(self) -> PlaceOrdersCall:
        """Open a stream; the caller closes it."""
        return self._place_orders()

    @property
    def known_node(self) -> str:
        """The node at the end of the present connection; empty if there is none, or nobody has asked yet."""
        return self._node

    async def node(self, deadline: float | None = None) -> str:
        """The id of the node at the end of the present connection; waits until there is one.

        So whoever has an answer from here has a connection, and knows which incarnation is about to get what
        he sends next. `deadline` is on the loop's clock. Raises Unavailable when it passes, or at once if
        nobody is there and the connection isn't patient; or what the address answers if that isn't a node.
        """
        loop = asyncio.get_running_loop()
        while self.closed or not self._node:
            if self.closed:
                raise ClientClosed(CLOSED)
            timeout = None if deadline is None else deadline - loop.time()
            if timeout is not None and timeout <= 0:
                raise Unavailable(f"no connection to {self.address} within the deadline")
            if self._learning is None:
                self._learning = loop.create_task(self._learn())
            # Shared by all who wait: whoever gives up must not take it from the others.
            learning = self._learning
            await asyncio.wait({learning}, timeout=timeout)
            if learning.done() and learning is self._learning:
                self._learning = None
                error = None if learning.cancelled() else learning.result()
                if error is not None:
                    raise error
        return self._node

    async def probe(self, timeout_s: float) -> bool:
        """Whether a node answers within `timeout_s`, and takes writes."""
        try:
            status = await self._status(timeout_s, wait_for_ready=True)
        except grpc.aio.AioRpcError:
            return False  # why does not matter: it is asked again
        return status.storage.write_state != cluster_service_pb2.WRITE_STATE_REFUSED

    def _status(
        self, timeout_s: float, *, wait_for_ready: bool
    ) -> grpc.aio.UnaryUnaryCall[cluster_service_pb2.GetStatusRequest, cluster_service_pb2.GetStatusResponse]:
        request = cluster_service_pb2.GetStatusRequest()
        return self.cluster.GetStatus(request, timeout=timeout_s, wait_for_ready=wait_for_ready)

    async def _learn(self) -> TallystickError | None:
        """Ask who is there once there is a connection. Answers an error that waiting here does not mend."""
        try:
            status = await self._status(_STATUS_TIMEOUT_S, wait_for_ready=self.patient)
        except grpc.aio.AioRpcError as error:
            failure = failure_of_call(error)
            if not failure.retryable and not failure.indefinite:
                return failure.error
            if not self.patient:
                return Unavailable(f"no connection to {self.address}: {failure.error}")
            await asyncio.sleep(backoff_s(self._tries, failure.retry_after_s, random.random()))
            self._tries += 1
            return None
        self._tries = 0
        self._node = status.node
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        return None

    async def _watch(self) -> None:
        """Forget the node's name when the connection is lost: the next one may lead to another."""
        await self._channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        self._node = ""

    async def close(self) -> None:
        """Close the channel; calls that are still under way fail."""
        self.closed = True
        if self._learning is not None:
            self._learning.cancel()
        await self._channel.close()
        # Waited for, as gRPC would report the end of the watch to an event loop that is gone.
        tasks = {task for task in (self._learning, self._watching) if task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=_FAREWELL_S)
