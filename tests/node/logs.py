"""What the code under test logs, kept for the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from structlog.testing import capture_logs

Logged = list[Any]


@contextmanager
def captured() -> Iterator[Logged]:
    """The logs of a block. Errors that the test has not taken out of the list fail it."""
    with capture_logs() as logs:
        yield logs
    assert [entry for entry in logs if entry["log_level"] in ("error", "critical")] == []


def take_errors(logs: Logged) -> list[str]:
    """Take the errors out, as expected; answers what they say."""
    errors = [entry for entry in logs if entry["log_level"] in ("error", "critical")]
    logs[:] = [entry for entry in logs if entry not in errors]
    return [entry["event"] for entry in errors]
