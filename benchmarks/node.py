"""Our side: a real node, and loads that run against it in processes of their own."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import grpc
import msgspec
from grpc_health.v1 import health_pb2

from benchmarks.figures import Figures
from benchmarks.load.spec import BATCH, EMPTY, SDK, UNARY, Report, Spec
from benchmarks.processes import Failed, Process, run
from benchmarks.systems import Cell, Window
from benchmarks.workload import STOCK_ITEMS, sku
from tallystick.v1 import (
    cluster_service_pb2,
    cluster_service_pb2_grpc,
    order_service_pb2,
    order_service_pb2_grpc,
    stock_service_pb2,
    stock_service_pb2_grpc,
)

_START_S = 60.0
_CALL_S = 30.0
_POLL_S = 0.002
_STOCKED = 10**12
_ITEMS_A_RECEIPT = 2_000
# More than any of them gets through in a second: these requests are ready before the clock starts.
BUILT_PER_S = {UNARY: 8_000, SDK: 0, BATCH: 600}


class Node:
    """One `tally node start` on a data directory, on a port that stays the same over restarts."""

    def __init__(self, data: Path, region: str = "bench", flags: Sequence[str] = ("--new-cluster",)) -> None:
        self.data = data
        self._flags = ("--region", region, *flags)
        self.port = 0
        self.process = self._spawn()
        found = self.process.wait_for(r"serving on \S*?:(\d+)\s", _START_S)
        self.port = int(found[1])
        self.target = f"127.0.0.1:{self.port}"

    def _spawn(self) -> Process:
        tally = shutil.which("tally", path=str(Path(sys.executable).parent))
        if tally is None:
            raise Failed("there is no tally beside this Python: install the project first (make install)")
        return Process(
            [
                *(tally, "node", "start", "--data", str(self.data), *self._flags),
                *("--listen", f"127.0.0.1:{self.port}", "--log-level", "warning"),
            ]
        )

    def restart(self) -> float:
        """Start it again after a kill; seconds from the start of the process until it is SERVING."""
        start = time.perf_counter()
        self.process = self._spawn()
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                if self._is_serving():
                    return time.perf_counter() - start
            except ConnectionRefusedError:
                if time.perf_counter() - start > _START_S:
                    raise Failed(
                        f"the node was not SERVING within {_START_S:g} s:\n{self.process.output()}"
                    ) from None
            time.sleep(_POLL_S)

    def _is_serving(self) -> bool:
        with grpc.insecure_channel(self.target) as channel:
            check: grpc.UnaryUnaryMultiCallable[
                health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
            ] = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            answer = check(health_pb2.HealthCheckRequest(), timeout=_CALL_S, wait_for_ready=True)
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    def status(self) -> cluster_service_pb2.GetStatusResponse:
        with grpc.insecure_channel(self.target) as channel:
            stub = cluster_service_pb2_grpc.ClusterServiceStub(channel)
            return stub.GetStatus(cluster_service_pb2.GetStatusRequest(), timeout=_CALL_S)

    def receive_stock(self) -> None:
        """Book in more of every item than all loads together can sell."""
        for first in range(0, STOCK_ITEMS, _ITEMS_A_RECEIPT):
            numbers = range(first, min(first + _ITEMS_A_RECEIPT, STOCK_ITEMS))
            self.receive({sku(n): _STOCKED for n in numbers}, f"benchmark-{first}")

    def receive(self, quantities: Mapping[str, int], receipt: str) -> None:
        """Book in these, of which this node gets the tokens."""
        name = self.status().node
        items = [stock_service_pb2.StockQuantity(sku=item, quantity=n) for item, n in quantities.items()]
        request = stock_service_pb2.ReceiveStockRequest(
            receipt_id=f"{receipt}-{name}", node=name, items=items
        )
        with grpc.insecure_channel(self.target) as channel:
            stub = stock_service_pb2_grpc.StockServiceStub(channel)
            stub.ReceiveStock(request, timeout=_CALL_S)

    def sold(self) -> int:
        """Units sold, over all items: whoever counted the orders can check."""
        units, token = 0, ""
        with grpc.insecure_channel(self.target) as channel:
            stub = stock_service_pb2_grpc.StockServiceStub(channel)
            while True:
                request = stock_service_pb2.ListStockRequest(page_size=1_000, page_token=token)
                page = stub.ListStock(request, timeout=_CALL_S)
                units += sum(item.sold for item in page.stock)
                token = page.next_page_token
                if not token:
                    return units

    def missing(self, order_ids: Iterable[str]) -> list[str]:
        """Those of the ids that the node does not know."""
        lost = []
        with grpc.insecure_channel(self.target) as channel:
            stub = order_service_pb2_grpc.OrderServiceStub(channel)
            for order_id in order_ids:
                try:
                    stub.GetOrder(order_service_pb2.GetOrderRequest(order_id=order_id), timeout=_CALL_S)
                except grpc.RpcError as error:
                    if error.code() is not grpc.StatusCode.NOT_FOUND:
                        raise
                    lost.append(order_id)
        return lost


def load(spec: Spec) -> Report:
    """Run one load in a process of its own, to its end."""
    command = [sys.executable, "-m", "benchmarks.load", msgspec.json.encode(spec).decode()]
    report = msgspec.json.decode(run(command, timeout_s=3_600), type=Report)
    if report.refusals:
        raise Failed(f"orders were refused under {spec.mode} load: {report.refusals}")
    return report


class Tallystick:
    """A node with stock, as a system to measure."""

    name = "tallystick"

    def __init__(self, folder: Path, view: str) -> None:
        self._view = view
        self._seed = 0
        self._placed_units = 0
        self.node = Node(folder / "node")
        self.node.receive_stock()

    def measure(self, cell: Cell, window: Window) -> Figures:
        self._seed += 1
        spec = Spec(
            mode=cell.mode,
            target=self.node.target,
            shape=cell.shape,
            in_flight=cell.in_flight,
            batch=cell.batch,
            view=self._view,
            warm_s=window.warm_s,
            window_s=window.seconds,
            built=round(BUILT_PER_S[cell.mode] * window.seconds),
            server_pid=self.node.process.pid,
            data=str(self.node.data),
            seed=self._seed,
        )
        report = load(spec)
        self._verify(report.accepted * cell.shape.lines)
        return report.windows[0]

    def _verify(self, units: int) -> None:
        """The node sold what the load was told that it had sold, to the unit."""
        before, self._placed_units = self._placed_units, self.node.sold()
        if self._placed_units - before != units:
            raise Failed(f"{units} units were acknowledged, {self._placed_units - before} are sold")

    def facts(self) -> dict[str, object]:
        return {"version": version("tallystick"), "view": self._view}

    def pause(self) -> None:
        self.node.process.pause()

    def resume(self) -> None:
        self.node.process.resume()

    def stop(self) -> None:
        self.node.process.stop()


class EmptyCalls:
    """A grpc.aio server that does nothing, under the same client as raw unary calls."""

    name = "grpc"

    def __init__(self) -> None:
        self._process = Process([sys.executable, "-m", "benchmarks.empty"])
        self._target = self._process.wait_for(r"serving on (\S+)\s", _START_S)[1]

    def measure(self, cell: Cell, window: Window) -> Figures:
        spec = Spec(
            mode=EMPTY,
            target=self._target,
            in_flight=cell.in_flight,
            warm_s=window.warm_s,
            window_s=window.seconds,
            server_pid=self._process.pid,
        )
        return load(spec).windows[0]

    def facts(self) -> dict[str, object]:
        return {"version": version("grpcio")}

    def pause(self) -> None:
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def stop(self) -> None:
        self._process.stop()
