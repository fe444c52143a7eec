"""A new node reads in the state of the cluster, see `snapshots`. What it writes down at each step is enough
to go on, or to begin again, after a crash."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from tallystick.core.clock import Head, Vector
from tallystick.core.codec import DecodeError, encode
from tallystick.core.replica.keys import member_key
from tallystick.core.replica.view import View
from tallystick.core.replication.effects import Alarm, Close, Effect
from tallystick.core.replication.messages import SnapshotChunk, SnapshotRequest
from tallystick.node.clearing import Clear
from tallystick.node.identity import BASE_KEY, VECTOR_KEY, encode_position, encode_vector
from tallystick.node.sealing import eager_rows, lazy_rows
from tallystick.node.snapshots import (
    INSTALLING_KEY,
    Flat,
    Installation,
    covers,
    follows_request,
    higher,
    join_chunk,
    next_request,
)
from tallystick.node.turns import Process, Turns
from tallystick.node.waypoints import Waypoints
from tallystick.store.dirty import LazyRows
from tallystick.store.port import CorruptRecord, Rows, Table
from tallystick.store.store import Store

log = structlog.get_logger("installing")

_START = SnapshotRequest("", b"")
_REMEDY = "no node can be made of it; empty the directory, and let it join anew"
_UNREADABLE = (*DecodeError, ValueError, struct.error)


class BadRows(Exception):
    """Rows that can't be joined: no node keeps such; or, if `ours`, what is on our own disk has rotted."""

    def __init__(self, problem: str, *, ours: bool = False) -> None:
        super().__init__(problem)
        self.ours = ours


class Step(NamedTuple):
    """One commit of an installation. `adopts`: with it all rows are here."""

    chunk: SnapshotChunk
    adopts: bool
    vector: Vector
    meta: Rows
    touched: bytes = b""

    @property
    def flushes(self) -> bool:
        """Whether what waits for a checkpoint is to be written before."""
        return self.adopts

    def join(self, view: View, store: Store) -> tuple[dict[Table, Rows], dict[Table, LazyRows], Vector]:
        """Join the rows; answers what to write at once and what later, and the vector after it. Raises
        BadRows: then the view is worth nothing."""
        try:
            join_chunk(self.chunk, view)
        except CorruptRecord as rot:
            raise BadRows(str(rot), ours=True) from rot
        except _UNREADABLE as problem:
            raise BadRows(f"table {self.chunk.table}: {problem}") from problem
        return eager_rows(view, [], self.meta), lazy_rows(view), self.vector


