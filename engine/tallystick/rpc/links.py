"""Links between nodes over gRPC: one stream a pair, dialled by the node with the lower id; by the other one
if that does not come, for it may be reached elsewhere now and nobody knows.

The loop's side: bytes in, bytes out, connections made and mended. What messages mean is the engine thread's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

import grpc
import structlog

from tallystick.core.members import node_name
from tallystick.core.replication.effects import (
    Alarm,
    Close,
    Effect,
    Linked,
    ReadChunk,
    ReadLog,
    Roster,
    Settled,
    Survey,
)
from tallystick.node.engine import Engine, Said
from tallystick.node.inputs import ChunkRead, Closed, Connected, LogRead, Surveyed
from tallystick.node.logreading import read_log
from tallystick.node.snapshots import read_chunk
from tallystick.rpc.wire import Bytes

log = structlog.get_logger("links")

EXCHANGE = "/tallystick.v1.ReplicationService/Exchange"
MESSAGE_BYTES_MAX = 8 << 20
"""A frame of one event may have 4 MiB, and a message one such frame after others of 1 MiB."""
_UNREAD_MAX = 16
"""Messages of one link that the engine has not taken yet: beyond it nothing is read."""
_CONNECT_S = 1.0
_PATIENCE_S = 0.5
"""How long the node with the higher id leaves the dialling to its peer."""
_FLUSH_S = 0.5
"""How long what was said before the end may take to leave."""
_LAST_WRITE_S = 0.05
"""How long what is on its way out is waited for when the peer says no more."""
_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 0.5
_CALL_IS_OVER = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError)
_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.use_local_subchannel_pool", 1),  # else a broken connection's back-off outlives its channel
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class _Stream(Protocol):
    def read(self) -> Awaitable[Any]: ...

    def write(self, data: bytes) -> Awaitable[None]: ...


class _Link:
    """One connection: what is to be written, and how to end it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.peer = 0
        self.over = asyncio.Event()
        self.gone = asyncio.Event()

    def end(self) -> None:
        """Say what is to be said, and be over soon, even if nobody takes it."""
        self.out.put_nowait(None)
        asyncio.get_running_loop().call_later(_FLUSH_S, self.over.set)


