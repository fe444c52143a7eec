"""Asking other nodes for tokens when stock is short here.

For one item all waiting demand is one question, put to the richest that can be reached, two of them at once
at most. Nothing is locked meanwhile, and what arrives is kept even if the order gave up. Who could not help
is left alone for a while, and what waits waits for it. Whoever drives this retries what waits when
`take_settled` names the item.

Source: the transfer protocol of bounded counters (Balegas et al., 2015), with the mistakes of its first
implementation left out: it asked the poorest first, its throttle never fired, and each retry added its
shortfall to the queue again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tallystick.core.replication.messages import Ask

AT_ONCE = 2
TIMEOUT_MS = 1_000
"""A peer that does not answer for so long is not waited for."""
REST_MS = 250
"""Who could not help is not asked for the same item again for so long."""
SILENCE_MS = 5_000
"""Who did not answer is asked for nothing for so long, unless he is heard of: else orders would wait for one
silent peer after the other, again and again."""


class Holder(NamedTuple):
    """A peer that can be reached, and the units that it is believed to hold."""

    peer: int
    units: int


@dataclass(slots=True)
class _Out:
    """A question under way. The answer sets `units` to what comes, and `until`: the event that brings it."""

    peer: int
    units: int
    at_ms: int
    until: int | None = None


@dataclass(slots=True)
class _Item:
    rests: dict[int, int] = field(default_factory=dict)
    out: dict[int, _Out] = field(default_factory=dict)


_Over = Callable[[_Out], bool]


class Asks:
    """The questions of one node."""

    def __init__(self, timeout_ms: int = TIMEOUT_MS) -> None:
        self._timeout_ms = timeout_ms
        self._items: dict[bytes, _Item] = {}
        self._silent: dict[int, int] = {}
        self._heard_ms: dict[int, int] = {}
        self._number = 0
        self._sends: list[tuple[int, Ask]] = []
        self._settled: dict[bytes, None] = {}

    def awake(self, holders: Iterable[Holder], now_ms: int) -> list[Holder]:
        """Those that have any, and answer."""
        return [h for h in holders if h.units > 0 and self._silent.get(h.peer, 0) <= now_ms]

    def need(self, key: bytes, units: int, holders: Iterable[Holder], now_ms: int) -> None:
        """`units` of the item are lacking here, all in all: ask for what nobody was asked for yet.

        Where anybody is awake the item is sure to be settled: he is asked now, or was, or rests.
        """
        item = self._items.setdefault(key, _Item())
        busy = item.rests.keys() | {out.peer for out in item.out.values()}
        missing = units - sum(out.units for out in item.out.values())
        free = (holder for holder in self.awake(holders, now_ms) if holder.peer not in busy)
        for holder in sorted(free, key=lambda holder: (-holder.units, holder.peer)):
            if missing <= 0 or len(item.out) == AT_ONCE:
                break
            asked = min(missing, holder.units)
            self._number += 1
            item.out[self._number] = _Out(holder.peer, asked, now_ms)
            self._sends.append((holder.peer, Ask(self._number, key, asked)))
            missing -= asked
        self._forget(key)

    def answered(self, peer: int, number: int, granted: int, until: int, now_ms: int) -> None:
        """A peer's answer; its grant is in its chain up to event `until`."""
        self.heard(peer, now_ms)
        for item in self._items.values():
            out = item.out.get(number)
            if out is not None and out.peer == peer:
                out.until = until
                if granted < out.units:
                    item.rests[peer] = now_ms + REST_MS
                out.units = granted

    def reached(self, peer: int, seq: int) -> None:
        """The peer's events up to `seq` are on disk here."""
        self._end(lambda out: out.peer == peer and out.until is not None and out.until <= seq)

    def heard(self, peer: int, now_ms: int) -> None:
        """Something came of the peer: it is not silent, only slow."""
        self._heard_ms[peer] = now_ms
        self._silent.pop(peer, None)

    def lost(self, peer: int, now_ms: int) -> None:
        """The peer can't be reached any more: when it can, that is another chance."""
        self._silent.pop(peer, None)
        for item in self._items.values():
            item.rests[peer] = now_ms + REST_MS
        self._end(lambda out: out.peer == peer)

    def tick(self, now_ms: int) -> None:
        """Time has passed: who has not answered is waited for no longer."""
        if not self._items and not self._silent:
            return
        late = now_ms - self._timeout_ms
        self._silent = {peer: until for peer, until in self._silent.items() if until > now_ms}
        for key, item in [*self._items.items()]:
            rests = {peer: until for peer, until in item.rests.items() if until > now_ms}
            if len(rests) < len(item.rests):
                self._settled[key] = None  # who rested may help now
            item.rests = rests
            self._forget(key)
            for out in item.out.values():
                if out.at_ms <= late and self._heard_ms.get(out.peer, 0) <= out.at_ms:
                    self._silent[out.peer] = now_ms + SILENCE_MS
                elif out.at_ms <= late:
                    item.rests[out.peer] = now_ms + REST_MS
        self._end(lambda out: out.at_ms <= late)

    def take_sends(self) -> list[tuple[int, Ask]]:
        """Questions to send, with whom to."""
        sends, self._sends = self._sends, []
        return sends

    def take_settled(self) -> list[bytes]:
        """Items of which a question came to its end, or somebody's rest: what waits is to be tried again."""
        settled, self._settled = [*self._settled], {}
        return settled

    def asked_of(self, peer: int) -> list[bytes]:
        """Items that the peer was asked for and has not brought yet."""
        return [key for key, item in self._items.items() if any(o.peer == peer for o in item.out.values())]

    @property
    def open(self) -> int:
        """Questions under way."""
        return sum(len(item.out) for item in self._items.values())

    def _end(self, over: _Over) -> None:
        for key, item in [*self._items.items()]:
            ended = [number for number, out in item.out.items() if over(out)]
            for number in ended:
                del item.out[number]
            if ended:
                self._settled[key] = None

    def _forget(self, key: bytes) -> None:
        item = self._items[key]
        if not item.out and not item.rests:
            del self._items[key]
