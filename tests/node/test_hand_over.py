"""Between two commits: callers have the answers of one before the next begins."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event

import pytest

from tallystick.core.replica.commands import Command, ReceiveStock
from tallystick.node.jobs import Receipt, Result
from tests.node.driving import NODE, PATIENCE_S, Answered, Asked, Driven, driving
from tests.node.workload import sale

ENOUGH = 4
"""Answers of one commit that are worth waiting for."""


class Held(Asked):
    """A job that keeps the engine busy until it may go on."""

    def __init__(self) -> None:
        super().__init__(sale("held", 1))
        self.may_go_on = Event()

    def commands(self) -> Sequence[Command]:
        assert self.may_go_on.wait(PATIENCE_S)
        return super().commands()


def submit_together(driven: Driven, first: Asked) -> None:
    """Have `first` done in one commit with as many as are waited for."""
    held = Held()
    driven.engine.submit(held)
    driven.engine.submit(first)
    for number in range(1, ENOUGH):
        driven.engine.submit(Asked(sale(f"beside-{number}", 1)))
    held.may_go_on.set()


class First(Asked):
    """A job during whose commit another one comes in."""

    def __init__(self, driven: Driven, then: Asked) -> None:
        super().__init__(sale("first", 1))
        self._driven, self._then = driven, then

    def answer(self, results: Sequence[Result], receipt: Receipt) -> Answered:
        self._driven.engine.submit(self._then)
        return super().answer(results, receipt)


@pytest.fixture
async def driven():
    async with driving() as engine:
        await engine.do(ReceiveStock("r-1", NODE, (("tea", "", 100),)))
        yield engine


async def test_what_answers_bring_in_goes_with_what_came_in_before(driven):
    """Else commits are many and small, and every one costs as much as a large one."""
    early, late = Asked(sale("early", 1)), Asked(sale("late", 1))
    first = First(driven, early)
    first.done.add_done_callback(lambda _: driven.engine.submit(late))
    submit_together(driven, first)
    assert (await early.done).receipt.hlc == (await late.done).receipt.hlc > (await first.done).receipt.hlc


async def test_a_busy_loop_holds_up_no_commit(driven):
    """The loop has its hands full until the engine has begun the next commit."""
    begun = Event()

    class Second(Asked):
        def commands(self) -> Sequence[Command]:
            begun.set()
            return super().commands()

    class Slow(First):
        def deliver(self, answer: Answered) -> None:
            assert begun.wait(PATIENCE_S)
            super().deliver(answer)

    second = Second(sale("second", 1))
    slow = Slow(driven, second)
    submit_together(driven, slow)
    assert (await slow.done).receipt.hlc < (await second.done).receipt.hlc
