"""A node put together: store, engine, services; started, and stopped without losing an accepted call."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
import structlog
import uvloop
from grpc_health.v1 import health

from tallystick.core.errors import Refused
from tallystick.core.members import node_name
from tallystick.core.replica.commands import Found, SettleIn
from tallystick.node.clock import WALL, Clock
from tallystick.node.engine import Engine
from tallystick.node.founding import OwnJob
from tallystick.node.identity import Identity
from tallystick.node.jobs import Closed, Installing
from tallystick.node.logs import configure_logs
from tallystick.node.opening import Opened
from tallystick.node.reads import Reads
from tallystick.node.settings import Settings
from tallystick.rpc.assembling import (
    add_services,
    make_driver,
    make_engine,
    make_site,
    open_directory,
    set_serving,
)
from tallystick.rpc.links import MESSAGE_BYTES_MAX, Links
from tallystick.rpc.services import Shell
from tallystick.store.port import StoreFull

log = structlog.get_logger("node")

_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),
)
_LAST_BYTES_S = 1.0
"""When all calls are answered, answers may be on their way out still; who watches our health never leaves."""

_MEET_S = 1.0
"""How long a node that starts waits for a peer."""

_SWITCH_INTERVAL_S = 0.0005
"""A thread that needs the interpreter back after a system call gets it this soon (DESIGN: Threads)."""

_COLLECT_SELDOM = (50_000, 20, 50)
"""Records hold no cycles: looking for garbage in them as often as Python does by itself costs a tenth."""


class JoinRefused(Exception):
    """The cluster does not let this node in."""


class RunningNode:
    """A node that serves."""

    def __init__(
        self,
        server: grpc.aio.Server,
        address: str,
        identity: Identity,
        engine: Engine,
        links: Links,
        shell: Shell,
        health_servicer: health.aio.HealthServicer,
    ) -> None:
        self.address = address
        self.identity = identity
        self.engine = engine
        self.links = links
        self.shell = shell
        self._server = server
        self._health = health_servicer

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, answer those that were accepted, write the checkpoints, let go of the disk."""
        await self._health.enter_graceful_shutdown()
        self.shell.stopping.set()
        # Until the last call is answered, those that come too late are told so; gRPC would just cut them off.
        with suppress(TimeoutError):
            await asyncio.wait_for(self.shell.quiet.wait(), grace_s)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._say_all(), grace_s)
        await self.links.close()
        await self._server.stop(min(grace_s, _LAST_BYTES_S))
        await asyncio.to_thread(self.engine.stop)
        self.shell.reads.close()
        self.engine.store.close()
        log.info("stopped", node=node_name(self.identity.replica))

    async def _say_all(self) -> None:
        """Let what is kept for peers leave while there are links."""
        self.engine.driver.hurries = True
        await OwnJob().run(self.engine)

    async def begin(self, opened: Opened, address: str, seed: str) -> None:
        """Found the cluster, or join it, or tell it where we are now; then calls are answered. Raises
        StoreFull, JoinRefused."""
        installation = opened.installation
        if installation is not None:
            await self._join(installation.seed)
        elif not opened.head.seq:
            secret = secrets.token_bytes(32)
            result = await OwnJob(Found(self.identity.region, address, secret)).run(self.engine)
            if isinstance(result, Refused):
                raise StoreFull(result.message)
        else:
            if seed:
                # All may be elsewhere than they were: who is named again is tried again.
                self.links.dial_seed(seed)
            if len(opened.members) > 1:
                # A disk that was rolled back may have sold more than it knows: ask before selling, if any
                # peer can be asked. Cut off, we go on with what is here.
                await asyncio.wait({self.links.met}, timeout=_MEET_S)
                self.engine.driver.asks_first = False
            result = await OwnJob(SettleIn(address)).run(self.engine)
            if isinstance(result, Closed):
                # Reads go on.
                log.warning("the address could not be written down", address=address, reason=result.message)
            elif isinstance(result, Refused):
                raise JoinRefused(f"{result.reason}: {result.message}")
        self.shell.closed = None
        await set_serving(self._health)

    async def _join(self, seed: str) -> None:
        self.shell.closed = Installing
        await set_serving(self._health, serving=False)
        log.info("joining", seed=seed)
        self.links.joining = True
        self.links.dial_seed(seed)
        waits: set[asyncio.Future[Any]] = {self.links.settled, self.links.refused}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if self.links.refused.done():
            raise JoinRefused(": ".join(self.links.refused.result()))


async def start_node(
    settings: Settings,
    on_broken: Callable[[BaseException], None] | None = None,
    clock: Clock = WALL,
) -> RunningNode:
    """Open the data directory and serve. Raises NoCluster, OtherCluster, JoinRefused, store.StoreError,
    OSError (address in use)."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.set_threshold(*_COLLECT_SELDOM)
    server = grpc.aio.server(options=(*_OPTIONS, ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)))
    port = bind(server, settings.listen)
    address = f"{settings.listen.rpartition(':')[0]}:{port}"
    told = settings.advertise or address
    opened = open_directory(settings)
    driver = make_driver(settings, opened, told, clock)
    driver.asks_first = opened.installation is None and len(opened.members) > 1
    engine, links = make_engine(settings, driver, on_broken or end_process)
    shell = Shell(engine, Reads(engine), make_site(opened, driver.peering, clock), settings)
    health_servicer = add_services(server, shell, links, opened)
    engine.start(asyncio.get_running_loop())
    await server.start()
    node = RunningNode(server, address, opened.identity, engine, links, shell, health_servicer)
    try:
        await node.begin(opened, told, settings.join)
    except (JoinRefused, StoreFull, asyncio.CancelledError):
        await node.stop(0)
        raise
    gc.collect()
    gc.freeze()
    log.info("serving", node=node_name(node.identity.replica), region=node.identity.region, address=address)
    return node


def bind(server: grpc.aio.Server, address: str) -> int:
    """Take the address, before anything is touched on the disk; answers the port. Raises OSError."""
    try:
        return server.add_insecure_port(address)
    except RuntimeError as problem:
        raise OSError(f"cannot listen on {address}: is another process there?") from problem


def end_process(problem: BaseException) -> None:
    """The store is broken: memory is never trusted over disk, so nothing is written or answered any more."""
    log.critical("the node ends: start it again to go on from what is on disk", problem=repr(problem))
    os._exit(70)


def run(settings: Settings, ready: Callable[[RunningNode], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called once, when calls are answered."""
    configure_logs(settings.log_level)
    uvloop.run(_serve(settings, ready))


async def _serve(settings: Settings, ready: Callable[[RunningNode], None]) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    stop = loop.create_task(told.wait())
    starting = loop.create_task(start_node(settings))
    await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():  # joining lasts until the seed answers, which may be never
        starting.cancel()
        await asyncio.wait({starting})
        return
    node = starting.result()
    ready(node)
    await stop
    log.info("stopping", grace_ms=settings.grace_ms)
    await node.stop(settings.grace_ms / 1000)
