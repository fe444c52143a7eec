"""Callers of a simulated node: what they ask, how they want to be answered, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tallystick.core.errors import Refused
from tallystick.core.replica.commands import Command
from tallystick.core.replica.outcome import Outcome
from tallystick.node.jobs import Job, Receipt, Result


class Wishes(NamedTuple):
    """How a caller wants to be answered. `deadline_ms` from when it asks; 0: none."""

    deadline_ms: float = 5_000.0
    replicas: int = 0
    tokens: bool = True
    decision: bool = False


class Answer(NamedTuple):
    """What a turn says to a call about some of its commands, by their places."""

    places: tuple[int, ...]
    results: Sequence[Result]
    receipt: Receipt


class Call(Job):
    """A caller's job: some commands, and what it came to."""

    __slots__ = ("_deadline", "_parts", "_waits", "answered", "asked", "node", "receipts", "results")

    def __init__(self, asked: Sequence[Command], wishes: Wishes, deadline: float | None) -> None:
        self.asked = tuple(asked)
        self.node = 0
        self.results: dict[int, Result] = {}
        self.receipts: dict[int, Receipt] = {}
        self.answered = 0
        """How many answers came: one for each command at the end, never more."""
        self._waits = wishes
        self._deadline = deadline

    @property
    def deadline(self) -> float | None:
        return self._deadline

    @property
    def replicas(self) -> int:
        return self._waits.replicas

    @property
    def waits_for_decision(self) -> bool:
        return self._waits.decision

    @property
    def waits_for_tokens(self) -> bool:
        return self._waits.tokens

    @property
    def done(self) -> bool:
        """Whether every command has its answer."""
        return self.answered >= len(self.asked)

    def commands(self) -> Sequence[Command]:
        return self.asked

    def answer(self, results: Sequence[Result], receipt: Receipt) -> Any:
        return Answer(tuple(range(len(self.asked))), results, receipt)

    def deliver(self, answer: Any) -> None:
        if isinstance(answer, Refused):
            raise AssertionError(f"a bug in answering: {answer.message}")
        for place, result in zip(answer.places, answer.results, strict=True):
            self.answered += 1
            self.results[place] = result
            self.receipts[place] = answer.receipt

    def part(self, places: Sequence[int]) -> Job:
        return _Part(self, tuple(places)) if len(self.asked) > 1 else self

    @property
    def outcome(self) -> Outcome:
        """Of the one command, which must have been carried out."""
        result = self.results[0]
        assert isinstance(result, Outcome), result
        return result


class _Part(Call):
    """Some of a call's commands, to be answered by themselves."""

    __slots__ = ("_places", "_whole")

    def __init__(self, whole: Call, places: tuple[int, ...]) -> None:
        super().__init__([whole.asked[place] for place in places], whole._waits, whole.deadline)
        self._whole = whole
        self._places = places

    def answer(self, results: Sequence[Result], receipt: Receipt) -> Any:
        return Answer(self._places, results, receipt)

    def deliver(self, answer: Any) -> None:
        self._whole.deliver(answer)

    def part(self, places: Sequence[int]) -> Job:
        return _Part(self._whole, tuple(self._places[place] for place in places))
