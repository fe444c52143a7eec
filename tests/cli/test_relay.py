"""The relay between regions: late, in order, to the byte; silent when it is cut; gone when it is closed.

Silence is shown by a second relay that is as far and not cut: what it brings, the other would have brought.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from time import monotonic
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tallystick.cli.relay import Direction, Relay

MIB = 2**20


class Wire(NamedTuple):
    """A connection through a relay, seen from its caller."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, words: bytes) -> bytes:
        self.writer.write(words)
        return await self.reader.readexactly(len(words))


class Target:
    """A server that sends back what it hears, and remembers it."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.calls = 0
        self.address = ""
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    def hang_up(self) -> None:
        """Say no more to anybody."""
        for writer in self._writers:
            writer.write_eof()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while words := await reader.read(MIB):
                self.heard += words
                writer.write(words)
                await writer.drain()
            writer.write(b"bye")
        writer.close()

    async def __aenter__(self) -> Target:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = "{}:{}".format(*self._server.sockets[0].getsockname())
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()


@contextlib.asynccontextmanager
async def wire_to(address: str) -> AsyncIterator[Wire]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def target():
    async with Target() as serving:
        yield serving


async def until(is_so) -> None:
    """Turn the loop until it is so; the test's time limit ends what never is."""
    while not is_so():  # noqa: ASYNC110  # nobody announces it: the relay has no events for tests
        await asyncio.sleep(0)


async def was_reset(wire: Wire) -> bool:
    try:
        await wire.reader.read()
    except ConnectionResetError:
        return True
    return False


# ------------------------------------------------------------------------------------------------ forwarding


@settings(max_examples=25)
@example(chunks=[b"a" * 20_000, b"b" * 20_000], slow=True)
@given(chunks=st.lists(st.binary(min_size=1, max_size=20_000), min_size=1, max_size=8), slow=st.booleans())
async def test_every_byte_arrives_in_its_place(chunks, slow):
    async with Target() as target:
        relay = Relay(target.address, delay_ms=8, bytes_per_s=2_000_000 if slow else None)
        async with relay, wire_to(relay.address) as wire:
            # Connected throughout, and two turns of the loop apart: else the chunks arrive as one.
            assert await wire.ask(b">") == b">"
            for chunk in chunks:
                wire.writer.write(chunk)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            said = b"".join([b">", *chunks])
            assert await wire.reader.readexactly(len(said) - 1) == said[1:]
            assert bytes(target.heard) == said
            assert relay.forwarded == dict.fromkeys(Direction, len(said))


async def test_nothing_arrives_before_its_time(target):
    async with Relay(target.address, delay_ms=20) as relay, wire_to(relay.address) as wire:
        for words in (b"first", b"second", b"third"):
            started = monotonic()
            assert await wire.ask(words) == words
            assert monotonic() - started >= 0.040


async def test_each_way_has_its_own_delay(target):
    delays = {Direction.OUT: 30.0}
    async with Relay(target.address, delay_ms=delays) as relay, wire_to(relay.address) as wire:
        started = monotonic()
        assert await wire.ask(b"words") == b"words"
        assert monotonic() - started >= 0.030


async def test_the_nearer_one_answers_first(target):
    order: list[str] = []

    async def ask(wire: Wire, name: str) -> None:
        await wire.ask(b"words")
        order.append(name)

    far, near = Relay(target.address, delay_ms=150), Relay(target.address, delay_ms=1)
    async with far, near, wire_to(far.address) as slow, wire_to(near.address) as quick:
        await asyncio.gather(ask(slow, "far"), ask(quick, "near"))
    assert order == ["near", "far"]


async def test_distance_does_not_limit_the_throughput(target):
    """8 MiB with 50 ms of way: by question and answer of a socket's buffer it would take seconds."""
    said = bytes(range(256)) * (8 * MIB // 256)
    async with Relay(target.address, delay_ms=50) as relay, wire_to(relay.address) as wire:
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, relay.waiting_bytes)
                await asyncio.sleep(0)

        watcher = asyncio.create_task(watch())
        wire.writer.write(said)
        assert await wire.reader.readexactly(len(said)) == said
        watcher.cancel()
        assert most >= 4 * MIB


