"""A new node reads in the state of the cluster, see `snapshots`. What it writes down at each step is enough
to go on, or to begin again, after a crash."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from tallystick.core.clock import Head, Vector
from tallystick.core.codec import DecodeError, encode
from tallystick.core.replica.view import View
from tallystick.core.replication.effects import Alarm, Close, Effect
from tallystick.core.replication.messages import SnapshotChunk, SnapshotRequest
from tallystick.node.identity import BASE_KEY, VECTOR_KEY, encode_position, encode_vector
from tallystick.node.sealing import eager_rows
from tallystick.node.snapshots import (
    INSTALLING_KEY,
    Flat,
    Installation,
    covers,
    follows_request,
    higher,
    join_chunk,
    lower,
    next_request,
)
from tallystick.node.waypoints import Waypoints
from tallystick.store.port import CorruptRecord, Rows, Table

log = structlog.get_logger("installing")

ANSWER_MS = 2_000
"""A peer that sends no rows for so long is not waited for: another is asked. Over a thin line rows take
longer: each time that nobody was quick enough, all have twice as long, up to ANSWER_MS_MAX. A whole piece
says how long one takes: then all have twice as long as the slowest of them ever took, and no less than
ANSWER_MS. The last rows of a table are few and quick, and say nothing of those of the next."""
ANSWER_MS_MAX = 60_000
Process = tuple[int, int]
"""A peer, and the boot that its Hello names."""
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

    def join(self, view: View) -> tuple[dict[Table, Rows], Vector]:
        """Join the rows; answers what to write at once, and the vector after it. Raises BadRows: then the
        view is worth nothing."""
        try:
            join_chunk(self.chunk, view)
        except CorruptRecord as rot:
            raise BadRows(str(rot), ours=True) from rot
        except _UNREADABLE as problem:
            raise BadRows(f"table {self.chunk.table}: {problem}") from problem
        return eager_rows(view, [], self.meta), self.vector


class Installer:
    """One installation: rows first, then frames up to `high`.

    All rows come of one process of one peer: its vector only grows, so that what touched the digests, which
    it says at first, is of the pointwise minimum. Over a new link to that very process it goes on where it
    was; with another peer, or after the peer's restart, it begins again. A peer whose link is gone is waited
    for as long as one that is silent. Rows that come twice are joined
    twice. The pointwise maximum is over all of them, and of those before a crash.
    """

    def __init__(self, state: Installation) -> None:
        self.state = state
        self._request = _START
        self._link = 0
        self._process: Process | None = None
        self._waits = False
        self._is_rotten = False
        self._asked_ms = 0
        self._patience_ms = ANSWER_MS
        self._slowest_ms = 0
        self._gone_ms: int | None = None
        self._low: Vector | None = None
        self._high: Vector = _unflat(state.high)
        self._waypoints = Waypoints()
        self._waypoints.note(self._high)
        self.contradicts = self._waypoints.contradict
        self._chunk: SnapshotChunk | None = None
        self._touched = b""
        self.rows = 0

    @property
    def reads_rows(self) -> bool:
        """Whether rows are still missing."""
        return not self.state.low

    @property
    def has_rows(self) -> bool:
        """Whether rows have come that are not on disk yet."""
        return self._chunk is not None

    def ask(self, links: Mapping[int, Process], now_ms: int) -> tuple[int, SnapshotRequest] | None:
        """What to ask for now, and over which of the links to processes that have rows; None while one is
        waited for, or there is nobody."""
        if not self.reads_rows or self._chunk is not None or not links or self._is_rotten:
            return None
        if self._link in links:
            self._gone_ms = None
            if self._waits and now_ms - self._asked_ms < self._patience_ms:
                return None
            if self._waits:
                self._patience_ms = min(2 * self._patience_ms, ANSWER_MS_MAX)
                self._turn_to(self._next(links, silent=True), links)
        elif self._may_come_back(links, now_ms):
            return None
        else:
            self._turn_to(self._next(links, silent=False), links)
        self._waits, self._asked_ms = True, now_ms
        return self._link, self._request

    def _may_come_back(self, links: Mapping[int, Process], now_ms: int) -> bool:
        """Whether the process whose link is gone is worth waiting for: with another it begins again."""
        if self._process is None or self._low is None:
            return False
        if any(peer == self._process[0] for peer, _ in links.values()):
            return False  # it is there, or has restarted
        if self._gone_ms is None:
            self._gone_ms = now_ms
        return now_ms - self._gone_ms < self._patience_ms

    def _next(self, links: Mapping[int, Process], *, silent: bool) -> int:
        """The next link in turn: first to the same process if only its link is gone, last if it is silent."""

        def rank(link: int) -> tuple[bool, bool, int]:
            return ((links[link] == self._process) is silent, link <= self._link, link)

        return min(links, key=rank)

    def _turn_to(self, link: int, links: Mapping[int, Process]) -> None:
        self._link, self._gone_ms = link, None
        if links[link] != self._process:
            self._process, self._request, self._low = links[link], _START, None

    def received(self, link: int, chunk: SnapshotChunk, now_ms: int) -> None:
        """Rows came, to be joined by the next step. Any but those that were asked for last came before."""
        if link != self._link or not self.reads_rows or self._chunk is not None or self._is_rotten:
            return
        if follows_request(chunk, self._request):
            self._chunk = chunk
            self._touched = chunk.touched or self._touched
            self._low = lower(self._low, chunk.vector)
            self._high = higher(self._high, chunk.vector)
            if not chunk.last:
                self._slowest_ms = max(self._slowest_ms, now_ms - self._asked_ms)
                self._patience_ms = min(max(ANSWER_MS, 2 * self._slowest_ms), ANSWER_MS_MAX)

    def step(self, vector: Vector) -> Step | None:
        """What to commit next, if anything came."""
        chunk = self._chunk
        if chunk is None:
            return None
        assert self._low is not None
        if next_request(chunk) is not None:
            # What of it goes beyond all that comes later is known after a crash too.
            return Step(chunk, False, vector, {INSTALLING_KEY: encode(self._state(()))})
        meta = {
            VECTOR_KEY: encode_vector(self._low),
            BASE_KEY: encode_position(self._low, self._touched),
            INSTALLING_KEY: encode(self._state(_flat(self._low))),
        }
        return Step(chunk, True, self._low, meta, self._touched)

    def refuse(self, problem: BadRows, me: int, peer_of: Callable[[int], int]) -> list[Effect]:
        """The rows that came can't be joined: with the next link it begins again, whoever that is to, unless
        that is for what is on our own disk. Answers what to do."""
        if problem.ours:
            self._chunk, self._is_rotten = None, True
            return [Alarm("CORRUPT_RECORD", f"{problem}: {_REMEDY}", me)]
        link, text = self._link, f"a snapshot can't be joined: {problem}"
        self._chunk, self._waits, self._asked_ms = None, True, -ANSWER_MS_MAX  # as if it were silent
        self._process, self._request, self._low = None, _START, None
        return [Alarm("BAD_SNAPSHOT", text, peer_of(link)), Close(link, "BAD_SNAPSHOT", text)]

    def done(self, step: Step) -> None:
        """The step is on disk."""
        self._chunk = None
        self._waits = False
        self._waypoints.note(step.chunk.vector)
        self.rows += len(step.chunk.rows)
        following = next_request(step.chunk)
        if following is not None:
            self._request = SnapshotRequest(*following)
            return
        assert self._low is not None
        self.state = self._state(_flat(self._low))
        log.info("snapshot joined", rows=self.rows)

    def caught_up(self, vector: Vector) -> bool:
        """Whether nothing in the state lacks its causes any more."""
        if self.reads_rows:
            return False
        return covers(vector, _unflat(self.state.high))

    def _state(self, low: Flat) -> Installation:
        return Installation(self.state.seed, self.state.invitation, low, _flat(self._high))


def _flat(vector: Vector) -> Flat:
    return tuple((replica, *vector[replica]) for replica in sorted(vector))


def _unflat(flat: Flat) -> dict[int, Head]:
    return {replica: Head(seq, digest) for replica, seq, digest in flat}
