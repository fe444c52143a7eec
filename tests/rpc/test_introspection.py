"""Health and reflection: what tools without our protos need."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tallystick.v1 import (
    cluster_service_pb2,
    order_service_pb2,
    replication_service_pb2,
    stock_service_pb2,
)
from tests.rpc.asking import receive
from tests.rpc.serving import CALL_S, start

MODULES = (order_service_pb2, stock_service_pb2, cluster_service_pb2, replication_service_pb2)
CLUSTER, ORDERS, REPLICATION, STOCK = SERVICES = [
    f"tallystick.v1.{name}Service" for name in ("Cluster", "Order", "Replication", "Stock")
]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Generic:
    """A client that knows an address and nothing else, on a blocking channel, for a thread of its own."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._database = ProtoReflectionDescriptorDatabase(self._channel)
        self._pool = DescriptorPool(self._database)

    def services(self) -> list[str]:
        return sorted(self._database.get_services())

    def methods(self, service: str) -> list[str]:
        return sorted(method.name for method in self._pool.FindServiceByName(service).methods)

    def call(self, service: str, method: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Call a unary method with a request as JSON has it; the answer likewise."""
        found = self._pool.FindServiceByName(service).FindMethodByName(method)
        request, response = GetMessageClass(found.input_type), GetMessageClass(found.output_type)
        call: Any = self._channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )
        answer = call(json_format.ParseDict(fields, request()), timeout=CALL_S)
        return json_format.MessageToDict(answer)

    def close(self) -> None:
        self._channel.close()


async def test_a_client_that_knows_nothing_finds_and_calls_everything(served):
    await receive(served, tea=10)
    client = await asyncio.to_thread(Generic, served.address)
    named = await asyncio.to_thread(client.services)
    assert named == ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", *SERVICES]
    for module in MODULES:
        (service,) = module.DESCRIPTOR.services_by_name.values()
        found = await asyncio.to_thread(client.methods, service.full_name)
        assert found == sorted(method.name for method in service.methods)
    asked = {
        "order": {
            "id": "o-1",
            "currency": "EUR",
            "confirmWhen": "CONFIRM_WHEN_BY_HAND",
            "hold": "60s",
            "lines": [{"sku": "tea", "quantity": "2", "amount": "300"}],
        }
    }
    placed = await asyncio.to_thread(client.call, ORDERS, "PlaceOrder", asked)
    assert placed["order"]["state"] == "ORDER_STATE_HELD"
    assert placed["order"]["total"] == "300"
    got = await asyncio.to_thread(client.call, ORDERS, "GetOrder", {"orderId": "o-1"})
    assert got["order"] == placed["order"]
    stock = await asyncio.to_thread(client.call, STOCK, "GetStock", {"sku": "tea"})
    assert (stock["stock"]["reserved"], stock["stock"]["availableHere"]) == ("2", "8")
    status = await asyncio.to_thread(client.call, CLUSTER, "GetStatus", {})
    assert status["node"] == served.node
    await asyncio.to_thread(client.close)


async def test_every_method_of_the_contract_is_served(served):
    """A method without a handler is answered by gRPC itself: UNIMPLEMENTED."""
    for module in MODULES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                path = f"/{service.full_name}/{method.name}"
                call: Any
                if method.name in ("PlaceOrders", "Exchange"):
                    call = served.channel.stream_stream(path)(timeout=CALL_S)
                    await call.done_writing()
                    assert [message async for message in call]
                else:
                    call = served.channel.unary_unary(path)(b"", timeout=CALL_S)
                assert await call.code() != grpc.StatusCode.UNIMPLEMENTED, path


async def test_a_method_that_is_not_there(served):
    call: Any = served.channel.unary_unary("/tallystick.v1.OrderService/Nothing")
    assert await call(b"", timeout=CALL_S).code() == grpc.StatusCode.UNIMPLEMENTED


async def health_of(served: Any, service: str) -> Any:
    stub: Any = health_pb2_grpc.HealthStub(served.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=CALL_S)).status


async def test_every_service_is_healthy_until_the_node_stops(tmp_path):
    served = await start(tmp_path / "node")
    for service in ("", *SERVICES):
        assert await health_of(served, service) == SERVING
    stub: Any = health_pb2_grpc.HealthStub(served.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=ORDERS), timeout=CALL_S)
    assert (await watch.read()).status == SERVING
    # Whoever watches does not leave by himself, and must not hold up the stop.
    stopping = asyncio.ensure_future(served.running.stop(10 * CALL_S))
    assert (await watch.read()).status == NOT_SERVING
    await asyncio.wait_for(stopping, CALL_S)
    watch.cancel()
    await served.channel.close()