async def test_a_slow_line_takes_its_time(target):
    said = bytes(100_000)
    async with Relay(target.address) as relay, wire_to(relay.address) as wire:
        relay.slow(500_000)
        started = monotonic()
        wire.writer.write(said)
        await until(lambda: len(target.heard) == len(said))
        # A twentieth of a second is what the line makes up for.
        assert monotonic() - started >= 0.200 - 0.050 - 0.010
        relay.slow(None)
        assert await wire.reader.readexactly(len(said)) == said


async def test_a_target_may_be_named_when_the_port_is_known(target):
    async with Relay() as relay:
        async with wire_to(relay.address) as early:
            assert await was_reset(early)
        relay.target = target.address
        async with wire_to(relay.address) as wire:
            assert await wire.ask(b"words") == b"words"


# ------------------------------------------------------------------------------------------------ partitions


@contextlib.asynccontextmanager
async def two_ways(target: Target) -> AsyncIterator[tuple[Relay, Wire, Wire]]:
    """A relay to play with, a wire through it, and a wire as long that always works."""
    relay, control = Relay(target.address, delay_ms=5), Relay(target.address, delay_ms=5)
    async with relay, control, wire_to(relay.address) as wire, wire_to(control.address) as other:
        assert await wire.ask(b"before") == await other.ask(b"before")
        yield relay, wire, other


async def test_a_cut_is_silence_and_healing_resets(target):
    async with two_ways(target) as (relay, wire, other):
        forwarded = dict(relay.forwarded)
        relay.cut()
        wire.writer.write(b"unheard")
        async with wire_to(relay.address) as late:
            await until(lambda: relay.connections == 2)
            late.writer.write(b"unheard")
            calls = target.calls
            assert await other.ask(b"heard") == b"heard"
            assert await other.ask(b"again") == b"again"
            assert relay.forwarded == forwarded
            assert b"unheard" not in target.heard
            assert target.calls == calls
            assert not wire.reader.at_eof()
            relay.heal()
            assert await was_reset(wire)
            assert await was_reset(late)
        async with wire_to(relay.address) as fresh:
            assert await fresh.ask(b"anew") == b"anew"
    assert b"unheard" not in target.heard


async def test_what_is_under_way_is_caught_by_the_cut(target):
    async with two_ways(target) as (relay, wire, other):
        wire.writer.write(b"too late")
        await until(lambda: relay.waiting_bytes > 0)
        relay.cut()
        await other.ask(b"heard")
        assert b"too late" not in target.heard


async def test_a_cut_may_end_as_if_it_had_been_a_pause(target):
    async with two_ways(target) as (relay, wire, other):
        relay.cut()
        wire.writer.write(b"kept")
        async with wire_to(relay.address) as late:
            late.writer.write(b"waits")
            await other.ask(b"heard")
            relay.heal(resume=True)
            assert await wire.reader.readexactly(4) == b"kept"
            assert await late.reader.readexactly(5) == b"waits"


async def test_a_frozen_line_flows_again(target):
    async with two_ways(target) as (relay, wire, other):
        relay.freeze()
        wire.writer.write(b"kept")
        await other.ask(b"heard")
        assert b"kept" not in target.heard
        relay.heal()
        assert await wire.reader.readexactly(4) == b"kept"


async def test_a_cut_of_one_way_lets_the_other_pass(target):
    async with two_ways(target) as (relay, wire, other):
        back = relay.forwarded[Direction.BACK]
        relay.cut_one_way(Direction.BACK)
        wire.writer.write(b"one way")
        await until(lambda: target.heard.endswith(b"one way"))
        await other.ask(b"heard")
        assert relay.forwarded[Direction.BACK] == back
        relay.cut_one_way(Direction.OUT)
        assert await wire.reader.readexactly(7) == b"one way"
        wire.writer.write(b"unheard")
        await other.ask(b"again")
        assert b"unheard" not in target.heard
        relay.heal()
        assert await was_reset(wire)


