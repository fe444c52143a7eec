"""The exit codes of `tally`: stable, for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell sees in `$?`. Codes are never given another meaning."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    OUTCOME_UNKNOWN = 3
    UNREACHABLE = 4
    NOT_FOUND = 5
    NODE_FAULT = 6
    AUDIT_FAILED = 7
    BUG = 70
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.REFUSED: "refused; nothing happened",
    ExitCode.USAGE: "the command line, a file or a setting is wrong; nothing was sent",
    ExitCode.OUTCOME_UNKNOWN: "it may have happened; the message says how to repeat it safely",
    ExitCode.UNREACHABLE: "no node took it in time; nothing happened",
    ExitCode.NOT_FOUND: "no such order, line or item; nothing happened",
    ExitCode.NODE_FAULT: "the node failed, or could not start; nothing happened",
    ExitCode.AUDIT_FAILED: "an audit found something wrong; the output says what",
    ExitCode.BUG: "a fault within tally; a write under way may have happened",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C); a write under way may have happened",
    ExitCode.BROKEN_PIPE: "nobody reads the output any more; a write under way may have happened",
}

SEVERITY = (
    ExitCode.OUTCOME_UNKNOWN,
    ExitCode.UNREACHABLE,
    ExitCode.NODE_FAULT,
    ExitCode.NOT_FOUND,
    ExitCode.REFUSED,
    ExitCode.OK,
)
"""Of many answers, the one that a script must hear of comes first."""


def worst(codes: set[ExitCode]) -> ExitCode:
    """The exit code of a command that did many things."""
    return min(codes, key=SEVERITY.index, default=ExitCode.OK)
