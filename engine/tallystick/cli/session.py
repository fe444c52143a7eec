"""One command's conversation with a node: opens the SDK, runs the calls, turns failures into exits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tallystick.cli.errors import CommandFailed, Interrupted
from tallystick.cli.options import Call
from tallystick.client import Client, TallystickError

T = TypeVar("T")


def converse(call: Call, talk: Callable[[Client], Awaitable[T]], *, again: str = "") -> T:
    """Run `talk` with a client. `again` is the command that repeats a write safely; empty for reads."""

    async def conversation() -> T:
        async with Client(call.target, timeout_s=call.timeout_s, actor=call.actor) as client:
            return await talk(client)

    try:
        return asyncio.run(conversation())
    except TallystickError as error:
        raise CommandFailed(error, call, again) from error
    except KeyboardInterrupt:
        raise Interrupted(again) from None
