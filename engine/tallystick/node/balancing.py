"""Where tokens should be: how fast items are asked for here and elsewhere, and what to send whom.

The policies are the core's (`core.stock.rebalance`); here is what they look at. Only items that changed since
the last look are looked at again, and only members that can be reached are sent anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from tallystick.core.members import Member, MemberState
from tallystick.core.replica.commands import Rebalance
from tallystick.core.replica.keys import split_stock_key
from tallystick.core.replication.messages import Demand
from tallystick.core.stock.demand import DemandMeter
from tallystick.core.stock.rebalance import POLICIES, Situation, holdings, rates_now, transfers
from tallystick.core.stock.rights import Stock

OFF = "off"
LOOK_ITEMS = 40
LOOK_MS = 100
"""How many items one look goes through, and how often there is one. Orders wait for it: it is short."""
WAITING_ITEMS = 20_000
TOLD_ITEMS = 50
"""Items whose demand one round of gossip tells: the busiest."""
HEARD_ITEMS = 20_000

StockOf = Callable[[bytes], Stock]


class Balancer:
    """One node's. `weights` by region, for the policy of that name."""

    def __init__(
        self, me: int, stock_of: StockOf, policy: str = OFF, weights: Mapping[str, int] | None = None
    ) -> None:
        self._me = me
        self._stock_of = stock_of
        self._policy = POLICIES.get(policy)
        self._weights = dict(weights or {})
        self._meter = DemandMeter()
        self._heard: dict[bytes, dict[int, tuple[float, int]]] = {}
        self._told: dict[int, AbstractSet[bytes]] = {}
        """By peer: items whose demand it told, and that it may know still."""
        self._changed: dict[bytes, None] = {}
        self._looked_ms = 0
        self._contenders: set[bytes] = set()
        """The items that were told last, and those that were asked for since."""

    def sold(self, changed: Iterable[tuple[bytes, Stock, Stock]], now_ms: int) -> None:
        """A commit changed these items (key, before, after): what was taken here was asked for here."""
        me, note = self._me, self._meter.note
        asked_for = []
        for key, before, after in changed:
            was, row = before.row(me), after.row(me)
            if row is not was and row.taken > was.taken:
                note(key, row.taken - was.taken, now_ms)
                asked_for.append(key)
            self.changed(key)
        self._contend(asked_for, now_ms)

    def missed(self, key: bytes, units: int, now_ms: int) -> None:
        """So many units were asked for here and not to be had."""
        self._meter.note(key, units, now_ms)
        self._contend((key,), now_ms)
        self.changed(key)

    def _contend(self, keys: Iterable[bytes], now_ms: int) -> None:
        self._contenders.update(keys)
        if len(self._contenders) > WAITING_ITEMS:
            self.tell(now_ms)

    def changed(self, key: bytes) -> None:
        """Look at this item again."""
        if self._policy is not None and len(self._changed) < WAITING_ITEMS:
            self._changed[key] = None

    def tell(self, now_ms: int) -> tuple[Demand, ...]:
        """What is asked for most here.

        All rates fall alike, so nothing overtakes what was told last but what was asked for since.
        """
        busiest = self._meter.busiest(TOLD_ITEMS, now_ms, self._contenders)
        self._contenders = {key for key, _ in busiest}
        return tuple(Demand(key, rate) for key, rate in busiest)

    def hear(self, peer: int, demands: Sequence[Demand], now_ms: int) -> None:
        """What is asked for most at a peer. What is no rate is passed over: no policy could weigh it."""
        self._forget_of(peer, demands)
        for demand in demands:
            if not 0 <= demand.units_per_s < math.inf:
                continue
            known = self._heard.get(demand.key)
            if known is None:
                if len(self._heard) >= HEARD_ITEMS:
                    del self._heard[next(iter(self._heard))]
                known = self._heard[demand.key] = {}
            known[peer] = (demand.units_per_s, now_ms)
            self.changed(demand.key)

    def _forget_of(self, peer: int, demands: Sequence[Demand]) -> None:
        """Who tells fewer items than it may knows of no others: it has started anew, perhaps. While each side
        went by another rate of the same node, both sent tokens to each other again and again."""
        told = {demand.key for demand in demands}
        gone: AbstractSet[bytes] = self._told.get(peer, frozenset()) - told
        if len(demands) < TOLD_ITEMS:
            for key in gone:
                if self._heard.get(key, {}).pop(peer, None):
                    self.changed(key)
            gone = frozenset()
        self._told[peer] = gone | told

    def rates(self, key: bytes, now_ms: int) -> dict[int, float]:
        """Units a second that each member sells of an item, as far as known."""
        heard = dict(self._heard.get(key, {}))
        return rates_now(self._me, self._meter.rate(key, now_ms), heard, now_ms)

    def due(self, now_ms: int) -> bool:
        """Whether it is time for a look, and something to look at."""
        return bool(self._changed) and not 0 <= now_ms - self._looked_ms < LOOK_MS

    def plan(self, members: Mapping[int, Member], linked: Sequence[int], now_ms: int) -> Rebalance | None:
        """What to send now; None if nothing, or if it is not yet time for a look."""
        policy = self._policy
        if policy is None or not self.due(now_ms):
            return None
        self._looked_ms = now_ms
        active = [replica for replica, member in members.items() if member.state == MemberState.ACTIVE]
        weights = {replica: self._weights.get(members[replica].region, 1) for replica in active}
        moves: list[tuple[str, str, int, int]] = []
        for key in [*islice(self._changed, LOOK_ITEMS)]:
            del self._changed[key]
            units = holdings(self._stock_of(key), active)
            situation = Situation(self._me, units, self.rates(key, now_ms), weights)
            moves += [
                (*split_stock_key(key), to, n) for to, n in transfers(policy, situation) if to in linked
            ]
        return Rebalance(tuple(moves)) if moves else None