async def test_an_end_is_not_heard_through_a_cut(target):
    """Remembers: who closes in a cut region must not tell the others that it did."""
    async with two_ways(target) as (relay, _wire, other):
        async with wire_to(relay.address) as leaving:
            await leaving.ask(b"here")
            relay.cut()
        await other.ask(b"heard")
        assert relay.connections == 2
        relay.heal()
        await until(lambda: relay.connections == 0)


# ------------------------------------------------------------------------------------------------- pressure


async def test_what_waits_is_bounded(target):
    """64 MiB do not fit the sockets: the sender is held until the line flows again."""
    bound = 256 * 1024
    said = bytes(range(256)) * (64 * MIB // 256)
    async with Relay(target.address, buffer_bytes=bound) as relay, wire_to(relay.address) as wire:
        await wire.ask(b"here")
        relay.freeze()
        wire.writer.write(said)
        sending = asyncio.create_task(wire.writer.drain())
        hearing = asyncio.create_task(wire.reader.readexactly(len(said)))
        await until(lambda: relay.waiting_bytes >= bound)
        most = 0
        for _ in range(200):
            await asyncio.sleep(0)
            most = max(most, relay.waiting_bytes)
        assert not sending.done()
        relay.heal()
        while not hearing.done():
            await asyncio.sleep(0)
            most = max(most, relay.waiting_bytes)
        # A read brings at most 256 KiB beyond the bound, one a direction.
        assert most <= 2 * (bound + 256 * 1024)
        assert await hearing == said
        await sending


# -------------------------------------------------------------------------------------------------- closing


async def test_who_has_said_all_may_still_listen(target):
    async with Relay(target.address, delay_ms=2) as relay, wire_to(relay.address) as wire:
        wire.writer.write(b"all I have")
        wire.writer.write_eof()
        assert await wire.reader.read() == b"all I havebye"
        await until(lambda: relay.connections == 0)


async def test_a_reset_is_passed_on():
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = "{}:{}".format(*server.sockets[0].getsockname())
    async with server, Relay(address, delay_ms=2) as relay, wire_to(relay.address) as wire:
        wire.writer.write(b"here")
        await until(lambda: relay.forwarded[Direction.OUT] == 4)
        taken = wire.writer.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wire.writer.transport.abort()
        await gone.wait()
        await until(lambda: relay.connections == 0)


async def test_a_reset_that_was_overlooked_is_found_at_the_end(target):
    """Nothing is read of a caller whose line is full, so his reset shows when he is to be told something."""
    async with Relay(target.address, delay_ms=2, buffer_bytes=MIB) as relay, wire_to(relay.address) as wire:
        assert await wire.ask(b"here") == b"here"
        relay.cut_one_way(Direction.OUT)
        wire.writer.write(bytes(4 * MIB))
        await until(lambda: relay.waiting_bytes >= MIB)
        taken = wire.writer.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wire.writer.transport.abort()
        target.hang_up()
        await until(lambda: relay.connections == 0)


async def test_a_target_that_is_not_there_resets_the_caller():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        async with Relay(address) as relay, wire_to(relay.address) as wire:
            assert await was_reset(wire)
            await until(lambda: relay.connections == 0)


@pytest.mark.parametrize("fault", ["none", "cut", "freeze"])
async def test_stopping_leaves_nothing_behind(target, fault):
    before = asyncio.all_tasks()
    relay = Relay(target.address, delay_ms=1_000)
    await relay.start()
    async with wire_to(relay.address) as wire:
        await until(lambda: target.calls == 1)
        if fault != "none":
            getattr(relay, fault)()
        async with wire_to(relay.address):
            wire.writer.write(b"never arrives")
            await until(lambda: relay.waiting_bytes > 0)
            await relay.stop()
            assert await was_reset(wire)
    assert (relay.connections, relay.waiting_bytes) == (0, 0)
    await relay.stop()
    await until(lambda: asyncio.all_tasks() == before)
    with pytest.raises(ConnectionRefusedError):
        async with wire_to(relay.address):
            pass
