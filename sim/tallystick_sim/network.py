"""The network's twin: connections between pairs of nodes, and all that may happen to what goes over them.

A connection is two streams of messages. The first message of each side, its greeting, always arrives: it is
the connection. Any other may be late, lost, doubled or overtaken, by the rates of the `Weather`. Where a
direction is cut nothing arrives, and nobody is told; a connection that was cut for `BREAK_MS` breaks.

Each direction between two nodes has chance of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, TypeVar
from zlib import crc32

from tallystick.core.replication.messages import Digest, Frames, Hello, Message, SnapshotChunk
from tallystick_sim.world import World

_R = TypeVar("_R")

BREAK_MS = 2_000.0
"""How long a cut connection looks alive: what keepalives would find out."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How messages fare. Rates are chances of each message, delays are in milliseconds."""

    delay_ms: tuple[float, float] = (1.0, 10.0)
    lost: float = 0.0
    doubled: float = 0.0
    overtaken: float = 0.0
    """Arrives when it does, without waiting for those before it."""


CALM = Weather()
Way = tuple[int, int]
"""A direction: from one node to another, by their names."""


def nowhere(_from: int, _to: int) -> float:
    """Every place is here."""
    return 0.0


class End(Protocol):
    """What a connection needs of the node at its end."""

    name: int

    def connected(self, pipe: Pipe) -> int:
        """Answers the number of the link."""
        ...

    def received(self, link: int, message: Message) -> None: ...

    def closed(self, link: int) -> None: ...


@dataclass(eq=False, slots=True)
class Pipe:
    """One connection. `links` are the numbers that its ends know it by."""

    ends: tuple[End, End]
    links: list[int] = field(default_factory=list)
    open: bool = True
    last_ms: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """When the latest message arrives, by receiver."""

    def side(self, end: End) -> int:
        """0 or 1."""
        return self.ends.index(end)


