"""What a run is made of, for the oracle: a history is a sequence of these, recorded or written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Item = tuple[str, str]
"""(sku, location)."""
Head = tuple[int, bytes]
"""The number of a chain's last event, and the hash of the frame that it is in."""
Vector = Mapping[int, Head]
Entry = tuple[int, str, Any]
"""(kind, key, what it adds) as a frame has it, decoded to plain maps and lists."""
Fact = tuple[str, ...]
"""The name of something that a caller asked for: ("order", id), ("wish", order, request) and so on."""


class RawFrame(NamedTuple):
    """A frame, read without the engine's help."""

    origin: int
    first: int
    last: int
    previous: bytes
    digest: bytes
    deps: tuple[tuple[int, int, bytes], ...]
    events: tuple[tuple[Entry, ...], ...]


class Opened(NamedTuple):
    """A process starts; this is on its disk."""

    at_ms: float
    node: int
    vector: Vector


class Committed(NamedTuple):
    """These frames came to the disk of a node, and `vector` is what it says it has now. `installing`: it may
    have got rows in place of frames."""

    at_ms: float
    node: int
    replica: int
    vector: Vector
    frames: tuple[RawFrame, ...]
    installing: bool = False


class Asked(NamedTuple):
    """A caller asks a node for something that would be known by the name `fact`. `lines`: the units that an
    order is for, or that a booking brings. `until_ms`: when it must have an answer."""

    at_ms: float
    number: int
    node: int
    fact: Fact
    lines: tuple[tuple[Item, int], ...] = ()
    until_ms: float = 1e12


class Answered(NamedTuple):
    """A caller hears from a node. `reason` is empty if it was done; `replayed`: it had been done before.
    `seq`: the node's own event up to which it is on disk there, `copies` on how many others too. `healthy`:
    nothing was wrong with the node itself since it was asked."""

    at_ms: float
    number: int
    node: int
    reason: str = ""
    definite: bool = True
    replayed: bool = False
    seq: int = 0
    copies: int = 0
    healthy: bool = True


class Unheard(NamedTuple):
    """A caller will never hear: the process that it asked is gone."""

    at_ms: float
    number: int


class Shown(NamedTuple):
    """A caller looks at an order at a node: the names of all facts that are shown of it."""

    at_ms: float
    node: int
    order_id: str
    facts: frozenset[Fact]


class Buffered(NamedTuple):
    """How much a node holds in memory for others: what, how much, and the most that it may be."""

    at_ms: float
    node: int
    held: tuple[tuple[str, int, int], ...]


class Standing(NamedTuple):
    """All that a node has, by a hash of its content, and by the name that its own digests give it (empty:
    they are not ready)."""

    at_ms: float
    node: int
    vector: Vector
    content: str
    root: str = ""


class Alarmed(NamedTuple):
    """A node tells its operator that something is wrong."""

    at_ms: float
    node: int
    reason: str
    about: int


class Failed(NamedTuple):
    """A node ended by an error of its own."""

    at_ms: float
    node: int
    error: str


class FellIll(NamedTuple):
    """A node was put on a disk that it can't trust: it can sell again what it has sold. From here on its
    chain proves nothing, and it is to stop."""

    at_ms: float
    node: int
    replica: int


class Listed(NamedTuple):
    """All that a node has at the end: orders as (state, live units of each line) by the dot of each claim,
    and the names of all facts; rows by item and replica."""

    at_ms: float
    node: int
    claims: Mapping[tuple[str, int, int], tuple[int, tuple[tuple[str, int], ...]]]
    facts: frozenset[Fact]
    rows: Mapping[tuple[str, str, int], Mapping[str, Any]]
    unlisted: tuple[str, ...] = ()
    """Orders that are not in the lists in which they belong."""
    clocks: Mapping[int, int] = {}
    """By replica: milliseconds since 1970, as it believes."""


class Ended(NamedTuple):
    """The run is over. `quiet`: all has settled."""

    at_ms: float
    quiet: bool
    why: str = ""


Event = (
    Opened
    | Committed
    | Asked
    | Answered
    | Unheard
    | Shown
    | Buffered
    | Standing
    | Alarmed
    | Failed
    | FellIll
    | Listed
    | Ended
)
