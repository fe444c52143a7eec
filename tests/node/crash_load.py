"""Clients of a node that will be killed: streams of placings, single calls, goods coming in, all at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import grpc
from google.protobuf import duration_pb2

from tallystick.v1 import cluster_service_pb2, order_pb2, order_service_pb2, stock_service_pb2
from tallystick.v1.cluster_service_pb2_grpc import ClusterServiceStub
from tallystick.v1.order_service_pb2_grpc import OrderServiceStub
from tallystick.v1.stock_service_pb2_grpc import StockServiceStub
from tests.node.crash_ledger import Known, Ledger, Wish

SKUS = ("tea", "milk", "salt", "rice", "scarce")
CUSTOMERS = ("ann", "bob", "cleo", "")
PLENTY = 1_000_000
CALL_S = 30.0
_STREAMS, _CALLERS, _MESSAGE_ORDERS, _UNDER_WAY = 3, 5, 20, 3
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Client:
    """The stubs of one node, for as long as it lives."""

    def __init__(self, address: str, node: str) -> None:
        self.node = node
        self.channel = grpc.aio.insecure_channel(
            address, options=[("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        )
        self.orders: Any = OrderServiceStub(self.channel)
        self.stock: Any = StockServiceStub(self.channel)
        self.cluster: Any = ClusterServiceStub(self.channel)

    async def receive(self, receipt_id: str, sku: str, units: int) -> Any:
        request = stock_service_pb2.ReceiveStockRequest(receipt_id=receipt_id, node=self.node)
        request.items.add(sku=sku, quantity=units)
        return await self.stock.ReceiveStock(request, timeout=CALL_S)

    async def change(self, name: str, wish: Wish) -> Any:
        """Ask for a change of an order; asking again under the same id is safe."""
        by_name: dict[str, Any] = {"order_id": name, "request_id": wish.request_id}
        services, call = order_service_pb2, self.orders
        match wish.kind:
            case "confirm":
                return await call.ConfirmOrder(services.ConfirmOrderRequest(**by_name), timeout=CALL_S)
            case "extend":
                hold = duration_pb2.Duration(seconds=wish.value)
                return await call.ExtendHold(services.ExtendHoldRequest(hold=hold, **by_name), timeout=CALL_S)
            case "pay":
                payment = order_pb2.Payment(
                    payment_id=wish.request_id, kind=order_pb2.PAYMENT_KIND_CAPTURED, amount=wish.value
                )
                paid = services.RecordPaymentRequest(order_id=name, payment=payment)
                return await call.RecordPayment(paid, timeout=CALL_S)
            case "edit":
                details = order_pb2.Details(note=wish.value)
                return await call.EditOrder(
                    services.EditOrderRequest(details=details, **by_name), timeout=CALL_S
                )
            case _:
                request = services.CancelOrderRequest(**by_name)
                if wish.kind == "reduce":
                    request.lines.add(line_id="1", quantity=1)
                return await call.CancelOrder(request, timeout=CALL_S)

    async def status(self) -> Any:
        return await self.cluster.GetStatus(cluster_service_pb2.GetStatusRequest(), timeout=CALL_S)

    async def close(self) -> None:
        await self.channel.close()


class Load:
    """All clients of one life of a node. `enough` is set when so many writes were acknowledged."""

    def __init__(self, client: Client, ledger: Ledger, seed: int, target: int) -> None:
        self.touched: set[str] = set()
        self.enough = asyncio.Event()
        self._client = client
        self._ledger = ledger
        self._random = Random(seed)
        self._prefix = f"{seed:04}"
        self._target = ledger.acknowledged + target
        self._count = 0

    async def run(self) -> None:
        """Until the node is gone."""
        await asyncio.gather(
            *(self._until_gone(self._stream) for _ in range(_STREAMS)),
            *(self._until_gone(self._call) for _ in range(_CALLERS)),
            self._until_gone(self._goods),
        )

    async def _until_gone(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            while True:
                await work()
        except grpc.aio.AioRpcError as error:
            # gRPC's own words for a write on a connection that has just gone.
            if error.code() not in _GONE and error.details() != "Internal error from Core":
                raise

    def _acknowledge(self, write: Any) -> None:
        self._ledger.heard(write.consistency_token)
        if self._ledger.acknowledged >= self._target:
            self.enough.set()

    def _draw(self) -> Known:
        """A new order, known to the ledger before anything is sent."""
        random = self._random
        self._count += 1
        name = f"{self._prefix}-{random.randrange(1 << 20):05x}-{self._count}"
        lines = [
            order_pb2.Line(sku=sku, quantity=units, amount=100 * units)
            for sku, units in (
                (random.choice(SKUS[:4]), random.randint(2, 4)) for _ in range(random.randint(1, 3))
            )
        ]
        if random.random() < 0.05:
            lines.append(order_pb2.Line(sku="scarce", quantity=3, amount=300))
        asked = order_pb2.Order(
            id=name,
            customer=random.choice(CUSTOMERS),
            currency="EUR",
            lines=lines,
            total=sum(x.amount for x in lines),
        )
        if random.random() < 0.7:
            asked.confirm_when = order_pb2.CONFIRM_WHEN_BY_HAND
            asked.hold.FromSeconds(3_600)
        if random.random() < 0.2:
            asked.details.note = "ring twice"
        known = self._ledger.orders[name] = Known(asked, wish=Wish("place", name))
        self.touched.add(name)
        return known

    async def _stream(self) -> None:
        """Always three messages under way."""
        call = self._client.orders.PlaceOrders(timeout=CALL_S)
        await call.read()
        sent: list[Known] = []
        answered = 0
        while True:
            while len(sent) < answered + _UNDER_WAY * _MESSAGE_ORDERS:
                message = order_service_pb2.PlaceOrdersRequest()
                for _ in range(_MESSAGE_ORDERS):
                    sent.append(self._draw())
                    message.orders.add(number=len(sent) - 1, order=sent[-1].asked)
                # If writing fails, reading says why.
                with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await call.write(message)
            response = await call.read()
            assert response is not grpc.aio.EOF
            for answer in response.answers:
                self._answered(sent[answer.number], answer, response.write)
            answered += len(response.answers)

    def _answered(self, known: Known, answer: Any, write: Any) -> None:
        known.wish = None
        if answer.HasField("error"):
            assert "scarce" in answer.error.message
            known.refused = True
        else:
            assert not answer.replayed
            known.placed = answer.order
            self._acknowledge(write)

    async def _call(self) -> None:
        """One order and what happens to it, call by call."""
        known = self._draw()
        name = known.asked.id
        try:
            answer = await self._client.orders.PlaceOrder(
                order_service_pb2.PlaceOrderRequest(order=known.asked), timeout=CALL_S
            )
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                raise
            known.wish, known.refused = None, True
            return
        self._heard(known, answer)
        for wish in self._life(held=bool(known.asked.confirm_when)):
            known.wish = wish
            self._heard(known, await self._client.change(name, wish))

    def _heard(self, known: Known, answer: Any) -> None:
        assert not answer.write.replayed
        known.wish, known.full = None, answer.order
        self._acknowledge(answer.write)

    def _life(self, *, held: bool) -> list[Wish]:
        """What happens to one order, in some order that it may happen in."""
        random = self._random
        changes = [
            Wish("pay", "p-1", 100),
            Wish("pay", "p-2", 250),
            Wish("edit", "e-1", "leave it at the door"),
        ]
        changes += [Wish("reduce", "c-1")] + ([Wish("extend", "x-1", 7_200)] if held else [])
        random.shuffle(changes)
        ends = [Wish("cancel", "c-2")] + ([Wish("confirm", "f-1")] if held else [])
        return [*changes[: random.randint(0, 5)], *random.sample(ends, random.randint(0, 1))]

    async def _goods(self) -> None:
        self._count += 1
        name, sku = f"{self._prefix}-r-{self._count}", self._random.choice(SKUS[:4])
        self._ledger.receipt = name, sku, 7
        answer = await self._client.receive(*self._ledger.receipt)
        self._ledger.receipt = None
        self._ledger.received[sku] += 7
        self._acknowledge(answer.write)
