"""`tally sim`."""

from __future__ import annotations

import click

from tallystick.cli.lazy import Lazy, LazyGroup


def _exhaustive() -> click.Command:
    from tallystick.cli.sim_exhaustive import exhaustive

    return exhaustive


COMMANDS = (Lazy("exhaustive", "Walk every interleaving of small worlds.", _exhaustive),)


@click.group(cls=LazyGroup, table=COMMANDS)
def sim() -> None:
    """Try the engine in worlds of its own, in virtual time: no node is needed."""
