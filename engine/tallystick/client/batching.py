"""When waiting orders leave, and how many of them together. Pure.

As in group commit: an order that finds its stream idle leaves at once, alone. While a message is being
written, or two are on their way without any answer, those that arrive gather, and leave together as soon as
they may. So nobody waits for a batch to fill, and batches form by themselves when there is load.

Two, because with one every order waits for the answers to another, and with any number a busy client sends
messages of two or three orders each: measured with 6,000 orders/s arriving at random, p50 3.5, 3.2 and 8.5 ms
with one, two and no limit. Orders that take long by nature hold others back for `patience_s` at most.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, NamedTuple, Protocol, TypeVar


class Waiting(Protocol):
    """What the policy needs to know of an order."""

    @property
    def number(self) -> int:
        """Unique on the stream; its answer has it too."""
        ...

    @property
    def size(self) -> int:
        """Bytes that it adds to a message."""
        ...

    @property
    def lines(self) -> int: ...

    @property
    def settled(self) -> bool:
        """Nobody waits for it any more: given up, or failed by its deadline."""
        ...


T = TypeVar("T", bound=Waiting)


class Limits(NamedTuple):
    """What one message may hold; how many messages may be without any answer, and for how long."""

    orders_max: int = 1_000
    bytes_max: int = 512 * 1024
    silent_max: int = 2
    patience_s: float = 0.01


class Batcher(Generic[T]):
    """One stream's part of the policy. Streams that share `queue` share the work."""

    def __init__(self, queue: deque[T], limits: Limits) -> None:
        self._queue = queue
        self._limits = limits
        self._under_way: dict[int, tuple[T, int]] = {}  # by number, with the message that it left in
        # Messages that nothing has been answered of, with the time at which they stop holding others back.
        self._silent: dict[int, float] = {}
        self._messages = 0
        self._lines = 0
        self.window_lines = 2_000
        """How many lines may be under way, as the server says; until it does, one order of any size."""

    @property
    def idle(self) -> bool:
        """Nothing is under way."""
        return not self._under_way

    def held_until(self, now: float) -> float | None:
        """When silence alone will no longer keep the next message back; None if it doesn't."""
        while self._silent:
            message, until = next(iter(self._silent.items()))
            if until > now:
                return until if len(self._silent) >= self._limits.silent_max else None
            del self._silent[message]
        return None

    def next_message(self, now: float) -> list[T]:
        """The orders that leave now, oldest first; none if nobody waits or they have to.

        The caller writes them before asking again. What alone is larger than a limit leaves alone.
        """
        message: list[T] = []
        if self.held_until(now) is not None:
            return message
        size = 0
        queue = self._queue
        while queue and len(message) < self._limits.orders_max:
            item = queue[0]
            if not item.settled:
                size += item.size
                full = size > self._limits.bytes_max or self._lines + item.lines > self.window_lines
                if full and (message or self._under_way):
                    break
                self._lines += item.lines
                self._under_way[item.number] = (item, self._messages)
                message.append(item)
            queue.popleft()
        if message:
            self._silent[self._messages] = now + self._limits.patience_s
            self._messages += 1
        return message

    def answered(self, number: int) -> T | None:
        """The order that an answer is for; None if it is not under way here."""
        found = self._under_way.pop(number, None)
        if found is None:
            return None
        item, message = found
        self._silent.pop(message, None)
        self._lines -= item.lines
        return item

    def break_off(self) -> list[T]:
        """The stream is gone: what was under way on it, in the order in which it left."""
        lost = [item for item, _ in self._under_way.values()]
        self._under_way.clear()
        self._silent.clear()
        self._lines = 0
        return lost
