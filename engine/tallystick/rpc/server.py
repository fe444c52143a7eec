"""A node put together: store, engine, services; started, and stopped without losing an accepted call."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import grpc
import structlog
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tallystick.core.members import node_name
from tallystick.core.replica.commands import Found
from tallystick.core.replica.step import Replica
from tallystick.node.engine import Engine, wall_ms
from tallystick.node.founding import FoundJob
from tallystick.node.identity import Identity, draw_client_id
from tallystick.node.logs import configure_logs
from tallystick.node.opening import open_store
from tallystick.node.reads import Reads
from tallystick.node.settings import Settings
from tallystick.rpc.cluster import cluster_handlers
from tallystick.rpc.reads import ORDER_READS, STOCK_READS
from tallystick.rpc.services import Shell, generic_handler
from tallystick.rpc.writes import ORDER_WRITES, STOCK_WRITES, Site
from tallystick.v1 import cluster_service_pb2, order_service_pb2, stock_service_pb2

log = structlog.get_logger("node")

SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (order_service_pb2, "OrderService"),
        (stock_service_pb2, "StockService"),
        (cluster_service_pb2, "ClusterService"),
    )
)
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),
)
_LAST_BYTES_S = 0.25
"""When all calls are answered, answers may be on their way out still; who watches our health never leaves."""

_SWITCH_INTERVAL_S = 0.0005
"""A thread that needs the interpreter back after a system call gets it this soon (DESIGN: Threads)."""

_COLLECT_SELDOM = (50_000, 20, 50)
"""Records hold no cycles: looking for garbage in them as often as Python does by itself costs a tenth."""


class RunningNode:
    """A node that serves."""

    def __init__(
        self,
        server: grpc.aio.Server,
        address: str,
        identity: Identity,
        engine: Engine,
        reads: Reads,
        shell: Shell,
        health_servicer: health.aio.HealthServicer,
    ) -> None:
        self.address = address
        self.identity = identity
        self._server = server
        self._engine = engine
        self._reads = reads
        self._shell = shell
        self._health = health_servicer

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, answer those that were accepted, write the checkpoints, let go of the disk."""
        await self._health.enter_graceful_shutdown()
        self._shell.stopping.set()
        # Until the last call is answered, those that come too late are told so; gRPC would just cut them off.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._shell.quiet.wait(), grace_s)
        await self._server.stop(min(grace_s, _LAST_BYTES_S))
        await asyncio.to_thread(self._engine.stop)
        self._reads.close()
        self._engine.store.close()
        log.info("stopped", node=node_name(self.identity.replica))


async def start_node(
    settings: Settings,
    on_broken: Callable[[BaseException], None] | None = None,
    now_ms: Callable[[], int] = wall_ms,
) -> RunningNode:
    """Open the data directory and serve. Raises NoCluster, store.StoreError, OSError (address in use)."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.set_threshold(*_COLLECT_SELDOM)
    server = grpc.aio.server(
        options=(*_OPTIONS, ("grpc.max_receive_message_length", settings.request_bytes_max))
    )
    port = bind(server, settings.listen)
    opened = open_store(
        settings.data,
        settings.region,
        new_cluster=settings.new_cluster,
        map_size=settings.map_size,
        reserve=settings.reserve,
        backlog=settings.backlog_events,
    )
    identity, limits = opened.identity, settings.limits
    replica = Replica(identity.replica, identity.region, draw_client_id(), limits)
    engine = Engine(
        replica,
        opened.store,
        opened.head,
        opened.hlc,
        events_max=settings.commit_events_max,
        sweep_interval_ms=settings.sweep_interval_ms,
        on_broken=on_broken or end_process,
        now_ms=now_ms,
    )
    reads = Reads(engine)
    regions = {identity.replica: identity.region}
    site = Site(opened.store, identity.replica, lambda owner: regions.get(owner, ""))
    shell = Shell(engine, reads, site, limits, settings.calls_max, settings.window_lines)
    health_servicer = add_services(server, shell, identity)
    engine.start(asyncio.get_running_loop())
    if not opened.head.seq:
        await FoundJob(Found(identity.region)).run(engine)
    await server.start()
    await set_serving(health_servicer)
    gc.collect()
    gc.freeze()
    address = f"{settings.listen.rpartition(':')[0]}:{port}"
    log.info("serving", node=node_name(identity.replica), region=identity.region, address=address)
    return RunningNode(server, address, identity, engine, reads, shell, health_servicer)


def bind(server: grpc.aio.Server, address: str) -> int:
    """Take the address, before anything is touched on the disk; answers the port. Raises OSError."""
    try:
        return server.add_insecure_port(address)
    except RuntimeError as problem:
        raise OSError(f"cannot listen on {address}: is another process there?") from problem


def add_services(server: grpc.aio.Server, shell: Shell, identity: Identity) -> health.aio.HealthServicer:
    """Everything that the node answers."""
    orders, stock, cluster = SERVICES
    handlers = {name: shell.unary_write(write) for name, write in ORDER_WRITES.items()}
    handlers |= {name: shell.unary_read(read) for name, read in ORDER_READS.items()}
    handlers["PlaceOrders"] = shell.place_orders()
    stock_handlers = {name: shell.unary_write(write) for name, write in STOCK_WRITES.items()}
    stock_handlers |= {name: shell.unary_read(read) for name, read in STOCK_READS.items()}
    server.add_generic_rpc_handlers(
        (
            generic_handler(orders, handlers),
            generic_handler(stock, stock_handlers),
            generic_handler(cluster, cluster_handlers(shell, identity)),
        )
    )
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return health_servicer


async def set_serving(servicer: health.aio.HealthServicer) -> None:
    for name in ("", *SERVICES):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)


def end_process(problem: BaseException) -> None:
    """The store is broken: memory is never trusted over disk, so nothing is written or answered any more."""
    log.critical("the node ends: start it again to go on from what is on disk", problem=repr(problem))
    os._exit(70)


def run(settings: Settings, ready: Callable[[RunningNode], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called once, when calls are answered."""
    configure_logs(settings.log_level)
    uvloop.run(_serve(settings, ready))


async def _serve(settings: Settings, ready: Callable[[RunningNode], None]) -> None:
    node = await start_node(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ready(node)
    await stop.wait()
    log.info("stopping", grace_ms=settings.grace_ms)
    await node.stop(settings.grace_ms / 1000)
