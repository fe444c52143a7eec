"""Waiting for what peers write to be on disk here."""

from __future__ import annotations

import asyncio

from tallystick.core.replica.commands import ReceiveStock
from tests.node.driving import NODE, PATIENCE_S, driving


async def test_what_came_before_it_was_waited_for_is_not_waited_for():
    """A read with a token looked, then asked to be woken: what was committed in between woke nobody."""
    async with driving() as driven:
        seen = driven.driver.vector
        await driven.ask(ReceiveStock("r-1", NODE, (("tea", "", 1),)))
        async with asyncio.timeout(PATIENCE_S / 2):
            await driven.engine.progress(seen, PATIENCE_S)
