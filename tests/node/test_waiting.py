"""What waits for tokens, on times that the test gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallystick.core.replica.commands import Command, Found, ReceiveStock
from tallystick.node.jobs import Commands, Job, Receipt, Result
from tallystick.node.waiting import MARGIN_S, TOKENS_S, Waiting, Work
from tallystick.store.memory import MemoryBackend
from tests.node.driving import NODE, Clock, make_driver, open_memory
from tests.node.workload import sale

TEA = b"TEA\0"


class Placing(Job):
    """An order whose caller may have a deadline."""

    def __init__(self, *commands: Command, deadline: float | None = None) -> None:
        self._commands = commands
        self.given = deadline

    @property
    def deadline(self) -> float | None:
        return self.given

    def commands(self) -> Commands:
        return self._commands

    def answer(self, results: Sequence[Result], receipt: Receipt) -> Any:
        return list(results)

    def deliver(self, answer: Any) -> None:
        """Nobody asked."""


def test_an_order_that_is_tried_again_and_again_is_given_up_all_the_same():
    """It remembers orders of a stream, which have no deadline: each trial gave them ten seconds more, and
    their callers, who had given up, did not know what had become of them."""
    waiting = Waiting()
    work = Work(Placing(), ())
    now = 100.0
    while not (over := waiting.expired(now)):
        for again in waiting.take(TEA) or [work]:
            waiting.for_tokens(again, {TEA: 1}, {TEA: 1}, now)
        now += 0.25
        assert now <= 100.0 + TOKENS_S + 0.25
    assert now >= 100.0 + TOKENS_S
    assert [each.last for each in over] == [True]


def test_an_order_is_answered_before_its_deadline():
    waiting = Waiting()
    waiting.for_tokens(Work(Placing(deadline=101.0), ()), {TEA: 1}, {TEA: 1}, 100.0)
    assert waiting.expired(101.0 - MARGIN_S - 0.01) == []
    assert len(waiting.expired(101.0 - MARGIN_S)) == 1


def test_an_order_that_was_given_up_is_not_placed_when_tokens_come():
    """Its caller's next attempt may have been refused meanwhile: he takes it for certain that there is no
    such order."""
    now = [100.0]
    driver = make_driver(open_memory(MemoryBackend()), Clock(), monotonic=lambda: now[0])
    driver.turn([Placing(Found("eu"))], [])
    order = sale("o-1", 1, "TEA")
    given_up = Placing(order)
    driver.waiting.for_tokens(Work(given_up, (order,)), {TEA: 1}, {TEA: 1}, now[0])
    given_up.given = 0.0  # the stream that it came over is gone
    driver.turn([Placing(ReceiveStock("r-1", NODE, (("TEA", "", 1),)))], [])
    now[0] += TOKENS_S
    head = driver.head
    ((_, (result,)),) = driver.turn([], []).answers
    assert result.reason == "NOT_STARTED"
    assert driver.head == head
