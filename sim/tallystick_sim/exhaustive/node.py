"""One node of a walked world: the engine's own rules as functions from one immutable state to the next.

Everything that decides is the engine's: `Replica.step`, the `Sealer`, `apply_entries`, the `Replicator` with
what it holds back. Here is only what the driver does around them: one commit of local events or of peers'
frames that are ready, all of it on disk or nothing, and a crash that keeps the disk alone.

The clock stands still. A stamp is then one more than the last one that was seen, as Lamport's: it says what
could be known and nothing of when, so histories that nobody can tell apart are one state. Only the sweeper's
clock leaps, for the moment in which it looks: a hold may end at any time, as under a clock that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any

from tallystick.core.clock import EMPTY_HEAD, Head, Vector, receive, tick
from tallystick.core.codec import encode
from tallystick.core.errors import Refused
from tallystick.core.frame import Frame, decode_events
from tallystick.core.replica.apply import apply_entries
from tallystick.core.replica.commands import Command, ExpireHold
from tallystick.core.replica.outcome import Now, Outcome
from tallystick.core.replica.step import Replica
from tallystick.core.replica.view import View
from tallystick.core.replication.effects import Alarm, Close
from tallystick.core.replication.messages import Frames, Me
from tallystick.core.replication.replicator import Replicator
from tallystick.core.stock.rights import EMPTY_STOCK, Stock
from tallystick.node.sealing import Sealer

NOW_MS = 1_760_000_000_000
LATE_MS = NOW_MS + 40 * 24 * 3_600_000
"""Later than any hold may last."""
CLUSTER = "c0ffee00c0ffee00"
TABLES = (
    *("orders", "bookings", "documents", "members", "stock"),
    *("expiry", "intents", "by_time", "by_customer", "by_status"),
)
_LINK = 1
_PEER = 0xFFFF
"""Whoever brings frames: the same for all, as frames are their origin's whoever brings them."""


