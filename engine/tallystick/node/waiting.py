"""Answers that wait: for acknowledgements of other members, for an owner's decision, for tokens.

What waits is committed here (or, for tokens, refused so far and free of side effects), so waiting costs
memory and nothing else. Nothing waits past its deadline: a little before it the answer goes out as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from tallystick.core.replica.outcome import Outcome
from tallystick.node.jobs import Commands, Job, NotStarted, Receipt, Result

MARGIN_S = 0.05
"""An answer must leave this long before the deadline, to be there in time."""
PATIENCE_S = 10.0
"""How long an answer waits that has no deadline."""
TOKENS_S = 1.5
"""How long an order waits for tokens in all, however often it is tried meanwhile. Long enough for an answer
from the other side of the world, and less than callers give one node before they try another."""
PARKED_MAX = 10_000
"""Jobs that wait for tokens at once; one more is refused as things stand."""


Units = Mapping[bytes, int]
"""By stock key."""
_Counts = Callable[[int], int]


class Work(NamedTuple):
    """Commands to step. `last`: a shortage is final. `until`: how long it waits for tokens, once it does.
    `wrote`: the first step did, so what it is told when it is stepped again is no replay."""

    job: Job
    commands: Commands
    last: bool = False
    until: float | None = None
    wrote: bool = False

    def as_first_told(self, results: Sequence[Result]) -> Sequence[Result]:
        """The results, with no replay in them that is one only because it is stepped again here."""
        if not self.wrote:
            return results
        return [r._replace(replayed=False) if isinstance(r, Outcome) else r for r in results]

    def unless_given_up(self, now: float) -> Work:
        """The same, or nothing if it waited for tokens and nobody waits for it any more: he may have been
        told elsewhere, or by another attempt, that the order is refused."""
        deadline = self.job.deadline
        if self.until is None or deadline is None or now <= deadline:
            return self
        return self._replace(commands=(NotStarted(),) * len(self.commands))


class Done(NamedTuple):
    """Results that are on disk here."""

    job: Job
    results: Sequence[Result]
    receipt: Receipt


class _Acks(NamedTuple):
    seq: int
    until: float
    done: Done


class _Parked(NamedTuple):
    until: float
    work: Work


class _Short(NamedTuple):
    parked: _Parked
    wanted: Units
    takes: Units


class Waiting:
    """All answers that wait. Times are those of time.monotonic()."""

    def __init__(self) -> None:
        self._acks: list[_Acks] = []
        self._decisions: dict[str, list[_Parked]] = {}
        self._parked: dict[int, _Short] = {}
        self._by_key: dict[bytes, dict[int, int]] = {}
        self.begun = 0
        """How many answers have begun to wait so far."""

    # -------------------------------------------------------------------------------------- acknowledgements

    def for_acks(self, seq: int, done: Done, now: float) -> None:
        """Hold these results until enough members have our events up to `seq`."""
        self.begun += 1
        self._acks.append(_Acks(seq, _until(done.job, now), done))

    def acknowledged(self, counts: _Counts, others: int, now: float) -> list[Done]:
        """What need not wait any more: enough of the `others` have it, or all of them, or time is up."""
        if not self._acks:
            return []
        left: list[_Acks] = []
        released: list[Done] = []
        for each in self._acks:
            done = each.done
            count = counts(each.seq)
            if count >= min(done.job.replicas, others) or now >= each.until:
                receipt = done.receipt._replace(replicated_to=count)
                released.append(done._replace(receipt=receipt))
            else:
                left.append(each)
        self._acks = left
        return released

    # --------------------------------------------------------------------------------------------- decisions

    def for_decision(self, order_id: str, work: Work, now: float) -> None:
        """Step this again when the order has changed."""
        self.begun += 1
        self._decisions.setdefault(order_id, []).append(_Parked(_until(work.job, now), work))

    def decided(self, order_ids: Iterable[str]) -> list[Work]:
        """These orders were changed by others."""
        if not self._decisions:
            return []
        return [parked.work for name in order_ids for parked in self._decisions.pop(name, ())]

    # ------------------------------------------------------------------------------------------------ tokens

    def has_room(self) -> bool:
        """Whether one more may wait for tokens."""
        return len(self._parked) < PARKED_MAX

    def for_tokens(self, work: Work, wanted: Units, takes: Units, now: float) -> None:
        """Step this again when tokens of what is `wanted` came, or can't come. `takes`: all that it takes,
        what it does not lack included."""
        self.begun += 1
        until = min(_until(work.job, now), now + TOKENS_S) if work.until is None else work.until
        self._parked[self.begun] = _Short(_Parked(until, work._replace(until=until)), wanted, takes)
        for key, units in wanted.items():
            self._by_key.setdefault(key, {})[self.begun] = units

    def wanting(self, key: bytes) -> int:
        """Units of the item that orders ask for which wait for it, those that are here included."""
        return sum(self._by_key.get(key, {}).values())

    def in_hand(self, key: bytes, lacking: Iterable[bytes]) -> int:
        """Units of the item that other orders take, which don't lack it but one of these."""
        numbers = {number for other in lacking for number in self._by_key.get(other, ())}
        orders = (self._parked[number] for number in numbers)
        return sum(order.takes.get(key, 0) for order in orders if key not in order.wanted)

    def take(self, key: bytes) -> list[Work]:
        """All that waits for the item, in the order in which it came."""
        return [self._unpark(number).work for number in sorted(self._by_key.get(key, ()))]

    # -------------------------------------------------------------------------------------------------- time

    def expired(self, now: float) -> list[Work]:
        """What has no time left: to be stepped a last time."""
        if not self._parked and not self._decisions:
            return []
        late = [number for number, order in self._parked.items() if order.parked.until <= now]
        works = [self._unpark(number).work for number in late]
        for name in [*self._decisions]:
            works += [parked.work for parked in self._decisions[name] if parked.until <= now]
            self._decisions[name] = [parked for parked in self._decisions[name] if parked.until > now]
            if not self._decisions[name]:
                del self._decisions[name]
        return [work._replace(last=True) for work in works]

    def all(self) -> tuple[list[Done], list[Work]]:
        """Everything, for a stop: to be answered as things stand."""
        dones = [each.done for each in self._acks]
        self._acks = []
        return dones, self.expired(float("inf"))

    @property
    def next_until(self) -> float | None:
        """When time is up for the first of them."""
        times = [each.until for each in self._acks]
        times += [order.parked.until for order in self._parked.values()]
        times += [parked.until for waiting in self._decisions.values() for parked in waiting]
        return min(times, default=None)

    def __bool__(self) -> bool:
        return bool(self._acks or self._parked or self._decisions)

    def _unpark(self, number: int) -> _Parked:
        parked, wanted, _ = self._parked.pop(number)
        for key in wanted:
            del self._by_key[key][number]
            if not self._by_key[key]:
                del self._by_key[key]
        return parked


def _until(job: Job, now: float) -> float:
    deadline = job.deadline
    return now + PATIENCE_S if deadline is None else deadline - MARGIN_S
