"""Many coroutines at once, which fail like one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from tallystick.client import TallystickError


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises the first TallystickError itself, not a group of groups that holds it."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except* TallystickError as problems:
        raise _first_of(problems) from None


async def run_all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all, until all are done or one has failed."""
    async with together() as group:
        for each in work:
            group.create_task(each)


def _first_of(problems: BaseExceptionGroup[TallystickError]) -> TallystickError:
    inner = problems.exceptions[0]
    return _first_of(inner) if isinstance(inner, BaseExceptionGroup) else inner
