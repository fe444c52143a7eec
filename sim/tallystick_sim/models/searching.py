"""Breadth-first search through all that can happen in a small world."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

S = TypeVar("S", bound=Hashable)


def search(
    first: S, steps: Callable[[S], Iterable[tuple[str, S]]], broken: Callable[[S], str]
) -> tuple[int, str, list[str]]:
    """(states visited, the broken promise or nothing, the shortest story that breaks it)."""
    came: dict[S, tuple[str, S | None]] = {first: ("", None)}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        problem = broken(state)
        if problem:
            story, at = [], state
            while (origin := came[at][1]) is not None:
                story.append(came[at][0])
                at = origin
            return len(came), problem, story[::-1]
        for name, after in steps(state):
            if after not in came:
                came[after] = (name, state)
                waiting.append(after)
    return len(came), "", []