class Broken(Exception):
    """A promise does not hold, after what `words` tell. `state` is how `node` is then, if it shows there."""

    def __init__(
        self, problem: str, words: str = "", node: Node | None = None, state: State | None = None
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.words = words
        self.node = node
        self.state = state


class Tables:
    """What is stored, as the Source of views. Never changed: `written` makes another."""

    def __init__(self, rows: Mapping[str, Mapping[bytes, Any]]) -> None:
        self.rows = rows

    def order(self, key: bytes) -> bytes | None:
        return self.rows["orders"].get(key)

    def booking(self, key: bytes) -> bytes | None:
        return self.rows["bookings"].get(key)

    def document(self, key: bytes) -> bytes | None:
        return self.rows["documents"].get(key)

    def member(self, key: bytes) -> bytes | None:
        return self.rows["members"].get(key)

    def stock(self, key: bytes) -> Stock:
        found: Stock = self.rows["stock"].get(key, EMPTY_STOCK)
        return found

    def written(self, view: View) -> Tables:
        """These with a view's overlay, in which None deletes."""
        rows = {}
        for table, before in self.rows.items():
            overlay = getattr(view, table)
            after = {**before, **overlay} if overlay else before
            rows[table] = {k: v for k, v in after.items() if v is not None} if overlay else before
        return Tables(rows)

    @cached_property
    def digest(self) -> bytes:
        """Equal for equal content, and for no other."""
        content = [[name, sorted(rows.items())] for name, rows in self.rows.items()]
        return blake2b(encode(content), digest_size=16).digest()


EMPTY_TABLES = Tables({table: {} for table in TABLES})


@dataclass(frozen=True, eq=False)
class State:
    """One node as it is now. `log` are the frames on its disk, in the order in which they came. In memory:
    `held`, those that wait for others, and `declared`, what its last frame of this process depends on."""

    tables: Tables = EMPTY_TABLES
    log: tuple[Frame, ...] = ()
    declared: Vector = field(default_factory=dict)
    hlc: int = 0
    held: tuple[Frame, ...] = ()

    @cached_property
    def vector(self) -> dict[int, Head]:
        """Where each chain ends on disk."""
        return {frame.origin: frame.head for frame in self.log}

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Equal for states that nothing can tell apart."""
        held = frozenset(frame.digest for frame in self.held)
        log = frozenset(frame.digest for frame in self.log)
        return self.tables.digest, log, held, self.hlc, frozenset(self.news)

    @cached_property
    def news(self) -> tuple[int, ...]:
        """Whose frames came since its last own frame: what the next one will depend on."""
        return tuple(o for o, head in sorted(self.vector.items()) if self.declared.get(o) != head)


class Node:
    """Who it is, and what it does to a state."""

    def __init__(self, replica: int, region: str) -> None:
        self.id = replica
        self.region = region
        self._replica = Replica(replica, region, replica << 20)
        self._me = Me(CLUSTER, replica, 1, region)

    # ------------------------------------------------------------------------------------------- own commits

    def commit(self, state: State, commands: Sequence[Command]) -> tuple[State, list[Outcome | Refused]]:
        """All of them in one commit. A refused one leaves no trace."""
        view, sealer, results = self._stepped(state, commands)
        if not sealer.frames:
            return state, results
        (frame,) = sealer.frames
        tables = state.tables.written(view)
        if self._joined(state.tables, [frame]).digest != tables.digest:
            raise Broken(f"{self.region} stores something else than its frame {name_of(frame)} says")
        return State(tables, (*state.log, frame), state.vector, frame.hlc, state.held), results

    def lose(self, state: State, commands: Sequence[Command]) -> State:
        """Begin the same commit, and lose the power before it is on disk."""
        before = state.tables.digest
        self._stepped(state, commands)
        if Tables(state.tables.rows).digest != before:
            raise Broken(f"{self.region} writes before its commit")
        return self.crash(state)

    def crash(self, state: State) -> State:
        """Only the disk is left."""
        return State(state.tables, state.log, {}, state.hlc, ())

    def _stepped(
        self, state: State, commands: Sequence[Command]
    ) -> tuple[View, Sealer, list[Outcome | Refused]]:
        """All that comes before the write."""
        stamp, view = tick(state.hlc, NOW_MS), View(state.tables)
        head = state.vector.get(self.id, EMPTY_HEAD)
        deps = tuple((origin, *state.vector[origin]) for origin in state.news if origin != self.id)
        sealer = Sealer(self.id, head, stamp, view, deps)
        results: list[Outcome | Refused] = []
        for command in commands:
            ms = LATE_MS if isinstance(command, ExpireHold) else NOW_MS
            try:
                outcome = self._replica.step(command, Now(ms, stamp, sealer.next_seq), view)
            except Refused as refusal:
                results.append(refusal)
                continue
            results.append(outcome)
            if outcome.writes:
                sealer.add(outcome.entries)
        sealer.seal()
        return view, sealer, results

    # --------------------------------------------------------------------------------------- others' frames

    def hear(self, state: State, *frames: Frame) -> State:
        """Frames come, each by itself; they are joined with all that is ready then, held back, or let go."""
        protocol, held = self._protocol(state), state.held
        for frame in frames:
            waited = _count(protocol)
            protocol.received(_LINK, Frames((frame.data,)), 0)
            held = (*held, frame) if _count(protocol) > waited else held
        for effect in protocol.take_effects():
            if isinstance(effect, Alarm | Close):
                raise Broken(f"{self.region} takes offence at a frame: {effect}")
        ready = protocol.ready(events_max=256, bytes_max=1 << 18)
        if not ready:
            return state if held is state.held else _holding(state, held)
        tables = self._joined(state.tables, ready)
        stamp = state.hlc
        for each in ready:
            stamp, _ = receive(stamp, each.hlc, NOW_MS)
        joined = {each.digest for each in ready}
        left = tuple(each for each in held if each.digest not in joined)
        return State(tables, (*state.log, *ready), state.declared, stamp, left)

    def _protocol(self, state: State) -> Replicator:
        """The protocol's machine as it is in this state, with one peer."""
        protocol = Replicator(self._me, state.vector)
        protocol.connected(_LINK, 0)
        protocol.received(_LINK, self._me._replace(replica=_PEER).greeting({}, installing=False), 0)
        protocol.received(_LINK, Frames(tuple(frame.data for frame in state.held)), 0)
        protocol.take_effects()
        return protocol

    def _joined(self, tables: Tables, frames: Sequence[Frame]) -> Tables:
        view = View(tables)
        for frame in frames:
            for place, entries in enumerate(decode_events(frame)):
                for skipped in apply_entries(frame.dot(place), entries, view, self.id):
                    raise Broken(f"{self.region} skips an entry of {name_of(frame)}: {skipped.problem}")
        return tables.written(view)


def name_of(frame: Frame) -> str:
    """A frame by its place in its origin's chain."""
    return f"frame {frame.origin}:{frame.first}"


def _count(protocol: Replicator) -> int:
    return sum(protocol.held.counts().values())


def _holding(state: State, held: tuple[Frame, ...]) -> State:
    return State(state.tables, state.log, state.declared, state.hlc, held)
