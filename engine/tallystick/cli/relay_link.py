"""What a relay is made of: a shared road, and on it a link for each connection, of two pipes and two ends."""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

_BURST_S = 0.005  # a slow line passes pieces of so much time: timers are good to a millisecond
_PIECE_BYTES_MIN = 1_448  # what fits a packet of Ethernet
_CATCH_UP_S = 0.05  # a timer that was late is made up for, up to so much
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


class Direction(enum.Enum):
    """Seen from whoever connected to the relay."""

    OUT = "out"
    """To the target."""
    BACK = "back"
    """From the target."""


class Line:
    """The bandwidth of one direction. Pieces leave one after another."""

    def __init__(self) -> None:
        self.bytes_per_s: float | None = None
        self.free_at = 0.0

    def limit(self, bytes_per_s: float | None) -> None:
        self.bytes_per_s = bytes_per_s
        self.free_at = 0.0

    def piece(self, data: bytes) -> bytes:
        """As much of it as may leave at once."""
        if self.bytes_per_s is None:
            return data
        return data[: max(_PIECE_BYTES_MIN, int(self.bytes_per_s * _BURST_S))]

    def take(self, count: int, now: float) -> None:
        """Be busy for as long as so many bytes take."""
        if self.bytes_per_s is not None:
            self.free_at = max(self.free_at, now - _CATCH_UP_S) + count / self.bytes_per_s


@dataclass
class Road:
    """What all links of a relay share: how far it is, how wide, and whether anything passes."""

    target: str
    delay_s: dict[Direction, float]
    buffer_bytes: int
    lines: dict[Direction, Line] = field(default_factory=lambda: {way: Line() for way in Direction})
    forwarded: dict[Direction, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))
    blocked: frozenset[Direction] = frozenset()
    is_closed: bool = False


class Link:
    """One connection to the relay, and the one to the target that goes with it."""

    def __init__(self, road: Road, opened: Callable[[Link], None], closed: Callable[[Link], None]) -> None:
        self._road = road
        self._opened = opened
        self._closed = closed
        self.pipes = {way: Pipe(road, way) for way in Direction}
        out, back = self.pipes[Direction.OUT], self.pipes[Direction.BACK]
        self.caller = End(self, said=out, hears=back)
        self._target = End(self, said=back, hears=out)
        self._connecting: asyncio.Task[None] | None = None
        self._ends_told = 0
        self._over = False

    def end_made(self, end: End) -> None:
        """A socket is there, the caller's first. The target is called when both ways are open."""
        if self._over or self._road.is_closed:
            end.abort()
        elif end is self.caller:
            self._opened(self)
            self.flow()
        else:
            self.flow()

    def end_told(self) -> None:
        """One side has heard all that the other had to say. When both have, that is it."""
        self._ends_told += 1
        if self._ends_told == len(self.pipes):
            self.caller.close()
            self._target.close()

    def end_lost(self) -> None:
        """A socket is gone, or the task that was to make one. When nothing is left, this is over."""
        connecting = self._connecting is not None and not self._connecting.done()
        if not connecting and self.caller.transport is None and self._target.transport is None:
            self._closed(self)

    def flow(self) -> None:
        """Let pass what may."""
        if self._connecting is None and not self._road.blocked:
            self._connecting = asyncio.get_running_loop().create_task(self._call_target())
            self._connecting.add_done_callback(lambda _task: self.end_lost())
        for pipe in self.pipes.values():
            pipe.drain()

    def reset(self) -> None:
        """End both connections hard; what was under way is lost."""
        self._over = True
        if self._connecting is not None:
            self._connecting.cancel()
        for pipe in self.pipes.values():
            pipe.clear()
        self.caller.abort()
        self._target.abort()

    async def _call_target(self) -> None:
        host, _, port = self._road.target.rpartition(":")
        try:
            # With no target yet, port 0 refuses like any other on which nobody listens.
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: self._target, host or "localhost", int(port or 0))
        except OSError:
            self.reset()


class Due(NamedTuple):
    """Bytes, and when they arrive. None: the source was reset; empty: it has no more to say."""

    at: float
    data: bytes | None


class Pipe:
    """One direction of a link: the queue between a source and a sink."""

    def __init__(self, road: Road, direction: Direction) -> None:
        self._road = road
        self._direction = direction
        self._queue: deque[Due] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.waiting_bytes = 0
        self.source: End | None = None
        self.sink: End | None = None
        self.sink_is_full = False

    def put(self, data: bytes | None) -> None:
        """Take what the source said; stop it when so much waits that it has to."""
        self._queue.append(Due(monotonic() + self._road.delay_s[self._direction], data))
        if data:
            self.waiting_bytes += len(data)
            if self.waiting_bytes >= self._road.buffer_bytes and self.source is not None:
                self.source.pause()
        if self._timer is None:
            self.drain()

    def drain(self) -> None:
        """Pass on what is due, and come again when the next is."""
        self._stop_timer()
        line = self._road.lines[self._direction]
        while self._queue and self._may_pass():
            now = monotonic()
            due = max(self._queue[0].at, line.free_at)
            if due > now:
                self._timer = asyncio.get_running_loop().call_later(due - now, self.drain)
                break
            self._pass_on(line, now)
        if self.waiting_bytes <= self._road.buffer_bytes // 2 and self.source is not None:
            self.source.go_on()

    def clear(self) -> None:
        self._stop_timer()
        self._queue.clear()
        self.waiting_bytes = 0

    def _may_pass(self) -> bool:
        sink_takes = self.sink is not None and not self.sink_is_full
        return sink_takes and self._direction not in self._road.blocked

    def _pass_on(self, line: Line, now: float) -> None:
        assert self.sink is not None
        at, data = self._queue.popleft()
        if not data:
            self.sink.tell_end(hard=data is None)
            return
        piece = line.piece(data)
        if len(piece) < len(data):
            self._queue.appendleft(Due(at, data[len(piece) :]))
        line.take(len(piece), now)
        self.waiting_bytes -= len(piece)
        self._road.forwarded[self._direction] += len(piece)
        self.sink.write(piece)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class End(asyncio.Protocol):
    """One socket of a link: what it says goes into one pipe, what it hears comes out of the other."""

    def __init__(self, link: Link, *, said: Pipe, hears: Pipe) -> None:
        self._link = link
        self._said = said
        self._hears = hears
        self._paused = False
        self.transport: asyncio.Transport | None = None

    # ---------------------------------------------------------------------------- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._said.source = self._hears.sink = self
        self._link.end_made(self)

    def data_received(self, data: bytes) -> None:
        self._said.put(data)

    def eof_received(self) -> bool:
        """It says no more, and may go on listening."""
        self._said.put(b"")
        return True

    def pause_writing(self) -> None:
        self._hears.sink_is_full = True

    def resume_writing(self) -> None:
        self._hears.sink_is_full = False
        self._hears.drain()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = self._said.source = self._hears.sink = None
        self._hears.clear()
        if error is not None:
            self._said.put(None)
        self._link.end_lost()

    # ------------------------------------------------------------------------ what link and pipes call

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def tell_end(self, *, hard: bool) -> None:
        """The other side was reset, or has said all."""
        if hard:
            self._link.reset()
        elif self.transport is not None:
            try:
                self.transport.write_eof()
            except OSError:  # reset already, and nobody has told us yet
                self._link.reset()
            else:
                self._link.end_told()

    def pause(self) -> None:
        if self.transport is not None and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def go_on(self) -> None:
        if self.transport is not None and self._paused:
            self._paused = False
            self.transport.resume_reading()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close it with RST, so that the peer knows at once."""
        if self.transport is not None:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
