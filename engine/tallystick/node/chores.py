"""Jobs that the node gives itself: nobody outside waits for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from tallystick.core.errors import Refused
from tallystick.core.replica.commands import Command
from tallystick.node.jobs import Commands, Job, Receipt, Result

log = structlog.get_logger("engine")

Then = Callable[[Result], None]


class Chore(Job):
    """One command. `then` hears in the engine thread, after the commit, what became of it."""

    __slots__ = ("_command", "_then")

    def __init__(self, command: Command, then: Then | None = None) -> None:
        self._command = command
        self._then = then

    def commands(self) -> Commands:
        return (self._command,)

    def answer(self, results: Sequence[Result], receipt: Receipt) -> None:
        (result,) = results
        if self._then is not None:
            self._then(result)
        elif isinstance(result, Refused):
            log.warning(
                "a chore was refused",
                command=type(self._command).__name__,
                reason=result.reason,
                message=result.message,
            )

    def deliver(self, answer: Any) -> None:
        """Nobody waits for it."""
