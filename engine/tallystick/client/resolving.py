"""What several nodes together know of an order whose outcome is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from tallystick.client.errors import DefiniteError, OrderNotFound, OutcomeUnknown
from tallystick.client.fleet import put_away
from tallystick.client.values.order import Order, OrderState


async def resolve(order_id: str, asking: Iterable[Coroutine[Any, Any, Order]]) -> Order | None:
    """The order, as soon as one who is asked has it; None if none has.

    Raises what hindered the last if none could be asked, OutcomeUnknown if only some could and have it not.
    """
    tasks = pending = {asyncio.ensure_future(each) for each in asking}
    absent = False
    hindered: DefiniteError | None = None
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                try:
                    order = task.result()
                except OrderNotFound:
                    absent = True
                except DefiniteError as error:
                    hindered = error
                else:
                    if order.state is not OrderState.UNPLACED:
                        return order
                    absent = True
    finally:
        await put_away(tasks)
    if hindered is None:
        return None
    if not absent:
        raise hindered
    raise OutcomeUnknown(
        f"it is not where it could be asked for, and not everybody could be: {hindered}",
        request_id=order_id,
        order_id=order_id,
    ) from hindered