class Network:
    """All connections of a world. `distance_ms` is how long light takes from one node to another."""

    def __init__(
        self, world: World, weather: Weather = CALM, distance_ms: Callable[[int, int], float] = nowhere
    ) -> None:
        self.world = world
        self.weather = weather
        self.pipes: list[Pipe] = []
        self.cut: dict[Way, list[str]] = {}
        """Directions in which nothing arrives, and why: each cut by itself, since they overlap."""
        self.slow: dict[Way, list[float]] = {}
        """Directions in which everything takes so much longer, in milliseconds."""
        self.bitten: Counter[str] = Counter()
        """How often each fault happened: one that never did proves nothing."""
        self.sent: Counter[str] = Counter()
        """Messages by kind."""
        self._distance_ms = distance_ms
        self._chance: dict[Way, Random] = {}

    # ------------------------------------------------------------------------------------------------- faults

    def part(
        self, left: Iterable[int], right: Iterable[int], *, one_way: bool = False, why: str = "cut"
    ) -> Callable[[], None]:
        """Cut what goes from left to right, and back unless it is one way. Answers what ends this cut."""
        ways = [(a, b) for a in left for b in right if a != b]
        ways += [] if one_way else [(b, a) for a, b in ways]
        for way in ways:
            self.cut.setdefault(way, []).append(why)
        for pipe in self.pipes:
            if self._why_cut(pipe):
                self.world.after(BREAK_MS, lambda pipe=pipe: self._break_if_cut(pipe))  # type: ignore[misc]
        return lambda: _withdraw(self.cut, ways, why)

    def slow_down(self, ways: Iterable[Way], ms: float) -> Callable[[], None]:
        """Let everything take so much longer. Answers what ends that."""
        ways = list(ways)
        for way in ways:
            self.slow.setdefault(way, []).append(ms)
        return lambda: _withdraw(self.slow, ways, ms)

    def heal(self) -> None:
        """Nothing is cut any more, nor slow."""
        self.cut.clear()
        self.slow.clear()

    def _why_cut(self, pipe: Pipe) -> list[str]:
        a, b = (end.name for end in pipe.ends)
        return self.cut.get((a, b)) or self.cut.get((b, a)) or []

    def _break_if_cut(self, pipe: Pipe) -> None:
        if pipe.open and self._why_cut(pipe):
            self.bitten["broken"] += 1
            self.close(pipe)

    # -------------------------------------------------------------------------------------------- connections

    def connect(self, caller: End, callee: End) -> bool:
        """Connect two nodes; answers whether the way is free in both directions."""
        pipe = Pipe((caller, callee))
        why = self._why_cut(pipe)
        if why:
            self.bitten.update(why)
            return False
        self.pipes.append(pipe)
        pipe.links = [end.connected(pipe) for end in pipe.ends]
        self.world.note("connected", caller.name, callee.name)
        return True

    def close(self, pipe: Pipe, by: End | None = None) -> None:
        """End a connection: whoever did it knows at once, the other after what is under way."""
        if not pipe.open:
            return
        pipe.open = False
        self.pipes.remove(pipe)
        for side, end in enumerate(pipe.ends):
            way = pipe.ends[1 - side].name, end.name
            delay = 0.0 if end is by else max(self._delay(way), pipe.last_ms[side] - self.world.now_ms)
            self.world.after(delay, lambda end=end, side=side: end.closed(pipe.links[side]))  # type: ignore[misc]

    # ----------------------------------------------------------------------------------------------- messages

    def send(self, pipe: Pipe, sender: End, message: Message) -> None:
        """Put a message on its way."""
        if not pipe.open:
            return
        kind = type(message).__name__
        self.sent[kind] += 1
        if isinstance(message, Hello):
            self._deliver(pipe, sender, message, ordered=True)
            return
        receiver = pipe.ends[1 - pipe.side(sender)]
        way = sender.name, receiver.name
        if self.cut and way in self.cut:
            self.bitten.update(self.cut[way])
            return
        weather, chance = self.weather, self._stream(way).random
        if weather.lost and chance() < weather.lost:
            self.bitten["lost"] += 1
            return
        copies = 1
        if weather.doubled and chance() < weather.doubled:
            self.bitten["doubled"] += 1
            copies = 2
        for _ in range(copies):
            overtaken = bool(weather.overtaken) and chance() < weather.overtaken
            self.bitten["overtaken"] += overtaken
            self._deliver(pipe, sender, message, ordered=not overtaken)

    def _deliver(self, pipe: Pipe, sender: End, message: Message, *, ordered: bool) -> None:
        side = 1 - pipe.side(sender)
        receiver = pipe.ends[side]
        way = sender.name, receiver.name
        at = self.world.now_ms + self._delay(way)
        if ordered:
            at = pipe.last_ms[side] = max(at, pipe.last_ms[side])

        def arrive() -> None:
            greeting = isinstance(message, Hello)
            if greeting or way not in self.cut:
                self.world.note("arrives", *way, describe(message))
                receiver.received(pipe.links[side], message)

        self.world.after(at - self.world.now_ms, arrive)

    def _stream(self, way: Way) -> Random:
        found = self._chance.get(way)
        if found is None:
            found = self._chance[way] = self.world.stream(f"way {way[0]} {way[1]}")
        return found

    def _delay(self, way: Way) -> float:
        delay = self._distance_ms(*way) + self._stream(way).uniform(*self.weather.delay_ms)
        if self.slow and way in self.slow:
            self.bitten["slow_link"] += 1
            delay += sum(self.slow[way])
        return delay


def describe(message: Message) -> str:
    """One stable line; frames by their hashes, what is long by its checksum."""
    match message:
        case Frames(frames):
            return f"Frames({', '.join(data[-32:].hex()[:8] for data in frames)})"
        case Hello():
            return repr(message._replace(kinds=frozenset()))
        case Digest(vector, first, buckets):
            seqs = ", ".join(f"{origin}:{head.seq}" for origin, head in sorted(vector.items()))
            return f"Digest({seqs}; {first}, {crc32(buckets):08x})"
        case SnapshotChunk():
            return f"SnapshotChunk({crc32(repr(message).encode()):08x})"
    return repr(message)


def _withdraw(reasons: dict[Way, list[_R]], ways: Iterable[Way], reason: _R) -> None:
    """One cause is gone; others may be left. All were, if everything was healed meanwhile."""
    for way in ways:
        left = reasons.get(way, [])
        if reason in left:
            left.remove(reason)
        if not left:
            reasons.pop(way, None)
