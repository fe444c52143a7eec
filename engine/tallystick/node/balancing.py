"""Where tokens should be, by how fast items are asked for here and elsewhere: what to send whom.

The policies are the core's (`core.stock.rebalance`); here is what they look at. Only items that changed since
the last look are looked at again, and only members that can be reached are sent anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from tallystick.core.members import Member, MemberState
from tallystick.core.replica.commands import Rebalance
from tallystick.core.replica.keys import split_stock_key
from tallystick.core.stock.rebalance import POLICIES, Situation, holdings, transfers
from tallystick.core.stock.rights import Stock
from tallystick.node.demands import Demands

OFF = "off"
LOOK_ITEMS = 40
LOOK_MS = 100
"""How many items one look goes through, and how often there is one. Orders wait for it: it is short."""
WAITING_ITEMS = 20_000

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
        self.demands = Demands(me)
        self._changed: dict[bytes, None] = {}
        self._looked_ms = 0

    def sold(self, changed: Iterable[tuple[bytes, Stock, Stock]], now_ms: int) -> None:
        """A commit changed these items (key, before, after): what was taken here was asked for here."""
        me, note = self._me, self.demands.note
        for key, before, after in changed:
            was, row = before.row(me), after.row(me)
            if row is not was and row.taken > was.taken:
                note(key, row.taken - was.taken, now_ms)
            self.changed(key)

    def changed(self, key: bytes) -> None:
        """Look at this item again."""
        if self._policy is not None and len(self._changed) < WAITING_ITEMS:
            self._changed[key] = None

    def plan(
        self, members: Mapping[int, Member], peers: Callable[[], Sequence[int]], now_ms: int
    ) -> Rebalance | None:
        """What to send now to those of `peers` that are linked, if anything: mostly it is not yet time for a
        look, or there is nothing to look at."""
        policy = self._policy
        if policy is None or not self._changed or 0 <= now_ms - self._looked_ms < LOOK_MS:
            return None
        linked = peers()
        self._looked_ms = now_ms
        active = [replica for replica, member in members.items() if member.state == MemberState.ACTIVE]
        weights = {replica: self._weights.get(members[replica].region, 1) for replica in active}
        moves: list[tuple[str, str, int, int]] = []
        for key in [*islice(self._changed, LOOK_ITEMS)]:
            del self._changed[key]
            units = holdings(self._stock_of(key), active)
            situation = Situation(self._me, units, self.demands.rates(key, now_ms), weights)
            moves += [
                (*split_stock_key(key), to, n) for to, n in transfers(policy, situation) if to in linked
            ]
        return Rebalance(tuple(moves)) if moves else None
