"""The ask desk: what this node asks of others when stock is short, and what it gives when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tallystick.core.errors import InsufficientStock, Refused, Shortage
from tallystick.core.replica.commands import GrantTokens
from tallystick.core.replica.keys import split_stock_key, stock_key
from tallystick.core.replica.outcome import Outcome
from tallystick.core.replication.asks import Asks, Holder
from tallystick.core.replication.messages import Ask
from tallystick.core.stock.rebalance import holdings
from tallystick.core.stock.rights import Stock, rights
from tallystick.node.chores import Chore

StockOf = Callable[[bytes], Stock]
"""A stock item as it is on disk."""


class AskDesk:
    """One node's. `linked` answers the peers that can be reached; `wanting` and `in_hand` the units of an
    item that orders take which wait here: for it, and for other items."""

    def __init__(self, me: int, stock_of: StockOf, linked: Callable[[], list[int]]) -> None:
        self._me = me
        self._stock_of = stock_of
        self._linked = linked
        self._asks = Asks()
        self.wanting: Callable[[bytes], int] = lambda _: 0
        self.in_hand: Callable[[bytes, Iterable[bytes]], int] = lambda _key, _lacking: 0
        self.answered = self._asks.answered
        self.reached = self._asks.reached
        self.heard = self._asks.heard
        self.lost = self._asks.lost
        self.tick = self._asks.tick
        self.take_sends = self._asks.take_sends
        self.take_settled = self._asks.take_settled

    def ask_for(self, shortages: Sequence[Shortage], now_ms: int) -> dict[bytes, int] | None:
        """Ask for what is short. Answers what the order wants of it, by stock key, none if all is here
        meanwhile; None if it is not to be hoped for: all who answer have not enough together.

        A view of the others is never too low on account of tokens that are under way: a move lowers one and
        raises another at once.
        """
        wanted: dict[bytes, int] = {}
        needs: list[tuple[bytes, int, list[Holder]]] = []
        for short in shortages:
            key = stock_key(short.sku, short.location)
            stock = self._stock_of(key)
            here = rights(stock, self._me)
            held = holdings(stock, self._linked())
            holders = (Holder(peer, units) for peer, units in held.items())
            awake = self._asks.awake(holders, now_ms)
            if here + sum(holder.units for holder in awake) < short.asked:
                return None
            if here < short.asked:
                wanted[key] = short.asked
                needs.append((key, self.wanting(key) + short.asked - here, awake))
        for key, units, awake in needs:
            self._asks.need(key, units, awake, now_ms)
        return wanted

    def grant(self, asker: int, ask: Ask, granted: Callable[[int], None]) -> Chore:
        """What answers a peer's question.

        Of two that both lack, the one with the lower id keeps all that its own orders wait for, and what
        those take that wait for the asker: if both did, none would be served, and if none did, tokens would
        cross over and both would lack again.
        """
        keep = 0
        if self._me < asker:
            keep = self.wanting(ask.key) + self.in_hand(ask.key, self._asks.asked_of(asker))
        sku, location = split_stock_key(ask.key)

        def done(result: Outcome | Refused) -> None:
            units = sum(move[2] for move in result.moved) if isinstance(result, Outcome) else 0
            granted(units)

        return Chore(GrantTokens(asker, sku, location, ask.units, keep), done)

    def explain(
        self,
        refusal: InsufficientStock,
        unreachable: tuple[str, ...],
        region_of: Callable[[int], str],
        now_ms: int,
    ) -> Refused:
        """The refusal, with where else there may be more, and who could not be asked."""
        linked = self._linked()
        rows = []
        for short in refusal.shortages:
            stock = self._stock_of(stock_key(short.sku, short.location))
            richest = max(linked, key=lambda peer: rights(stock, peer), default=0)
            suits = richest and rights(stock, richest) >= short.asked
            rows.append(
                short._replace(
                    as_of_ms=now_ms,
                    unreachable_regions=unreachable,
                    suggested_region=region_of(richest) if suits else "",
                )
            )
        return InsufficientStock(tuple(rows))
