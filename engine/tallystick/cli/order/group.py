"""`tally order`."""

from __future__ import annotations

import click

from tallystick.cli.order import read, write
from tallystick.cli.order.place import place


@click.group()
def order() -> None:
    """Place, pay, confirm, change, cancel and read orders."""


for command in (
    *(place, read.get, read.list_, read.events),
    *(write.pay, write.confirm, write.extend, write.cancel, write.edit),
):
    order.add_command(command)
