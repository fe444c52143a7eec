"""What waits for tokens, on times that the test gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallystick.node.jobs import Commands, Job, Receipt, Result
from tallystick.node.waiting import MARGIN_S, TOKENS_S, Waiting, Work

TEA = b"TEA\0"


class Placing(Job):
    """An order whose caller may have a deadline."""

    def __init__(self, deadline: float | None = None) -> None:
        self._deadline = deadline

    @property
    def deadline(self) -> float | None:
        return self._deadline

    def commands(self) -> Commands:
        return ()

    def answer(self, results: Sequence[Result], receipt: Receipt) -> Any:
        return None

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
            waiting.for_tokens(again, {TEA: 1}, now)
        now += 0.25
        assert now <= 100.0 + TOKENS_S + 0.25
    assert now >= 100.0 + TOKENS_S
    assert [each.last for each in over] == [True]


def test_an_order_is_answered_before_its_deadline():
    waiting = Waiting()
    waiting.for_tokens(Work(Placing(deadline=101.0), ()), {TEA: 1}, 100.0)
    assert waiting.expired(101.0 - MARGIN_S - 0.01) == []
    assert len(waiting.expired(101.0 - MARGIN_S)) == 1
