"""Wrong about disks and answers: what is acknowledged, what a checkpoint has, what opening rebuilds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from tallystick.core.frame import Frame
from tallystick.core.replica.outcome import Now
from tallystick.core.replica.view import View
from tallystick.core.replication.link import Link
from tallystick.core.replication.replicator import Replicator
from tallystick.node import opening
from tallystick.node.driver import FULL_REST_S, Driver
from tallystick.node.identity import decode_position
from tallystick.node.jobs import Result
from tallystick.node.sealing import Sealer
from tallystick.node.waiting import Waiting, Work
from tallystick.store.dirty import Dirty
from tallystick.store.edge import EdgeCache
from tallystick.store.port import StoreBroken, StoreFull
from tallystick.store.store import Store
from tallystick_sim.mutants.patching import Mutant, always, both, swap


def _answers_at_once(right: Any) -> Any:
    conclude = Driver._conclude

    def step(self: Driver, work: Work, now: Now, *rest: Any) -> list[Result]:
        results: list[Result] = right(self, work, now, *rest)
        conclude(self, work, results, self._receipt(now.hlc))
        for job, answer in self._answers:
            job.deliver(answer)
        self._answers.clear()
        return results

    return step


def _ignores_full(right: Any) -> Any:
    def write(self: Driver, *args: Any) -> None:
        try:
            right(self, *args)
        except StoreFull:
            self._rests_until = self._clock.monotonic() + FULL_REST_S

    return write


def _ignores_broken(right: Any) -> Any:
    def write(self: Store, *args: Any) -> None:
        self._broken = ""
        with suppress(StoreBroken):
            right(self, *args)

    return write


def _pushes_first(right: Any) -> Any:
    def write(self: Driver, view: View, sealer: Sealer, frames: list[Frame], *rest: Any) -> None:
        self.peering.replicator.committed(sealer.frames, [], round(self._clock.monotonic() * 1000))
        right(self, view, sealer, frames, *rest)

    return write


def _acks_what_is_held(right: Any) -> Any:
    def send_ack(self: Replicator, peer: Link, now_ms: int, *, always: bool) -> None:
        on_disk = self.vector
        self.vector = {origin: self.held.tail(origin, head) for origin, head in on_disk.items()}
        right(self, peer, now_ms, always=always)
        self.vector = on_disk

    return send_ack


def _counts_sent(_: Any) -> Any:
    def replicated(self: Replicator, seq: int) -> int:
        return sum(peer.sent.get(self.me.replica, 0) >= seq for peer in self.links.values())

    return replicated


def _counts_itself(right: Any) -> Any:
    return lambda self, seq: right(self, seq) + 1


def _claims_what_is_dirty(right: Any) -> Any:
    def next_slice(self: Store, events: int) -> Any:
        if self._checkpoint is not None:
            position = self._position
            self._checkpoint.position = position if isinstance(position, bytes) else position()
        return right(self, events)

    return next_slice


def _drops_fresh_rows(right: Any) -> Any:
    def absorb(self: Dirty, *args: Any, drop_frozen: bool = False) -> None:
        if drop_frozen:
            self._fresh.clear()
            self._begin_layer()
        right(self, *args, drop_frozen=drop_frozen)

    return absorb


def _goes_on_from_the_checkpoint(right: Any) -> Any:
    def load_vector(store: Store) -> Any:
        position = store.checkpoint_position()
        return right(store) if position is None else dict(decode_position(position)[0])

    return load_vector


DISKS = (
    Mutant(
        "answers-before-the-commit",
        "callers hear that it is done when it was stepped, before it is on disk",
        1,
        both(
            swap(Driver, "_step", _answers_at_once),
            swap(Driver, "_conclude", always(None)),
        ),
    ),
    Mutant(
        "acknowledges-what-found-no-room",
        "a commit that finds no room is dropped, and its callers are told that it is done",
        2,
        swap(Driver, "_write", _ignores_full),
    ),
    Mutant(
        "goes-on-after-a-failed-sync",
        "a sync that failed is passed over, and memory trusted",
        1,
        swap(Store, "_write", _ignores_broken),
    ),
    Mutant(
        "pushes-before-the-commit",
        "frames are sent before they are on disk: one that finds no room gives its numbers to another",
        2,
        swap(Driver, "_write", _pushes_first),
    ),
    Mutant(
        "acknowledges-what-it-holds-back",
        "peers hear that their frames are on disk here while they wait in memory",
        1,
        swap(Replicator, "_send_ack", _acks_what_is_held),
    ),
    Mutant(
        "takes-sent-for-delivered",
        "a frame counts as a copy when it was sent",
        1,
        swap(Replicator, "replicated", _counts_sent),
    ),
    Mutant(
        "counts-itself-as-a-copy",
        "the node's own disk is one of the other disks that callers are told of",
        1,
        swap(Replicator, "replicated", _counts_itself),
    ),
    Mutant(
        "lets-callers-wait-for-ever",
        "what waits for tokens or decisions is not looked at when its time is up",
        6,
        swap(Waiting, "expired", always([])),
    ),
    Mutant(
        "truncates-past-the-checkpoint",
        "a checkpoint says that it has all up to its end, and has all up to its beginning",
        6,
        swap(Store, "_next_slice", _claims_what_is_dirty),
    ),
    Mutant(
        "drops-rows-with-the-checkpoint",
        "with the rows that a checkpoint has written go those that became dirty meanwhile",
        2,
        swap(Dirty, "absorb", _drops_fresh_rows),
    ),
    Mutant(
        "replays-its-own-chain-only",
        "what peers did to stock since the last checkpoint is not rebuilt",
        1,
        swap(
            opening,
            "replay",
            lambda right: lambda store, me, vector: right(store, me, {me: vector[me]}),
        ),
    ),
    Mutant(
        "reuses-dots-after-a-crash",
        "a node goes on from its last checkpoint's vector: numbers since then are used again",
        1,
        swap(opening, "load_vector", _goes_on_from_the_checkpoint),
    ),
    Mutant(
        "takes-what-is-there-for-new",
        "ids that were committed since the start are never looked up",
        2,
        swap(EdgeCache, "add", always(None)),
    ),
    Mutant(
        "lists-orders-where-they-were",
        "an order whose state has changed is listed nowhere else",
        2,
        swap(View, "move_index", always(None)),
    ),
)
