"""Settling: an owner looks at what was recorded elsewhere about an order, and decides what is his."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallystick.core.order.facts import EMPTY_ORDER
from tallystick.core.replica.commands import Settle
from tallystick.core.replica.deciding import Desk, finish_order
from tallystick.core.replica.keys import order_key
from tallystick.core.replica.outcome import Now, Outcome
from tallystick.core.replica.view import View

if TYPE_CHECKING:
    from tallystick.core.replica.step import Replica


def settle_order(replica: Replica, command: Settle, now: Now, view: View) -> Outcome:
    """Answer rivals, wishes and payments that were recorded elsewhere, and end a hold that only a rival has
    kept from ending; write nothing if nothing is open.

    Never refuses: a wish that can't be done is declined, and a decision that finds a counter full stays open
    (`Outcome.left_open` says why).
    """
    record = view.order(order_key(command.order_id))
    desk = Desk(replica.replica, now, expiring=True, settling=True)
    return finish_order(command.order_id, record, EMPTY_ORDER, view, desk)
