"""What ends a demo early."""

from __future__ import annotations

import click

from tallystick.cli.exit_codes import ExitCode


class SaleFailed(click.ClickException):
    """The sale could not be played to its end."""

    exit_code = ExitCode.NODE_FAULT
