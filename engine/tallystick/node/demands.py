"""How fast items are asked for: measured here, told over each link, heard of each peer.

A round tells over a link the items that were asked for since it told of them, those that wait longest first,
and those that were told and are forgotten. What was told fades at the peer as it fades here, and what a peer
told before it started anew is void: so nobody takes a node for busier than it takes itself (see
`core.stock.rebalance`).

What was long on its way must not look young. So each round says which of ours its sender heard last, and how
long ago: it left that long after ours did, or later, whatever the clocks say. RTP's receivers tell their
senders the same for the same reason (RFC 3550, the delay since the last sender report).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from tallystick.core.replication.messages import Demand, Stamp
from tallystick.core.stock.demand import ITEMS_MAX, DemandMeter, Told
from tallystick.core.stock.rebalance import rates_now

TOLD_ITEMS = 100
"""Of how many items one round of gossip tells."""
HEARD_ITEMS = 20_000
"""Of how many items is remembered what peers told. Who is not known to ask for one gets less of it."""


@dataclass(slots=True)
class _Line:
    """A link to a process of a peer, which our Hello opened at `began_ms`."""

    peer: int
    boot: int
    began_ms: int
    heard: tuple[int, int]
    """When its last round left, in its time since its Hello, and came, in ours."""
    untold: dict[bytes, None]
    """Items, those that wait longest first."""
    told: set[bytes] = field(default_factory=set)
    """Items that the peer remembers, as far as we know."""

    def stamp(self, counted_ms: int, now_ms: int) -> Stamp:
        left_ms, came_ms = self.heard
        return Stamp(counted_ms, now_ms - self.began_ms, left_ms, now_ms - came_ms)

    def left_ms(self, stamp: Stamp, now_ms: int) -> int:
        """When the round with this stamp left, in our time, or a little earlier: no later."""
        return min(now_ms, self.began_ms + stamp.echo_ms + stamp.echo_age_ms)

    def forget(self, key: bytes) -> None:
        """The item is forgotten here: whoever was told of it is told that."""
        if key in self.told:
            self.untold[key] = None
        else:
            self.untold.pop(key, None)


class Demands:
    """One node's; it counts `items_max` items at most. Times are of a clock that only rises, in ms."""

    def __init__(self, me: int, items_max: int = ITEMS_MAX) -> None:
        self._me = me
        self._meter = DemandMeter(items_max)
        self._heard: dict[bytes, dict[int, Told]] = {}
        self._lines: dict[int, _Line] = {}
        self._boots: dict[int, int] = {}
        """By peer: the process that greeted last."""

    def note(self, key: bytes, units: int, now_ms: int) -> None:
        """So many units were asked for here."""
        forgotten = self._meter.note(key, units, now_ms)
        for line in self._lines.values():
            line.untold[key] = None
            for each in forgotten:
                line.forget(each)

    def greeted(self, link: int, peer: int, boot: int, began_ms: int, now_ms: int) -> None:
        """A process of a peer greets over a link, over which our own Hello left at `began_ms`."""
        self._lines[link] = _Line(peer, boot, began_ms, (0, now_ms), dict.fromkeys(self._meter))
        if self._boots.get(peer) != boot:
            self._boots[peer] = boot
            for told in self._heard.values():
                told.pop(peer, None)

    def closed(self, link: int) -> None:
        """There is no such link any more."""
        self._lines.pop(link, None)

    def tell(self, link: int, now_ms: int) -> tuple[tuple[Demand, ...], Stamp]:
        """What to tell over a link now."""
        line = self._lines[link]
        keys = [*islice(line.untold, TOLD_ITEMS)]
        for key in keys:
            del line.untold[key]
            (line.told.add if key in self._meter else line.told.discard)(key)
        told = tuple(Demand(key, self._meter.rate(key, now_ms)) for key in keys)
        return told, line.stamp(self._meter.age_ms(now_ms), now_ms)

    def hear(self, link: int, demands: Sequence[Demand], stamp: Stamp, now_ms: int) -> list[bytes]:
        """What a peer tells; answers the items. What is no rate is passed over: no policy could weigh it."""
        line = self._lines[link]
        if line.boot != self._boots[line.peer]:
            return []  # by a process that is no more
        line.heard = max(line.heard, (stamp.sent_ms, now_ms))
        left_ms = line.left_ms(stamp, now_ms)
        rates = [demand for demand in demands if 0 <= demand.units_per_s < math.inf]
        for key, rate in rates:
            self._remember(line.peer, key, Told(rate, left_ms, stamp.counted_ms))
        return [key for key, _ in rates]

    def rates(self, key: bytes, now_ms: int) -> dict[int, float]:
        """Units a second that each member sells of an item, as far as known."""
        told = dict(self._heard.get(key, {}))  # whoever reads asks too, in another thread
        return rates_now(self._me, self._meter.rate(key, now_ms), told, now_ms)

    def _remember(self, peer: int, key: bytes, told: Told) -> None:
        known = self._heard.get(key)
        if known is None:
            if len(self._heard) >= HEARD_ITEMS:
                del self._heard[next(iter(self._heard))]
            known = self._heard[key] = {}
        if peer not in known or known[peer].age_ms <= told.age_ms:
            known[peer] = told  # what an older round says came too late
