"""Requests that were carried out before: they are answered from what is on disk, even where nothing can be
written."""

from __future__ import annotations

from tallystick.core.errors import Refused
from tallystick.core.replica.commands import Command
from tallystick.core.replica.outcome import Now
from tallystick.core.replica.step import Replica
from tallystick.core.replica.view import View
from tallystick.node.jobs import Result
from tallystick.node.source import StoreSource


def answer_known(
    command: Command | Refused, now: Now, replica: Replica, source: StoreSource, otherwise: Refused
) -> Result:
    """The answer to what was done before; `otherwise` to all that would write. Raises CorruptRecord."""
    if isinstance(command, Refused):
        return command
    try:
        outcome = replica.step(command, now, View(source))
    except Refused:
        return otherwise
    return otherwise if outcome.writes else outcome
