"""The parts of a node, made from its settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replica.step import Replica
from tallystick.core.replication.messages import Me
from tallystick.node.clock import Clock
from tallystick.node.driver import Driver
from tallystick.node.engine import Engine, Wire
from tallystick.node.identity import draw_boot_id, draw_client_id
from tallystick.node.installing import Installer
from tallystick.node.opening import Join, Opened, open_store
from tallystick.node.peering import Peering
from tallystick.node.settings import Settings
from tallystick.node.source import StoreSource
from tallystick.rpc.cluster import cluster_handlers
from tallystick.rpc.links import Links
from tallystick.rpc.reads import ORDER_READS, STOCK_READS
from tallystick.rpc.services import Shell, generic_handler
from tallystick.rpc.wire import decode_message, encode_effect
from tallystick.rpc.writes import ORDER_WRITES, STOCK_WRITES, Site
from tallystick.v1 import (
    cluster_service_pb2,
    order_service_pb2,
    replication_service_pb2,
    stock_service_pb2,
)

log = structlog.get_logger("node")

ORDERS, STOCK, CLUSTER, REPLICATION = SERVICES = tuple(
    str(module.DESCRIPTOR.services_by_name[name].full_name)
    for module, name in (
        (order_service_pb2, "OrderService"),
        (stock_service_pb2, "StockService"),
        (cluster_service_pb2, "ClusterService"),
        (replication_service_pb2, "ReplicationService"),
    )
)


def open_directory(settings: Settings) -> Opened:
    """Open, found or join. Raises NoCluster, OtherCluster, and store.StoreError for what is wrong with the
    directory."""
    join = Join(settings.join, settings.invitation) if settings.join else None
    opened = open_store(
        Path(settings.data),
        settings.region,
        new_cluster=settings.new_cluster,
        map_size=settings.map_size,
        reserve=settings.reserve,
        backlog=settings.backlog_events,
        join=join,
    )
    if "region" in settings.model_fields_set and settings.region != opened.identity.region:
        log.warning("the region is fixed since the first start", region=opened.identity.region)
    return opened


def make_driver(settings: Settings, opened: Opened, address: str, clock: Clock) -> Driver:
    """The driver, and what it knows of peers."""
    identity, installation = opened.identity, opened.installation
    me = Me(
        identity.cluster,
        identity.replica,
        draw_boot_id(),
        identity.region,
        address,
        frozenset(map(int, EntryKind)),
        installation.invitation if installation else "",
    )
    installer = Installer(installation) if installation else None
    source = StoreSource(opened.store)
    peering = Peering(
        me,
        opened.vector,
        opened.members,
        source,
        touched=opened.touched,
        installer=installer,
        rebalance=settings.rebalance,
        weights=settings.weights,
    )
    return Driver(
        Replica(identity.replica, identity.region, draw_client_id(), settings.limits),
        opened.store,
        source,
        opened.vector,
        opened.hlc,
        peering,
        events_max=settings.commit_events_max,
        sweep_interval_ms=settings.sweep_interval_ms,
        clock=clock,
    )


def make_site(opened: Opened, peering: Peering, clock: Clock) -> Site:
    """What answers are made with. Members and demand are asked for as they are at each read."""
    return Site(
        opened.store,
        opened.identity.replica,
        peering.region_of,
        lambda: dict(peering.members),
        lambda key: peering.balancer.demands.rates(key, round(clock.monotonic() * 1000)),
    )


def make_engine(
    settings: Settings, driver: Driver, on_broken: Callable[[BaseException], None]
) -> tuple[Engine, Links]:
    """The engine thread's side and the loop's: each hands over to the other."""
    links: Links

    def deliver(effects: list[Any]) -> None:
        links.deliver(effects)

    def garbled(link: int, problem: str) -> None:
        links.garbled(link, problem)

    wire = Wire(decode_message, encode_effect, deliver, garbled)
    engine = Engine(driver, wire, events_max=settings.commit_events_max, on_broken=on_broken)
    links = Links(engine, driver.replica.replica, settings.routes)
    return engine, links


def add_services(
    server: grpc.aio.Server, shell: Shell, links: Links, opened: Opened
) -> health.aio.HealthServicer:
    """Everything that the node answers."""
    orders = {name: shell.unary_write(write) for name, write in ORDER_WRITES.items()}
    orders |= {name: shell.unary_read(read) for name, read in ORDER_READS.items()}
    orders["PlaceOrders"] = shell.place_orders()
    stock = {name: shell.unary_write(write) for name, write in STOCK_WRITES.items()}
    stock |= {name: shell.unary_read(read) for name, read in STOCK_READS.items()}
    server.add_generic_rpc_handlers(
        (
            generic_handler(ORDERS, orders),
            generic_handler(STOCK, stock),
            generic_handler(CLUSTER, cluster_handlers(shell, links, opened.identity)),
            generic_handler(REPLICATION, {"Exchange": links.handler()}),
        )
    )
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    return servicer


async def set_serving(servicer: health.aio.HealthServicer, *, serving: bool = True) -> None:
    """What the health check says of every service."""
    status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
    for name in ("", *SERVICES):
        await servicer.set(name, status)
