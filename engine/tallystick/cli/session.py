"""One command's conversation with a node: opens the SDK, runs the calls, turns failures into exits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tallystick.cli.errors import CommandFailed, Interrupted
from tallystick.cli.options import Call, Id
from tallystick.client import Client, Disposition, TallystickError, WriteResult

T = TypeVar("T")


def converse(call: Call, talk: Callable[[Client], Awaitable[T]], *, ids: Sequence[Id] | None = None) -> T:
    """Run `talk` with a client.

    `ids` are what makes repeating a write safe, and are read when it has failed; None for reads.
    """

    def again() -> str:
        return "" if ids is None else call.again(*ids)

    async def conversation() -> T:
        async with Client(call.target, timeout=call.timeout_s, actor=call.actor) as client:
            return await talk(client)

    try:
        return asyncio.run(conversation())
    except TallystickError as error:
        raise CommandFailed(error, call, again()) from error
    except KeyboardInterrupt:
        raise Interrupted(again()) from None


def written(write: WriteResult, replicas: int = 0) -> str:
    """What a person should know of how a write came about; usually nothing. `replicas` were asked for."""
    told = ["asked for before; nothing was written now"] if write.replayed else []
    told += ["recorded; the order's owner decides"] if write.disposition is Disposition.RECORDED else []
    told += [f"on {write.replicated_to} of {replicas} other disks"] if replicas else []
    return f" ({'; '.join(told)})" if told else ""
