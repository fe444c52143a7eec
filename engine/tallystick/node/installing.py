"""A new node reads in the state of the cluster, see `snapshots`. What it writes down at each step is enough
to go on, or to begin again, after a crash."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from tallystick.core.clock import Head, Vector
from tallystick.core.codec import encode
from tallystick.core.replica.view import View
from tallystick.core.replication.messages import SnapshotChunk, SnapshotRequest
from tallystick.node.identity import BASE_KEY, VECTOR_KEY, encode_position, encode_vector
from tallystick.node.sealing import eager_rows
from tallystick.node.snapshots import (
    INSTALLING_KEY,
    Installation,
    covers,
    higher,
    join_chunk,
    lower,
    next_request,
)
from tallystick.store.port import Rows, Table

log = structlog.get_logger("installing")


class Step(NamedTuple):
    """One commit of an installation. `adopts`: with it all rows are here."""

    chunk: SnapshotChunk
    adopts: bool
    vector: Vector
    meta: Rows
    touched: bytes = b""

    def join(self, view: View) -> tuple[dict[Table, Rows], Vector]:
        """Join the rows; answers what to write at once, and the vector after it."""
        join_chunk(self.chunk, view)
        return eager_rows(view, [], self.meta), self.vector


class Installer:
    """One installation: rows first, then frames up to `high`."""

    def __init__(self, state: Installation) -> None:
        self.state = state
        self._link = 0
        self._low: Vector | None = None
        self._high: Vector | None = None
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

    def linked(self, link: int) -> SnapshotRequest | None:
        """There is a peer to ask; answers what to send to it."""
        if self._link or not self.reads_rows:
            return None
        self._link, self._low, self._high, self._chunk = link, None, None, None
        self.rows = 0
        return SnapshotRequest("", b"")

    def closed(self, link: int) -> None:
        """The peer is gone: begin again with the next. Rows that come twice are joined twice."""
        if link == self._link:
            self._link, self._chunk = 0, None

    def received(self, link: int, chunk: SnapshotChunk) -> None:
        """Rows came, to be joined by the next step."""
        if link == self._link and self._chunk is None and self.reads_rows:
            self._chunk = chunk
            self._touched = chunk.touched or self._touched
            self._low = lower(self._low, chunk.vector)
            self._high = higher(self._high, chunk.vector)

    def step(self, vector: Vector) -> Step | None:
        """What to commit next, if anything came."""
        chunk = self._chunk
        if chunk is None:
            return None
        if next_request(chunk) is not None:
            return Step(chunk, False, vector, {})
        assert self._low is not None
        assert self._high is not None
        state = Installation(self.state.seed, self.state.invitation, _flat(self._low), _flat(self._high))
        meta = {
            VECTOR_KEY: encode_vector(self._low),
            BASE_KEY: encode_position(self._low, self._touched),
            INSTALLING_KEY: encode(state),
        }
        return Step(chunk, True, self._low, meta, self._touched)

    def done(self, step: Step) -> tuple[int, SnapshotRequest] | None:
        """The step is on disk; answers what to ask for next, and over which link."""
        self._chunk = None
        self.rows += len(step.chunk.rows)
        following = next_request(step.chunk)
        if following is not None:
            return (self._link, SnapshotRequest(*following)) if self._link else None
        assert self._low is not None
        assert self._high is not None
        self.state = Installation(self.state.seed, self.state.invitation, _flat(self._low), _flat(self._high))
        log.info("snapshot joined", rows=self.rows)
        return None

    def caught_up(self, vector: Vector) -> bool:
        """Whether nothing in the state lacks its causes any more."""
        if self.reads_rows:
            return False
        return covers(vector, {replica: Head(seq, digest) for replica, seq, digest in self.state.high})


def _flat(vector: Vector) -> tuple[tuple[int, int, bytes], ...]:
    return tuple((replica, *vector[replica]) for replica in sorted(vector))
