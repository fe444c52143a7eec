"""Asking other nodes for tokens when stock is short here.

For one item all waiting demand is one question, put to the richest that can be reached, two of them at once
at most. Nothing is locked meanwhile, and what arrives is kept even if the order gave up. Who could not help
is left alone for a while, and hoped for meanwhile, unless that was in vain again and again: it may have kept
units for orders of its own, and not need all of them. Whoever drives this retries what waits when
`take_settled` names the item.

Source: the transfer protocol of bounded counters (Balegas et al., 2015), with the mistakes of its first
implementation left out: it asked the poorest first, its throttle never fired, and each retry added its
shortfall to the queue again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tallystick.core.replication.messages import Ask

AT_ONCE = 2
TIMEOUT_MS = 1_000
"""A peer that does not answer for so long is not waited for."""
REST_MS = 250
"""Who could not help is not asked for the same item again for so long."""
STRIKES_MAX = 3
"""Who gave nothing so many times in a row is not hoped for while it rests."""
MEMORY_MS = 1_000
"""Strikes are remembered for so long after the rest."""
SILENCE_MS = 5_000
"""Who did not answer is asked for nothing for so long, unless he is heard of: else orders would wait for one
silent peer after the other, again and again."""


class Holder(NamedTuple):
    """A peer that can be reached, and the units that it is believed to hold."""

    peer: int
    units: int


@dataclass(slots=True)
class _Out:
    """A question under way. `until` is set by the answer: the event of the peer that ends it."""

    peer: int
    units: int
    at_ms: int
    until: int | None = None


class _Rest(NamedTuple):
    """Until when a peer is left alone, and how often in a row it gave nothing."""

    until: int
    strikes: int


_AWAKE = _Rest(0, 0)


@dataclass(slots=True)
class _Item:
    needed: int = 0
    rests: dict[int, _Rest] = field(default_factory=dict)
    out: dict[int, _Out] = field(default_factory=dict)

    def rest(self, peer: int, now_ms: int, strikes: int) -> None:
        """Leave a peer alone for a while."""
        before = self.rests.get(peer, _AWAKE)
        self.rests[peer] = _Rest(now_ms + REST_MS, before.strikes + strikes)

    def is_awake(self, peer: int, now_ms: int) -> bool:
        """Whether the peer may be asked."""
        return self.rests.get(peer, _AWAKE).until <= now_ms

    def is_hoped_for(self, peer: int, now_ms: int) -> bool:
        """Whether the peer may give something, now or when it has rested."""
        return self.is_awake(peer, now_ms) or self.rests[peer].strikes < STRIKES_MAX


_Over = Callable[[_Out], bool]


class Asks:
    """The questions of one node."""

    def __init__(self, timeout_ms: int = TIMEOUT_MS) -> None:
        self._timeout_ms = timeout_ms
        self._items: dict[bytes, _Item] = {}
        self._silent: dict[int, int] = {}
        self._ticked_ms = 0
        self._number = 0
        self._sends: list[tuple[int, Ask]] = []
        self._settled: dict[bytes, None] = {}

    def need(self, key: bytes, units: int, holders: Sequence[Holder], now_ms: int) -> bool:
        """`units` more of the item are waited for. False: those who may give some have not so many.

        Who is being asked already counts with all that it has: once it has answered, it is asked for more.
        Others that wait for the same units don't count: whoever comes too late is refused when those are
        gone, and not before anybody knows.
        """
        item = self._items.setdefault(key, _Item())
        heard = [each for each in holders if self._silent.get(each.peer, 0) <= now_ms]
        if sum(each.units for each in heard if item.is_hoped_for(each.peer, now_ms)) < units:
            self._forget(key)
            return False
        item.needed += units
        self._ask(key, item, [each for each in heard if item.is_awake(each.peer, now_ms)], now_ms)
        return True

    def withdraw(self, key: bytes, units: int) -> None:
        """So many are waited for no more: an order gave up, or is tried again as a whole."""
        item = self._items.get(key)
        if item is not None:
            item.needed = max(0, item.needed - units)
            self._forget(key)

    def retrying(self, key: bytes) -> None:
        """All that waits for the item is tried again now: who still lacks some says so anew."""
        item = self._items.get(key)
        if item is not None:
            item.needed = 0
            self._forget(key)

    def answered(self, peer: int, number: int, granted: int, until: int, now_ms: int) -> None:
        """A peer's answer; its grant is in its chain up to event `until`."""
        self._silent.pop(peer, None)
        for item in self._items.values():
            out = item.out.get(number)
            if out is not None and out.peer == peer:
                out.until = until
                if granted:
                    item.rests.pop(peer, None)
                if granted < out.units:
                    item.rest(peer, now_ms, strikes=not granted)

    def reached(self, peer: int, seq: int) -> None:
        """The peer's events up to `seq` are on disk here."""
        self._end(lambda out: out.peer == peer and out.until is not None and out.until <= seq)

    def lost(self, peer: int, now_ms: int) -> None:
        """The peer can't be reached any more: when it can, that is another chance."""
        self._silent.pop(peer, None)
        for item in self._items.values():
            item.rest(peer, now_ms, STRIKES_MAX)
        self._end(lambda out: out.peer == peer)

    def tick(self, now_ms: int) -> None:
        """Time has passed: who has not answered is waited for no longer."""
        late = now_ms - self._timeout_ms
        self._silent = {peer: until for peer, until in self._silent.items() if until > now_ms}
        for key, item in [*self._items.items()]:
            if any(self._ticked_ms < rest.until <= now_ms for rest in item.rests.values()):
                self._settled[key] = None
            item.rests = {peer: rest for peer, rest in item.rests.items() if rest.until + MEMORY_MS > now_ms}
            self._forget(key)
            for out in item.out.values():
                if out.at_ms <= late and out.until is None:
                    self._silent[out.peer] = now_ms + SILENCE_MS
                elif out.at_ms <= late:
                    item.rest(out.peer, now_ms, STRIKES_MAX)
        self._ticked_ms = now_ms
        self._end(lambda out: out.at_ms <= late)

    def take_sends(self) -> list[tuple[int, Ask]]:
        """Questions to send, with whom to."""
        sends, self._sends = self._sends, []
        return sends

    def take_settled(self) -> list[bytes]:
        """Items of which a question came to its end."""
        settled, self._settled = [*self._settled], {}
        return settled

    @property
    def open(self) -> int:
        """Questions under way."""
        return sum(len(item.out) for item in self._items.values())

    def _ask(self, key: bytes, item: _Item, holders: Sequence[Holder], now_ms: int) -> None:
        missing = item.needed - sum(out.units for out in item.out.values())
        asked = {out.peer for out in item.out.values()}
        free = (holder for holder in holders if holder.units > 0 and holder.peer not in asked)
        for holder in sorted(free, key=lambda holder: (-holder.units, holder.peer)):
            if missing <= 0 or len(item.out) == AT_ONCE:
                return
            units = min(missing, holder.units)
            self._number += 1
            item.out[self._number] = _Out(holder.peer, units, now_ms)
            self._sends.append((holder.peer, Ask(self._number, key, units)))
            missing -= units

    def _end(self, over: _Over) -> None:
        for key, item in [*self._items.items()]:
            ended = [number for number, out in item.out.items() if over(out)]
            for number in ended:
                del item.out[number]
            if ended:
                self._settled[key] = None

    def _forget(self, key: bytes) -> None:
        item = self._items[key]
        if not item.needed and not item.out and not item.rests:
            del self._items[key]
