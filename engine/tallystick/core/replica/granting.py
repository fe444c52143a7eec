"""Tokens between replicas: what a node gives to one that asks, sends by a policy, and pays with what came in.

Nobody's row changes but our own, so each of these is safe with any view of the others, however late: it only
ever gives away rights that are here. None of them is refused for want of units: it does what it can, and an
outcome that could do nothing writes nothing. Requests may come twice; what is given twice is only rights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallystick.core.order.validate import check_item
from tallystick.core.replica.commands import GrantTokens, Rebalance, SettleStock
from tallystick.core.replica.keys import stock_key
from tallystick.core.replica.outcome import Now, Outcome
from tallystick.core.replica.tokens import may_have_tokens, send_tokens, spare_tokens
from tallystick.core.replica.view import View
from tallystick.core.stock.owing import settled
from tallystick.core.stock.rebalance import grant

if TYPE_CHECKING:
    from tallystick.core.replica.step import Replica


def grant_tokens(replica: Replica, command: GrantTokens, now: Now, view: View) -> Outcome:
    """Give a member what it asks for, as far as it is here, and something ahead if there is plenty.

    `Outcome.moved` says how many units; it is empty when none could be given.
    """
    check_item("grant", command.sku, command.location, replica.limits)
    key = stock_key(command.sku, command.location)
    spare = spare_tokens(view, replica.replica, key) - command.keep
    units = grant(command.asked, spare)
    return _send(replica, ((key, command.asker, units),), view)


def rebalance(replica: Replica, command: Rebalance, now: Now, view: View) -> Outcome:
    """Send what the policy found, as far as it is still here."""
    for sku, location, _, _ in command.moves:
        check_item("moves", sku, location, replica.limits)
    return _send(
        replica, tuple((stock_key(sku, place), to, units) for sku, place, to, units in command.moves), view
    )


def settle_stock(replica: Replica, command: SettleStock, now: Now, view: View) -> Outcome:
    """Burn against what is owed here what a peer has sent."""
    check_item("stock", command.sku, command.location, replica.limits)
    key = stock_key(command.sku, command.location)
    stock, me = view.stock_of(key), replica.replica
    after = settled(stock, me)
    if after is stock:
        return Outcome(stock=((key, stock),))
    view.put_stock(key, after)
    row, before = after.row(me), stock.row(me)
    paid = row.settled - before.settled + row.unminted - before.unminted
    return Outcome(stock=((key, after),), settled=paid)


def _send(replica: Replica, wanted: tuple[tuple[bytes, int, int], ...], view: View) -> Outcome:
    # Rows are worked out before the first write: a full counter refuses all of it.
    planned, me, moved = view.fork(), replica.replica, []
    for key, to, units in wanted:
        if to != me and may_have_tokens(view, to):
            sent = send_tokens(planned, me, key, to, units)
            moved += [(key, to, sent)] if sent else []
    view.adopt(planned)
    keys = dict.fromkeys(key for key, _, _ in moved)
    return Outcome(stock=tuple((key, view.stock_of(key)) for key in keys), moved=tuple(moved))
