"""The network's twin: connections between pairs of nodes, and all that may happen to what goes over them.

A connection is two streams of messages. The first message of each side, its greeting, always arrives: it is
the connection. Any other may be late, lost, doubled or overtaken, by the rates of the `Weather`. Where a
direction is cut nothing arrives, and nobody is told; a connection that was cut for `BREAK_MS` breaks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tallystick.core.replication.messages import Frames, Hello, Message
from tallystick_sim.world import World

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
        self.cut: set[tuple[int, int]] = set()
        """Directions, by the names of their ends, in which nothing arrives."""
        self.bitten: Counter[str] = Counter()
        """How often each fault happened: one that never did proves nothing."""
        self.sent: Counter[str] = Counter()
        """Messages by kind."""
        self._distance_ms = distance_ms

    # ------------------------------------------------------------------------------------------------- faults

    def part(self, left: set[int], right: set[int], *, one_way: bool = False) -> None:
        """Cut what goes from left to right, and back unless it is one way."""
        for a in left:
            for b in right:
                self.cut |= {(a, b)} if one_way else {(a, b), (b, a)}
        for pipe in self.pipes:
            if self._is_cut(pipe):
                self.world.after(BREAK_MS, lambda pipe=pipe: self._break_if_cut(pipe))  # type: ignore[misc]

    def heal(self) -> None:
        """Nothing is cut any more."""
        self.cut.clear()

    def _is_cut(self, pipe: Pipe) -> bool:
        a, b = (end.name for end in pipe.ends)
        return (a, b) in self.cut or (b, a) in self.cut

    def _break_if_cut(self, pipe: Pipe) -> None:
        if pipe.open and self._is_cut(pipe):
            self.bitten["broken"] += 1
            self.close(pipe)

    # -------------------------------------------------------------------------------------------- connections

    def connect(self, caller: End, callee: End) -> bool:
        """Connect two nodes; answers whether the way is free in both directions."""
        pipe = Pipe((caller, callee))
        if self._is_cut(pipe):
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
            delay = max(self._delay(pipe.ends[1 - side], end), pipe.last_ms[side] - self.world.now_ms)
            delay = 0.0 if end is by else delay
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
        if (sender.name, receiver.name) in self.cut:
            self.bitten["cut"] += 1
            return
        weather, chance = self.weather, self.world.random.random
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
        at = self.world.now_ms + self._delay(sender, receiver)
        if ordered:
            at = pipe.last_ms[side] = max(at, pipe.last_ms[side])

        def arrive() -> None:
            greeting = isinstance(message, Hello)
            if greeting or (sender.name, receiver.name) not in self.cut:
                self.world.note(sender.name, receiver.name, describe(message))
                receiver.received(pipe.links[side], message)

        self.world.after(at - self.world.now_ms, arrive)

    def _delay(self, sender: End, receiver: End) -> float:
        distance = self._distance_ms(sender.name, receiver.name)
        return distance + self.world.random.uniform(*self.weather.delay_ms)


def describe(message: Message) -> str:
    """One stable line; frames by their hashes."""
    if isinstance(message, Frames):
        return f"Frames({', '.join(data[-32:].hex()[:8] for data in message.frames)})"
    if isinstance(message, Hello):
        return repr(message._replace(kinds=frozenset()))
    return repr(message)
