"""The one door through which state changes: a table from commands to what handles them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tallystick.core.limits import Limits
from tallystick.core.replica import commands
from tallystick.core.replica.book import adjust_stock, move_tokens, receive_stock, set_overbooking
from tallystick.core.replica.change import (
    cancel_order,
    confirm_order,
    edit_order,
    expire_hold,
    extend_hold,
    record_payment,
)
from tallystick.core.replica.granting import grant_tokens, rebalance, settle_stock
from tallystick.core.replica.membership import admit, found, settle_in
from tallystick.core.replica.outcome import Now, Outcome
from tallystick.core.replica.place import place_order
from tallystick.core.replica.settling import settle_order
from tallystick.core.replica.view import View


@dataclass(frozen=True, slots=True)
class Replica:
    """One incarnation of a node, as far as rules are concerned.

    `client_id` names this process to the documents: drawn at every start, never used twice.
    """

    replica: int
    region: str
    client_id: int
    limits: Limits = field(default_factory=Limits)

    def step(self, command: commands.Command, now: Now, view: View) -> Outcome:
        """Do what `command` asks, in `view`; answer the entries for the frame.

        Raises core.errors.Refused before the first write, so that a refusal leaves the view as it was.
        """
        return _HANDLERS[type(command)](self, command, now, view)


_HANDLERS: Mapping[type, Callable[[Replica, Any, Now, View], Outcome]] = {
    commands.PlaceOrder: place_order,
    commands.ConfirmOrder: confirm_order,
    commands.ExtendHold: extend_hold,
    commands.RecordPayment: record_payment,
    commands.CancelOrder: cancel_order,
    commands.EditOrder: edit_order,
    commands.ExpireHold: expire_hold,
    commands.Settle: settle_order,
    commands.ReceiveStock: receive_stock,
    commands.AdjustStock: adjust_stock,
    commands.SetOverbooking: set_overbooking,
    commands.MoveTokens: move_tokens,
    commands.GrantTokens: grant_tokens,
    commands.Rebalance: rebalance,
    commands.SettleStock: settle_stock,
    commands.Found: found,
    commands.Admit: admit,
    commands.SettleIn: settle_in,
}
