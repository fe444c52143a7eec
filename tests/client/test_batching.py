"""The batching policy: by example, and as a machine that must lose and hold back nothing."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tallystick.client.batching import Batcher, Limits

LIMITS = Limits(orders_max=4, bytes_max=100, silent_max=2, patience_s=1.0)


@dataclass
class Item:
    number: int
    size: int = 10
    lines: int = 1
    settled: bool = False


def batcher(*items: Item, limits: Limits = LIMITS, window_lines: int = 10) -> Batcher[Item]:
    made = Batcher(deque(items), limits)
    made.window_lines = window_lines
    return made


def numbers(items: list[Item]) -> list[int]:
    return [item.number for item in items]


def test_an_order_that_finds_the_stream_idle_leaves_at_once():
    assert numbers(batcher(Item(1)).next_message(0.0)) == [1]


def test_orders_gather_while_two_messages_are_silent_and_leave_together():
    queue = deque([Item(1)])
    one = Batcher(queue, LIMITS)
    assert numbers(one.next_message(0.0)) == [1]
    queue.append(Item(2))
    assert numbers(one.next_message(0.0)) == [2]
    queue.extend([Item(3), Item(4)])
    assert one.next_message(0.0) == []
    one.answered(1)
    assert numbers(one.next_message(0.0)) == [3, 4]


def test_one_answer_ends_the_silence_of_a_message():
    """Else one order that takes long would hold back all that come after it."""
    one = batcher(*map(Item, range(1, 13)))
    assert numbers(one.next_message(0.0)) == [1, 2, 3, 4]
    assert numbers(one.next_message(0.0)) == [5, 6, 7, 8]
    one.answered(3)
    assert numbers(one.next_message(0.0)) == [9, 10, 11]  # as many as the window has room for


def test_patience_ends():
    one = batcher(Item(1), Item(2), Item(3), limits=LIMITS._replace(orders_max=1))
    one.next_message(0.0)
    one.next_message(0.25)
    assert one.held_until(0.5) == 1.0
    assert one.next_message(0.5) == []
    assert numbers(one.next_message(1.0)) == [3]


def test_nothing_keeps_back_an_idle_stream():
    assert batcher(Item(1)).held_until(0.0) is None


def test_a_message_has_at_most_so_many_bytes():
    one = batcher(Item(1, size=60), Item(2, size=40), Item(3, size=1))
    assert numbers(one.next_message(0.0)) == [1, 2]
    assert numbers(one.next_message(0.0)) == [3]


def test_what_is_larger_than_a_limit_leaves_alone():
    one = batcher(Item(1, size=500), Item(2), Item(3, lines=50), Item(4))
    assert numbers(one.next_message(0.0)) == [1]
    assert numbers(one.next_message(0.0)) == [2]
    one.answered(1)
    assert one.next_message(0.0) == []  # 50 lines are more than the window: not beside others
    one.answered(2)
    assert numbers(one.next_message(0.0)) == [3]
    assert one.next_message(0.0) == []
    one.answered(3)
    assert numbers(one.next_message(0.0)) == [4]


def test_what_nobody_waits_for_any_more_is_not_sent():
    one = batcher(Item(1, settled=True), Item(2), Item(3, settled=True))
    assert numbers(one.next_message(0.0)) == [2]
    assert one.next_message(0.0) == []


def test_a_broken_stream_gives_back_what_was_under_way_in_its_order():
    queue = deque(map(Item, range(1, 7)))
    one = Batcher(queue, LIMITS)
    one.next_message(0.0)
    one.next_message(0.0)
    queue.append(Item(7))
    one.answered(2)
    lost = one.break_off()
    queue.extendleft(reversed(lost))
    assert numbers(list(queue)) == [1, 3, 4, 5, 6, 7]
    assert one.answered(1) is None
    assert one.held_until(0.0) is None
    assert numbers(one.next_message(0.0)) == [1, 3, 4, 5]


class Streams(RuleBasedStateMachine):
    """Two streams that share a queue, a server that answers in any order, streams that break."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: deque[Item] = deque()
        self.streams = [Batcher(self.queue, LIMITS) for _ in range(2)]
        for each in self.streams:
            each.window_lines = 10
        self.sent: list[dict[int, Item]] = [{}, {}]
        self.added: dict[int, Item] = {}
        self.answered: set[int] = set()
        self.now = 0.0

    @rule(size=st.integers(1, 150), lines=st.integers(1, 15))
    def arrive(self, size: int, lines: int) -> None:
        item = Item(len(self.added) + 1, size, lines)
        self.added[item.number] = item
        self.queue.append(item)

    @rule(stream=st.integers(0, 1))
    def write(self, stream: int) -> None:
        idle = not self.sent[stream]
        message = self.streams[stream].next_message(self.now)
        assert len(message) <= LIMITS.orders_max
        assert len(message) <= 1 or sum(item.size for item in message) <= LIMITS.bytes_max
        self.sent[stream] |= {item.number: item for item in message}
        lines = sum(item.lines for item in self.sent[stream].values())
        assert len(self.sent[stream]) <= 1 or lines <= 10 or not message
        if idle and any(not item.settled for item in self.queue):
            assert message, "an idle stream held something back"

    @rule(stream=st.integers(0, 1), data=st.data())
    def answer(self, stream: int, data: st.DataObject) -> None:
        if self.sent[stream]:
            number = data.draw(st.sampled_from(sorted(self.sent[stream])))
            item = self.sent[stream].pop(number)
            assert self.streams[stream].answered(number) is item
            assert self.streams[stream].answered(number) is None
            self.answered.add(number)

    @rule(stream=st.integers(0, 1))
    def break_off(self, stream: int) -> None:
        lost = self.streams[stream].break_off()
        assert numbers(lost) == list(self.sent[stream])
        self.sent[stream].clear()
        self.queue.extendleft(reversed(lost))

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        if self.added:
            self.added[data.draw(st.sampled_from(sorted(self.added)))].settled = True

    @rule(seconds=st.floats(0.0, 2.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def every_order_is_in_one_place(self) -> None:
        places = [*(item.number for item in self.queue), *self.sent[0], *self.sent[1]]
        assert len(places) == len(set(places))
        somewhere = self.answered | set(places)
        assert all(item.settled for number, item in self.added.items() if number not in somewhere)

    def teardown(self) -> None:
        """A server that answers everything empties the queue."""
        while any(not item.settled for item in self.queue):
            self.now += LIMITS.patience_s
            self.write(0)
            for number in list(self.sent[0]):
                self.streams[0].answered(self.sent[0].pop(number).number)


TestStreams = Streams.TestCase
