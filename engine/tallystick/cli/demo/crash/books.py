"""The books of a sale with a crash in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tallystick.cli.demo.books import Books


@dataclass
class CrashBooks(Books):
    """Books that know what was acknowledged when the server died."""

    acknowledged_before_kill: frozenset[str] = frozenset()

    def server_killed(self) -> None:
        """From here on, what was acknowledged so far has to survive."""
        self.acknowledged_before_kill = frozenset(self.acknowledged)
