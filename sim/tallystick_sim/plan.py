"""What happens in a run, drawn from its seed before it begins: so that a part can be left out, and all else
stays as it was.

A run is a function of its plan. The world's own chance (how long a message takes) comes from streams that are
named after what they are for, never from the one that drew the plan.
"""

from __future__ import annotations

from typing import NamedTuple

from tallystick.core.replica.commands import Command
from tallystick_sim.calls import Wishes

BEGIN_MS = 3_000.0
"""Faults begin when the cluster has found itself."""


class Size(NamedTuple):
    """How large a run is. The first `seconds - healing` are for faults, in the rest all must settle."""

    nodes: int
    seconds: float
    orders: int
    faults: int
    """At least so many, and up to twice as many."""
    healing: float = 12.0


SIZES = {"small": Size(3, 60.0, 200, 8), "long": Size(5, 600.0, 1_000, 50, 20.0)}


class Fault(NamedTuple):
    """One thing that goes wrong. What the numbers mean is the kind's to say."""

    at_ms: float
    kind: str
    nodes: tuple[int, ...] = ()
    ms: float = 0.0
    amount: float = 0.0


class Read(NamedTuple):
    """A caller looks at an order, where the token of its last write is honoured."""

    order_id: str


class Request(NamedTuple):
    """One call of a client. The same command may be sent again, here or elsewhere, under another number."""

    number: int
    at_ms: float
    node: int
    command: Command | Read
    wishes: Wishes = Wishes()


class Ambience(NamedTuple):
    """What is wrong all the time. `skews_ms` and `drifts` are those of the nodes' clocks, by name."""

    stretch: float = 1.0
    """How far apart the regions are: 1 is the globe, 0 one room."""
    jitter_ms: float = 5.0
    lost: float = 0.0
    doubled: float = 0.0
    overtaken: float = 0.0
    skews_ms: tuple[float, ...] = ()
    drifts: tuple[float, ...] = ()


class Plan(NamedTuple):
    """All of a run."""

    seed: int
    size: Size
    swapped: bool
    """Whether ids fall with names: who dials whom, and who gives way to whom, is by id."""
    rebalance: str
    workloads: tuple[str, ...]
    ambience: Ambience
    enabled: tuple[str, ...]
    """Kinds of faults that were to happen, more or less often."""
    faults: tuple[Fault, ...]
    requests: tuple[Request, ...]
