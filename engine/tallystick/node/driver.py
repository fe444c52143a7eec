"""The driver: steps whatever waits, commits once, and then lets answers and messages go.

It has no thread and keeps no time: `turn` takes what came, and answers what is to be delivered. The engine
turns it in a thread of its own, the simulator on a virtual clock. Nothing leaves before it is on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import structlog

from tallystick.core.clock import EMPTY_HEAD, Head, Vector, hlc_ms, receive, tick
from tallystick.core.errors import InsufficientStock, Refused
from tallystick.core.frame import Frame
from tallystick.core.replica.commands import Command, PlaceOrder, Settle
from tallystick.core.replica.outcome import Now, Outcome
from tallystick.core.replica.step import Replica
from tallystick.core.replica.tokens import units_of
from tallystick.core.replica.view import View
from tallystick.core.replication.effects import Effect
from tallystick.node.chores import Chore
from tallystick.node.clock import Clock
from tallystick.node.identity import encode_position, encode_token, encode_vector, progress_rows
from tallystick.node.inputs import PeerInput
from tallystick.node.installing import BadRows
from tallystick.node.jobs import (
    Closed,
    Commands,
    Internal,
    Job,
    NotStarted,
    Poisoned,
    Receipt,
    Result,
    Rotten,
    StorageFull,
    answer_of,
)
from tallystick.node.known import answer_known
from tallystick.node.notes import Notes
from tallystick.node.outbox import Outbox
from tallystick.node.patrol import Patrol
from tallystick.node.peering import Peering
from tallystick.node.sealing import Sealer, eager_rows, lazy_rows
from tallystick.node.slicing import PEER_BYTES_MAX, Slices
from tallystick.node.snapshots import read_chunk
from tallystick.node.source import StoreSource
from tallystick.node.sweeper import Sweep, Sweeper
from tallystick.node.waiting import Done, Waiting, Work
from tallystick.store.port import CorruptRecord, StoreBroken, StoreFull
from tallystick.store.store import Store

log = structlog.get_logger("engine")

FULL_REST_S = 1.0
"""How long peers' frames wait after one of them found no room."""


class Turn(NamedTuple):
    """What a turn lets go, all of it on disk."""

    answers: list[tuple[Job, Any]]
    effects: list[Effect]


