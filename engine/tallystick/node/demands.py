"""How fast items are asked for: measured here, told over each link, heard of each peer.

Over each link all is told: in every round the items that were asked for since they were told, those that wait
longest first, and those that were told and are forgotten. What was told fades at the peer as it fades here,
and is void when its link is gone and there is another. So nobody takes a node for busier than it takes itself
(see `core.stock.rebalance`), whatever was lost with a link or with a process.

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
    last: tuple[int, int]
    """When the peer's last round left, in its time since its Hello, and came, in ours."""
    untold: dict[bytes, None]
    """Items, those that wait longest first."""
    told: set[bytes] = field(default_factory=set)
    """Items that the peer has heard of over this link."""
    heard: dict[bytes, Told] = field(default_factory=dict)
    open: bool = True

    def stamp(self, counted_ms: int, now_ms: int) -> Stamp:
        left_ms, came_ms = self.last
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

    def hear(self, key: bytes, told: Told) -> None:
        known = self.heard.get(key)
        if known is not None and known.age_ms > told.age_ms:
            return  # an older round came later
        if known is None and len(self.heard) >= HEARD_ITEMS:
            del self.heard[next(iter(self.heard))]
        self.heard[key] = told


class Demands:
    """One node's; it counts `items_max` items at most. Times are of a clock that only rises, in ms."""

    def __init__(self, me: int, items_max: int = ITEMS_MAX) -> None:
        self._me = me
        self._meter = DemandMeter(items_max)
        self._lines: dict[int, _Line] = {}
        """By link; of a peer to which there is none any more the last one."""

    def note(self, key: bytes, units: int, now_ms: int) -> None:
        """So many units were asked for here."""
        forgotten = self._meter.note(key, units, now_ms)
        for line in self._lines.values():
            if line.open:
                line.untold[key] = None
                for each in forgotten:
                    line.forget(each)

    def greeted(self, link: int, peer: int, boot: int, began_ms: int, now_ms: int) -> None:
        """A process of a peer greets over a link, over which our own Hello left at `began_ms`."""
        for number, line in self._of(peer):
            if line.boot != boot or not line.open:
                del self._lines[number]
        if link not in self._lines:
            self._lines[link] = _Line(peer, boot, began_ms, (0, now_ms), dict.fromkeys(self._meter))

    def closed(self, link: int) -> None:
        """There is no such link any more. Until there is another to this peer, we go by what came over it."""
        line = self._lines.get(link)
        if line is not None:
            line.open = False
            line.untold, line.told = {}, set()
            if len(self._of(line.peer)) > 1:
                del self._lines[link]

    def tell(self, link: int, now_ms: int) -> tuple[tuple[Demand, ...], Stamp]:
        """What to tell over a link now."""
        line = self._lines.get(link)
        if line is None:
            return (), Stamp()  # of a process that is no more
        keys = [*islice(line.untold, TOLD_ITEMS)]
        for key in keys:
            del line.untold[key]
            (line.told.add if key in self._meter else line.told.discard)(key)
        told = tuple(Demand(key, self._meter.rate(key, now_ms)) for key in keys)
        return told, line.stamp(self._meter.age_ms(now_ms), now_ms)

    def hear(self, link: int, demands: Sequence[Demand], stamp: Stamp, now_ms: int) -> list[bytes]:
        """What a peer tells; answers the items. What is no rate is passed over: no policy could weigh it."""
        line = self._lines.get(link)
        if line is None:
            return []  # of a process that is no more
        line.last = max(line.last, (stamp.sent_ms, now_ms))
        left_ms = line.left_ms(stamp, now_ms)
        rates = [demand for demand in demands if 0 <= demand.units_per_s < math.inf]
        for key, rate in rates:
            line.hear(key, Told(rate, left_ms, stamp.counted_ms))
        return [key for key, _ in rates]

    def rates(self, key: bytes, now_ms: int) -> dict[int, float]:
        """Units a second that each member sells of an item, as far as known."""
        told: dict[int, Told] = {}
        for line in [*self._lines.values()]:  # whoever reads asks too, in another thread
            each = line.heard.get(key)
            if each is not None and (line.peer not in told or told[line.peer].age_ms < each.age_ms):
                told[line.peer] = each
        return rates_now(self._me, self._meter.rate(key, now_ms), told, now_ms)

    def _of(self, peer: int) -> list[tuple[int, _Line]]:
        return [(number, line) for number, line in self._lines.items() if line.peer == peer]
