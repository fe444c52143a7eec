"""`tally sim`."""

from __future__ import annotations

import click

from tallystick.cli.lazy import Lazy, LazyGroup


def _exhaustive() -> click.Command:
    from tallystick.cli.sim_exhaustive import exhaustive

    return exhaustive


def _what_if() -> click.Command:
    from tallystick.cli.sim_what_if import what_if

    return what_if


COMMANDS = (
    Lazy("exhaustive", "Walk every interleaving of small worlds.", _exhaustive),
    Lazy("what-if", "Play a sale under each policy, and compare.", _what_if),
)


@click.group(cls=LazyGroup, table=COMMANDS)
def sim() -> None:
    """Try the engine in worlds of its own, in virtual time: no node is needed."""