class Driver:
    """Owns the store, what is on disk of every chain, and the clock of one replica."""

    def __init__(
        self,
        replica: Replica,
        store: Store,
        source: StoreSource,
        vector: Vector,
        last_hlc: int,
        peering: Peering,
        *,
        events_max: int,
        sweep_interval_ms: int,
        clock: Clock,
    ) -> None:
        self.replica = replica
        self.store = store
        self.vector: Vector = vector
        self.peering = peering
        self.waiting = Waiting()
        self.sweeper = Sweeper(store, sweep_interval_ms)
        self.asks_first = False
        """Whether peers are about to be asked for our own head: till then nothing is decided unasked."""
        self.hurries = False
        """Whether what peers are told leaves at once: there is no later."""
        self._hlc = last_hlc
        self._events_max = events_max
        self._clock = clock
        self._source = source
        self._declared: Vector = {}
        self._answers: list[tuple[Job, Any]] = []
        self._again: list[Work] = []
        self._rests_until = 0.0
        self._slices = Slices()
        self._outbox = Outbox()
        self.notes = Notes()
        self._patrol = Patrol(store)
        peering.desk.wanting, peering.desk.in_hand = self.waiting.wanting, self.waiting.in_hand

    @property
    def head(self) -> Head:
        """Where our own chain ends, on disk."""
        return self.vector.get(self.replica.replica, EMPTY_HEAD)

    @property
    def busy(self) -> bool:
        """Whether there is something to do at once."""
        return bool(self._again) or self.peering.busy(self._may_apply())

    @property
    def next_until(self) -> float | None:
        """When it is to be turned though nothing comes, on its clock that only rises."""
        due_ms = self._outbox.due_ms
        until = self.waiting.next_until if self.waiting else None
        return min((each for each in (until, due_ms and due_ms / 1000) if each is not None), default=None)

    # ---------------------------------------------------------------------------------------------- one turn

    def turn(self, jobs: Iterable[Job], inputs: Iterable[PeerInput]) -> Turn:
        """Do all of it, in as few commits as the limits allow."""
        now, wall_ms, begun = self._clock.monotonic(), self._clock.wall_ms(), self.waiting.begun
        for each in inputs:
            self.peering.take(each, now, wall_ms)
        self.peering.tick(now)
        again, self._again = self._again, []
        again += [work for key in self.peering.take_fresh() for work in self.waiting.take(key)]
        again += self.waiting.expired(now)
        waiting, due = ([], []) if self.asks_first else (self._patrol.due(now), self.sweeper.due(wall_ms))
        chores = [*self.peering.take_chores(), *(Chore(Settle(name)) for name in waiting)]
        sweeps = [Sweep(order_id, self.sweeper) for order_id in due]
        committed = self._group(again, (*chores, *jobs))
        # One job each: a bug in one of them leaves the others alone.
        committed = self._group([], sweeps) or committed
        if not committed and self._may_apply() and self.peering.has_ready():
            self._commit([])
        self._install()
        self._begin_surveys()
        self._release(self.waiting.acknowledged(self.peering.replicated, self.peering.others, now))
        return self._take_turn(now, hurry=self.hurries or self.waiting.begun > begun)

    def stop(self) -> Turn:
        """Answer all that waits as things stand, and write out the checkpoints."""
        dones, works = self.waiting.all()
        again, self._again = self._again, []
        self._release(dones)
        self._group([work._replace(last=True) for work in (*again, *works)], ())
        try:
            self.store.flush()
        except StoreFull as full:
            log.warning("no room for the checkpoints: opening will replay the log", reason=str(full))
        return self._take_turn(self._clock.monotonic(), hurry=True)

    def _take_turn(self, now: float, *, hurry: bool) -> Turn:
        effects = self._outbox.pass_on(self.peering.take_effects(), round(now * 1000), hurry=hurry)
        answers, self._answers = self._answers, []
        return Turn(answers, effects)

    def _group(self, works: Sequence[Work], jobs: Sequence[Job]) -> bool:
        """Step works and jobs; answers whether there were any.

        A job is read when its turn comes: what was given up while it waited costs nothing.
        """
        if not works and not jobs:
            return False
        batch: list[Work] = []
        events = 0
        now = self._clock.monotonic()
        waited = (work.unless_given_up(now) for work in works)
        for work in chain(waited, (Work(job, self._read(job)) for job in jobs)):
            if batch and events + len(work.commands) > self._events_max:
                self._commit(batch)
                batch, events = [], 0
            batch.append(work)
            events += len(work.commands)
        self._commit(batch)
        return True

    def _read(self, job: Job) -> Commands:
        if job.deadline is not None and self._clock.monotonic() > job.deadline:
            return (NotStarted(),)
        try:
            return job.commands()
        except Exception:
            log.exception("a request could not be read by a bug", job=type(job).__name__)
            return (Internal(definite=True),)

    # -------------------------------------------------------------------------------------------- one commit

    def _commit(self, batch: Sequence[Work]) -> None:
        """One commit: everything in `batch`, then peers' frames that are ready; then the answers."""
        reason = self.store.writable()
        self.notes.refusing(reason or "")
        now_ms = self._clock.wall_ms()
        stamp = tick(self._hlc, now_ms)
        view = View(self._source)
        sealer = Sealer(self.replica.replica, self.head, stamp, view, self._deps())
        closed = self.peering.own_chain_lost or (StorageFull(reason) if reason else None)
        self.notes.clock(stamp, now_ms)
        now = Now(now_ms, stamp, 0)
        try:
            results = [self._step(work, now, sealer, view, closed) for work in batch]
        except Poisoned as poisoned:
            self._commit_apart(batch, poisoned)
            return
        sealer.seal()
        events = self._slices.events(sum(len(work.commands) for work in batch), self._clock.monotonic())
        frames = self.peering.apply_ready(view, events, PEER_BYTES_MAX) if self._may_apply() else []
        if frames is None:  # one of them can't be applied; its origin is quarantined now
            self._commit(batch)
            return
        if sealer.frames or frames:
            try:
                self._write(view, sealer, frames, stamp, now_ms)
            except StoreFull as problem:
                refusal = StorageFull(str(problem))
                results = [[self._known(each, now, refusal) for each in work.commands] for work in batch]
                self._rests_until = self._clock.monotonic() + FULL_REST_S
        if batch:
            receipt = self._receipt(stamp)
            for work, done in zip(batch, results, strict=True):
                self._conclude(work, done, receipt)
        if frames:  # only now: what waits may have been stepped just before them
            self._again += self.waiting.decided(key.decode() for key in view.orders)

    def _may_apply(self) -> bool:
        return self._clock.monotonic() >= self._rests_until

    def _receipt(self, stamp: int) -> Receipt:
        # An answer may tell of what peers wrote, too: a read elsewhere must see that as well.
        token = encode_token((self.replica.replica, *self.head), *self._deps())
        return Receipt(token, stamp, self.peering.replicated(self.head.seq))

    def _commit_apart(self, batch: Sequence[Work], poisoned: Poisoned) -> None:
        """Something in the batch can't be stepped: each job by itself, so that the others are done."""
        for work in batch:
            refused = (poisoned.refusal,) * len(work.commands)
            self._commit([work._replace(commands=refused) if work.job is poisoned.job else work])

    def _step(self, work: Work, now: Now, sealer: Sealer, view: View, closed: Closed | None) -> list[Result]:
        """Step one job's commands. A refusal leaves the view as it was."""
        step = self.replica.step
        ms, stamp, _ = now
        results: list[Result] = []
        for command in work.commands:
            if isinstance(command, Refused):
                results.append(command)
                continue
            try:
                if closed is not None and not closed.spares(command):
                    results.append(self._known(command, now, closed))
                    continue
                outcome = step(command, Now(ms, stamp, sealer.next_seq), view)
                if outcome.writes:
                    sealer.add(outcome.entries)
            except Refused as refusal:
                results.append(refusal)
            except StoreBroken:
                raise
            except CorruptRecord as rot:
                log.error("a record is corrupt", table=rot.table.value, key=rot.key.hex())
                raise Poisoned(work.job, Rotten(rot)) from rot
            except Exception as bug:
                log.exception("a command failed by a bug", command=type(command).__name__)
                raise Poisoned(work.job, Internal(definite=True)) from bug
            else:
                results.append(outcome)
        return results

    def _known(self, command: Command | Refused, now: Now, otherwise: Refused) -> Result:
        return answer_known(command, now, self.replica, self._source, otherwise)

    def _write(self, view: View, sealer: Sealer, frames: list[Frame], stamp: int, now_ms: int) -> None:
        me = self.replica.replica
        for frame in frames:
            stamp, ahead = receive(stamp, frame.hlc, now_ms)
            if ahead:
                self.notes.peer_ahead(frame.origin, hlc_ms(frame.hlc) - now_ms)
        heads = {frame.origin: frame.head for frame in frames}
        vector = {**self.vector, **heads}
        if sealer.frames:
            vector[me] = sealer.head
        changes = self.peering.proof.changes(view)
        meta = progress_rows(encode_vector(vector), stamp)
        rows = eager_rows(view, [*sealer.frames, *frames], meta)
        events = sealer.head.seq - self.head.seq + sum(frame.events for frame in frames)
        self.store.commit(rows, lazy_rows(view), events, partial(self._position, vector))
        if sealer.frames:
            self._declared = self.vector
        self.vector = vector
        self._hlc = stamp
        self._source.adopt(view.stock)
        self.sweeper.note(view.expiry)
        self.peering.committed(sealer.frames, frames, view, changes, self._clock.monotonic())

    def _position(self, vector: Vector) -> bytes:
        return encode_position(vector, self.peering.proof.digests.pack_touched())

    def _deps(self) -> tuple[tuple[int, int, bytes], ...]:
        """What came to disk of others since our last frame: our next one depends on it."""
        me, declared = self.replica.replica, self._declared
        return tuple(
            (origin, *head)
            for origin, head in sorted(self.vector.items())
            if origin != me and declared.get(origin) != head
        )

    # ----------------------------------------------------------------------------------------------- answers

    def _conclude(self, work: Work, results: Sequence[Result], receipt: Receipt) -> None:
        """Answer a job, or those of its commands that need not wait."""
        job, results, now = work.job, work.as_first_told(results), self._clock.monotonic()
        waits = self._park(work, results, now) if job.waits_for_tokens and not work.last else set()
        results = [self.peering.explain(r) if isinstance(r, InsufficientStock) else r for r in results]
        if waits:
            rest = [place for place in range(len(results)) if place not in waits]
            if not rest:
                return
            job, results = job.part(rest), [results[place] for place in rest]
        first = results[0] if len(results) == 1 else None
        if isinstance(first, Outcome) and first.recorded and job.waits_for_decision and not work.last:
            self.waiting.for_decision(first.order_id, Work(job, work.commands, wrote=not first.replayed), now)
        elif self._lacks_acks(job, receipt) and any(isinstance(r, Outcome) for r in results):
            self.waiting.for_acks(self.head.seq, Done(job, results, receipt), now)
        else:
            self._release([Done(job, results, receipt)])

    def _lacks_acks(self, job: Job, receipt: Receipt) -> bool:
        return job.replicas > receipt.replicated_to and self.peering.others > receipt.replicated_to

    def _release(self, dones: Iterable[Done]) -> None:
        self._answers += [(done.job, answer_of(*done)) for done in dones]

    def _park(self, work: Work, results: Sequence[Result], now: float) -> set[int]:
        """Let what is short wait for tokens, if other nodes may help out; answers the places.

        Only now, after the commit: what is stepped twice must not ask twice.
        """
        places: set[int] = set()
        for place, (command, result) in enumerate(zip(work.commands, results, strict=True)):
            if not (isinstance(command, PlaceOrder) and isinstance(result, InsufficientStock)):
                continue
            if not self.waiting.has_room():
                break
            wanted = self.peering.ask_for(result.shortages, now)
            if wanted is not None:
                part = work._replace(job=work.job.part((place,)), commands=(command,))
                if wanted:
                    self.waiting.for_tokens(part, wanted, units_of(command.body), now)
                else:
                    self._again.append(part)
                places.add(place)
        return places

    # ----------------------------------------------------------------------------------------- installing

    def _begin_surveys(self) -> None:
        """Hand this very moment's state to whoever reads all of it; open snapshots with it."""
        self.peering.verifier.begin_surveys(self.store.read)
        for link in self.peering.take_openings():
            try:
                with self.store.read() as reader:
                    self.peering.open_snapshot(link, read_chunk(reader, "", b""))
            except CorruptRecord as rot:
                log.error("no snapshot can be read here", table=rot.table.value, key=rot.key.hex())

    def _install(self) -> None:
        """Join what came of a snapshot; a commit of its own."""
        step = self.peering.install_step(self.vector)
        if step is None or not self._may_apply():
            return
        view = View(self._source)
        try:
            rows, lazy, vector = step.join(view, self.store)
        except BadRows as problem:
            self.peering.refuse_rows(problem)
            return
        try:
            if step.flushes:
                self.store.flush()
            self.store.commit(rows, lazy, 0, partial(self._position, vector))
        except StoreFull as full:
            log.warning("the snapshot waits for room", reason=str(full))
            self._rests_until = self._clock.monotonic() + FULL_REST_S
            return
        self._source.adopt(view.stock)
        self.vector = vector
        self.peering.installed(step, view, self._clock.monotonic())