class Installer:
    """One installation: rows first, then frames up to `high`, the maximum of all that any row has brought.

    All rows are of one process of one peer. Its vector only grows, so all up to that of its first piece is
    here at the end, and what touched the digests by then it says with that one. Over a new link to that very
    process it goes on where it was; with another, and after a crash, it begins again, with nothing.
    """

    def __init__(self, state: Installation) -> None:
        self.state = state
        self._turns = Turns()
        self._request = _START
        self._is_rotten = False
        self._low: Vector = {}
        self._high: Vector = _unflat(state.high)
        self._waypoints = Waypoints()
        self._waypoints.note(self._high)
        self.contradicts = self._waypoints.contradict
        self._chunk: SnapshotChunk | None = None
        self._clear = Clear({}) if state.high and self.reads_rows else None
        self._touched = b""
        self.rows = 0

    @property
    def reads_rows(self) -> bool:
        """Whether rows are still missing."""
        return not self.state.low

    @property
    def reached(self) -> Vector:
        """All up to here is there with the last of the rows."""
        return self._low

    @property
    def has_rows(self) -> bool:
        """Whether there is something to do: rows to join, or to clear away."""
        return self._chunk is not None or self._clear is not None

    def ask(self, links: Mapping[int, Process], now_ms: int) -> tuple[int, SnapshotRequest] | None:
        """What to ask for now, and over which of the links to processes that have rows; None while one is
        waited for, or there is nobody."""
        if not self.reads_rows or self._chunk is not None or self._is_rotten:
            return None
        before = self._turns.process
        link = self._turns.ask(links, now_ms)
        if self._turns.process != before:
            self._begin_again()
        return None if link is None else (link, self._request)

    def _begin_again(self) -> None:
        """What is here is of another process."""
        if self.rows and self._clear is None:
            self._clear = Clear({})
        self._request, self._high, self.rows = _START, {}, 0
        self._waypoints.forget()

    def received(self, link: int, chunk: SnapshotChunk, now_ms: int) -> None:
        """Rows came, to be joined by the next step, if they are what was asked for last. What was read before
        the first piece was asked for is of an older request."""
        if not self._turns.answers(link) or self._chunk is not None or not self.reads_rows or self._is_rotten:
            return
        opens = self._request == _START
        if not follows_request(chunk, self._request) or not (opens or covers(chunk.vector, self._low)):
            return
        if opens:
            self._low, self._touched = chunk.vector, chunk.touched
        self._chunk = chunk
        self._high = higher(self._high, chunk.vector)
        self._turns.came(now_ms, whole=not chunk.last)

    def step(self, vector: Vector) -> Step | Clear | None:
        """What to commit next, if anything is to be."""
        if self._clear is not None:
            # The state on disk says that there are rows until there are others, so a crash does no harm.
            self._clear.vector = vector
            return self._clear
        chunk = self._chunk
        if chunk is None:
            return None
        if next_request(chunk) is not None:
            # That rows are here is known after a crash too.
            return Step(chunk, False, vector, {INSTALLING_KEY: encode(self._state(()))})
        low = self.reached
        meta = {
            VECTOR_KEY: encode_vector(low),
            BASE_KEY: encode_position(low, self._touched),
            INSTALLING_KEY: encode(self._state(_flat(low))),
        }
        return Step(chunk, True, low, meta, self._touched)

    def refuse(self, problem: BadRows, me: int, peer_of: Callable[[int], int]) -> list[Effect]:
        """The rows that came can't be joined: with the next link it begins again, whoever that is to, unless
        that is for what is on our own disk. Answers what to do."""
        self._chunk = None
        if problem.ours:
            self._is_rotten = True
            return [Alarm("CORRUPT_RECORD", f"{problem}: {_REMEDY}", me)]
        link, text = self._turns.leave(), f"a snapshot can't be joined: {problem}"
        return [Alarm("BAD_SNAPSHOT", text, peer_of(link)), Close(link, "BAD_SNAPSHOT", text)]

    def done(self, step: Step | Clear) -> None:
        """The step is on disk."""
        if isinstance(step, Clear):
            step.place = step.following
            if step.is_last:
                self._clear = None
                log.info("what was read of another process is cleared away")
            return
        self._chunk = None
        self._waypoints.note(step.chunk.vector)
        self.rows += len(step.chunk.rows)
        following = next_request(step.chunk)
        if following is not None:
            self._request = SnapshotRequest(*following)
            return
        self.state = self._state(_flat(self.reached))
        log.info("snapshot joined", rows=self.rows)

    def caught_up(self, vector: Vector) -> bool:
        """Whether nothing in the state lacks its causes any more."""
        return not self.reads_rows and covers(vector, _unflat(self.state.high))

    def may_settle(self, vector: Vector, me: int, member: Callable[[bytes], bytes | None]) -> bool:
        """Whether all is on disk, our admission too: who gave us the rows may not have known of it yet.
        `member` reads a record. Raises BadRows."""
        if self._is_rotten or not self.caught_up(vector):
            return False
        try:
            return member(member_key(me)) is not None
        except CorruptRecord as rot:
            raise BadRows(str(rot), ours=True) from rot

    def _state(self, low: Flat) -> Installation:
        return Installation(self.state.seed, self.state.invitation, low, _flat(self._high))


def _flat(vector: Vector) -> Flat:
    return tuple((replica, *vector[replica]) for replica in sorted(vector))


def _unflat(flat: Flat) -> dict[int, Head]:
    return {replica: Head(seq, digest) for replica, seq, digest in flat}
