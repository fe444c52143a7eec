"""Groups whose commands are imported when they are called: `tally --help` loads no gRPC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

ARGUMENTS = "tallystick.cli.arguments"
"""Where a context's meta keeps what was typed after `tally`, for the advice how to repeat it."""


class Lazy(NamedTuple):
    """A command by the function that imports it. `help` is its one line in the list of commands."""

    name: str
    help: str
    load: Callable[[], click.Command]


class LazyGroup(click.Group):
    """A group made of a static table. Listing and completing names read the table alone."""

    def __init__(self, *args: Any, table: Sequence[Lazy], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = {entry.name: entry for entry in table}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta.setdefault(ARGUMENTS, list(args))
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.table.get(cmd_name)
        return entry.load() if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.table and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.help) for entry in self.table.values()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        named = [
            CompletionItem(entry.name, help=entry.help)
            for entry in self.table.values()
            if entry.name.startswith(incomplete)
        ]
        return named + click.Command.shell_complete(self, ctx, incomplete)
