"""When waiting orders leave, and how many of them together. Pure.

As in group commit: an order that finds its stream idle leaves at once, alone. While a message is being
written, or too many are on their way without any answer, those that arrive gather, and leave together as soon
as they may. So nobody waits for a batch to fill, and batches form by themselves when there is load.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
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
    """What one message may hold, and how many messages may be without any answer."""

    orders_max: int = 1_000
    bytes_max: int = 512 * 1024
    messages_max: int = 4


class Batcher(Generic[T]):
    """One stream's part of the policy. Streams that share `queue` share the work."""

    def __init__(self, queue: deque[T], limits: Limits) -> None:
        self._queue = queue
        self._limits = limits
        self._under_way: dict[int, tuple[T, int]] = {}  # by number, with the message that it left in
        self._silent: set[int] = set()  # messages that nothing has been answered of
        self._messages = 0
        self._lines = 0
        self.window_lines = 2_000
        """How many lines may be under way, as the server says; until it does, one order of any size."""

    @property
    def idle(self) -> bool:
        """Nothing is under way."""
        return not self._under_way

    def next_message(self) -> list[T]:
        """The orders that leave now, oldest first; none if nobody waits or they have to.

        The caller writes them before asking again. What alone is larger than a limit leaves alone.
        """
        message: list[T] = []
        if len(self._silent) >= self._limits.messages_max:
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
            self._silent.add(self._messages)
            self._messages += 1
        return message

    def answered(self, number: int) -> T | None:
        """The order that an answer is for; None if it is not under way here."""
        found = self._under_way.pop(number, None)
        if found is None:
            return None
        item, message = found
        self._silent.discard(message)
        self._lines -= item.lines
        return item

    def break_off(self) -> list[T]:
        """The stream is gone: what was under way on it, in the order in which it left."""
        lost = [item for item, _ in self._under_way.values()]
        self._under_way.clear()
        self._silent.clear()
        self._lines = 0
        return lost


def put_first(queue: deque[T], items: Iterable[T]) -> None:
    """Put items back in front of all others, in their order."""
    queue.extendleft(reversed(list(items)))