class Links:
    """All links of one node."""

    def __init__(self, engine: Engine, replica: int, routes: Mapping[str, str]) -> None:
        self._engine = engine
        self._replica = replica
        self._routes = routes
        self._links: dict[int, _Link] = {}
        self._last = 0
        self._linked: dict[int, int] = {}
        self._addresses: dict[int, tuple[str, str]] = {}
        self._dialers: dict[int, asyncio.Task[None]] = {}
        self._seed: asyncio.Task[None] | None = None
        self.joining = False
        """Whether a peer that turns us away for good refuses us as a member."""
        self._made = 0
        self._changed = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="peers")
        self._surveys = ThreadPoolExecutor(1, thread_name_prefix="surveys")
        self._closing = False
        self.problems: dict[int, str] = {}
        """Peer → why there is no link, if there is a reason to name."""
        self.stopped: set[int] = set()
        """Peers that are not dialled any more: somebody has to do something first."""
        self.refused = asyncio.get_running_loop().create_future()
        """Set when a seed has turned us away for good: (reason, message)."""
        self.met = asyncio.get_running_loop().create_future()
        """Set when a first peer has greeted: it has said what it has of our own chain."""
        self.settled = asyncio.get_running_loop().create_future()
        """Set when this node is an active member with all that the others have."""

    # ------------------------------------------------------------------------------------ the engine's wishes

    def deliver(self, effects: list[Effect | Bytes]) -> None:
        """Carry out what the driver wants done."""
        for effect in effects:
            match effect:
                case Bytes(number, data):
                    if number in self._links:
                        self._links[number].out.put_nowait(data)
                case ReadLog(number):
                    self._read(read_log, effect, lambda e, found: LogRead(e.link, e.origin, found))
                case ReadChunk(number):
                    self._read(_chunk, effect, lambda e, found: ChunkRead(e.link, found))
                case Survey():
                    self._survey(effect)
                case Linked(number, peer):
                    self._note_linked(number, peer)
                case Roster(peers):
                    self._addresses = {replica: (region, address) for replica, region, address in peers}
                    self._dial_all()
                case Settled():
                    self.joining = False
                    if not self.settled.done():
                        self.settled.set_result(None)
                case Close():
                    self._close(effect)
                case Alarm(reason, message, replica):
                    log.error("alarm", reason=reason, node=node_name(replica), message=message)

    def garbled(self, number: int, problem: str) -> None:
        """A link brought bytes that are no message."""
        self._close(Close(number, "BAD_MESSAGE", problem))

    # -------------------------------------------------------------------------------------------- connections

    def handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        """The server's side of Exchange: bytes both ways."""

        async def handle(requests: Any, context: Any) -> None:
            await self._run(context)

        return grpc.stream_stream_rpc_method_handler(handle)

    def dial_seed(self, address: str) -> None:
        """Dial a member by its address, whoever it is, whenever there is no link at all."""
        self._seed = asyncio.create_task(self._keep_dialling(lambda: None if self._linked else address))

    async def close(self) -> None:
        """End all links. What the engine wants after this is not done any more."""
        self._closing = True
        links = [*self._links.values()]
        for link in links:
            link.end()
        # What is queued is still to be written; who is in the middle of dialling has nothing to say.
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * _FLUSH_S):
                await asyncio.gather(*(link.gone.wait() for link in links))
        tasks = [*self._dialers.values(), *([self._seed] if self._seed else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        """Finish what is being read: snapshots must not outlive the store."""
        self._pool.shutdown()
        self._surveys.shutdown()

    async def _run(self, stream: _Stream, finish: Callable[[], Awaitable[None]] | None = None) -> None:
        """One connection, until either side ends it. `finish`: how a dialler says that it has said all."""
        if self._closing:
            return
        self._last += 1
        link = self._links[self._last] = _Link(self._last)
        self._engine.hear(Connected(link.number))
        reading = asyncio.create_task(self._read_all(link, stream))
        writing = asyncio.create_task(_write_all(link, stream))
        tasks = (reading, writing, asyncio.create_task(link.over.wait()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                # gRPC can't end a call amid a write; and who only listens is greeted all the same.
                await asyncio.wait((writing,), timeout=_LAST_WRITE_S)
            elif writing.done() and finish is not None:
                # What was written last is on its way: a call that is cancelled takes it along.
                with suppress(TimeoutError, *_CALL_IS_OVER):
                    async with asyncio.timeout(_FLUSH_S):
                        await finish()
                        await asyncio.wait((reading,))
        finally:
            # First, as a call that is cancelled again while it ends does no more.
            del self._links[link.number]
            link.gone.set()
            self._engine.hear(Closed(link.number))
            self._note_unlinked(link)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _read_all(self, link: _Link, stream: _Stream) -> None:
        room = asyncio.Semaphore(_UNREAD_MAX)
        while True:
            await room.acquire()
            try:
                data = await stream.read()
            except _CALL_IS_OVER:
                return
            if data is grpc.aio.EOF:
                return
            self._engine.hear(Said(link.number, data, room.release))

    # ----------------------------------------------------------------------------------------------- dialling

    def _dial_all(self) -> None:
        """Keep one dialler for each peer that is ours to dial."""
        for peer in [peer for peer in self._dialers if peer not in self._addresses]:
            self._dialers.pop(peer).cancel()
        for peer in self._addresses:
            if peer not in self._dialers:
                patience_s = 0.0 if self._replica < peer else _PATIENCE_S
                dialling = self._keep_dialling(self._address_of(peer), patience_s)
                self._dialers[peer] = asyncio.create_task(dialling)
        self._changed.set()

    def _address_of(self, peer: int) -> Callable[[], str | None]:
        def address() -> str | None:
            if peer in self._linked or peer in self.stopped or peer not in self._addresses:
                return None
            region, told = self._addresses[peer]
            return self._routes.get(region, told) or None

        return address

    async def _keep_dialling(self, address: Callable[[], str | None], patience_s: float = 0.0) -> None:
        """Dial while there is an address to dial, each time after `patience_s`, resting after a failure."""
        failures = 0
        while True:
            target = address()
            if target is not None and patience_s:
                await asyncio.sleep(patience_s)
                target = address()
            if target is None or self._closing:
                failures = 0
                self._changed.clear()
                await self._changed.wait()
                continue
            before = self._made
            await self._dial(target)
            failures = 0 if self._made > before else failures + 1
            if failures.bit_count() == 1:  # told ever more seldom: it may be away for days
                log.warning("nobody answers there; dialling on", address=target, tries=failures)
            ceiling = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2.0 ** min(failures, 8))
            await asyncio.sleep(ceiling * (0.5 + random.random() / 2))

    async def _dial(self, target: str) -> None:
        async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
            try:
                async with asyncio.timeout(_CONNECT_S):
                    if not await _connects(channel):
                        return
            except TimeoutError:
                return
            exchange: Any = channel.stream_stream(EXCHANGE)
            call = exchange(wait_for_ready=False)
            try:
                await self._run(call, call.done_writing)
            finally:
                call.cancel()

    # -------------------------------------------------------------------------------------------------- notes

    def _note_linked(self, number: int, peer: int) -> None:
        link = self._links.get(number)
        if link is None:
            return
        link.peer = peer
        self._linked[peer] = number
        self._made += 1
        if not self.met.done():
            self.met.set_result(None)
        if peer not in self.stopped:
            self.problems.pop(peer, None)
        log.info("linked", node=node_name(peer))

    def _note_unlinked(self, link: _Link) -> None:
        """Both may have dialled at once: another link to the peer takes this one's place."""
        if self._linked.get(link.peer) == link.number:
            others = [each.number for each in self._links.values() if each.peer == link.peer]
            if others:
                self._linked[link.peer] = max(others)
            else:
                del self._linked[link.peer]
        self._changed.set()

    def _close(self, close: Close) -> None:
        if close.final and self.joining and not self.refused.done():
            # The stream may have ended before the reason was read.
            self.refused.set_result((close.reason, close.message))
        link = self._links.get(close.link)
        peer = close.peer or (link.peer if link else 0)
        log.info("closing a link", node=node_name(peer), reason=close.reason, message=close.message)
        self.problems[peer] = f"{close.reason}: {close.message}"
        if close.final:
            self.stopped.add(peer)
        if link is not None:
            link.end()

    def _survey(self, survey: Survey) -> None:
        """Read everything: not in the thread in which links are served, as it may take long."""

        def work() -> None:
            try:
                self._engine.tell(Surveyed(survey.then, survey.work(survey.reader)))
            finally:
                survey.close()

        if self._closing:
            survey.close()
        else:
            self._surveys.submit(work).add_done_callback(_report)

    def _read(self, read: Callable[..., Any], effect: Any, wrap: Callable[[Any, Any], Any]) -> None:
        """Read from the store in a thread of its own, and hand what was found to the engine."""

        def work() -> None:
            with self._engine.store.read() as reader:
                self._engine.tell(wrap(effect, read(reader, effect)))

        if not self._closing:
            self._pool.submit(work).add_done_callback(_report)


def _report(done: Future[None]) -> None:
    """Nobody waits for what is read in a thread: what goes wrong there must not be lost."""
    problem = done.exception()
    if problem is not None:
        log.error("reading for a peer failed", problem=repr(problem), exc_info=problem)


def _chunk(reader: Any, effect: ReadChunk) -> Any:
    return read_chunk(reader, effect.table, effect.after)


async def _connects(channel: grpc.aio.Channel) -> bool:
    """Wait until it is connected, or was refused: gRPC itself would go on trying, after pauses of its own."""
    while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            return False
        await channel.wait_for_state_change(state)
    return True


async def _write_all(link: _Link, stream: _Stream) -> None:
    """Write what is queued; None ends the link after what came before it."""
    while (data := await link.out.get()) is not None:
        try:
            await stream.write(data)
        except _CALL_IS_OVER:
            return
