"""`tally order pay`, `confirm`, `extend`, `cancel`, `edit`: each with an id that makes repeating it safe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import click

from tallystick.cli.items import parse_line_quantity
from tallystick.cli.money import format_amount, parse_amount
from tallystick.cli.options import (
    DURATION,
    Call,
    Id,
    Parsed,
    Word,
    calls_node,
    examples,
    request_id_option,
    wait_option,
)
from tallystick.cli.order.details import GivenDetails, details_options
from tallystick.cli.order.place import CURRENCY
from tallystick.cli.order.show import still_open
from tallystick.cli.output import echo_json, local_time, plain
from tallystick.cli.session import converse, written
from tallystick.client import Client
from tallystick.client.edits import EditValue
from tallystick.client.ids import new_id
from tallystick.client.values.order import OrderState, Payment, PaymentKind
from tallystick.client.values.write import OrderChange

LINE_QUANTITY = Parsed("line", parse_line_quantity)
_CHANGE = '{"order": Order, "write": {"disposition", "replayed", "replicated_to", "consistency_token"}}'
_PAYMENT_NAMES = ("--payment-id", "--request-id")


@click.command(
    epilog=examples(
        "tally order pay o-1 18.00",
        "tally order pay o-1 18.00 --kind authorized --payment-id pi_3Nx --reference stripe",
        json=_CHANGE,
    )
)
@click.argument("order_id", metavar="ORDER_ID")
@click.argument("amount", metavar="AMOUNT")
@click.option(
    "--kind", type=Word(PaymentKind), default=PaymentKind.CAPTURED, help="What the provider said.  [captured]"
)
@click.option("--currency", type=CURRENCY, metavar="CODE", help="ISO 4217; the order's own if absent.")
@click.option("--reference", default="", metavar="TEXT", help="The provider's name for it.")
@request_id_option("--payment-id", what="payment")
@wait_option
@calls_node
def pay(
    call: Call,
    order_id: str,
    amount: str,
    kind: PaymentKind,
    currency: str | None,
    reference: str,
    request_id: str | None,
    wait: bool,
) -> None:
    """Record a payment: AMOUNT in major units, such as 18.00."""
    payment_id = request_id or new_id()

    async def talk(client: Client) -> OrderChange:
        # The minor unit is the currency's: 18 are 1800 cents, and 18 yen.
        known = currency or (await client.get_order(order_id)).currency
        payment = Payment(
            payment_id=payment_id,
            kind=kind,
            amount=_minor(amount, known),
            currency=known,
            reference=reference,
        )
        return await client.record_payment(order_id, payment, wait_for_decision=wait)

    _change(call, talk, (_PAYMENT_NAMES, payment_id))


def _minor(amount: str, currency: str) -> int:
    try:
        return parse_amount(amount, currency)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'AMOUNT'") from error


@click.command(
    epilog=examples("tally order confirm o-1", "tally order confirm o-1 --wait --timeout 5s", json=_CHANGE)
)
@click.argument("order_id", metavar="ORDER_ID")
@request_id_option()
@wait_option
@calls_node
def confirm(call: Call, order_id: str, request_id: str | None, wait: bool) -> None:
    """Turn an order's hold into a sale."""
    asked = request_id or new_id()
    _change(
        call,
        lambda client: client.confirm_order(order_id, request_id=asked, wait_for_decision=wait),
        _id(asked),
    )


@click.command(epilog=examples("tally order extend o-1 --hold 1h", json=_CHANGE))
@click.argument("order_id", metavar="ORDER_ID")
@click.option("--hold", type=DURATION, metavar="DURATION", help="10s to 30d, from now.  [15m]")
@request_id_option()
@wait_option
@calls_node
def extend(call: Call, order_id: str, hold: timedelta | None, request_id: str | None, wait: bool) -> None:
    """Give an order's hold more time, counted from now."""
    asked = request_id or new_id()
    _change(
        call,
        lambda client: client.extend_hold(order_id, hold, request_id=asked, wait_for_decision=wait),
        _id(asked),
    )


@click.command(
    epilog=examples(
        "tally order cancel o-1 --reason 'changed my mind'",
        "tally order cancel o-1 --line 2 --line 3=1",
        json=_CHANGE,
    )
)
@click.argument("order_id", metavar="ORDER_ID")
@click.option(
    "--line",
    type=LINE_QUANTITY,
    multiple=True,
    metavar="LINE_ID[=QUANTITY]",
    help="Only this line, or so many units of it; repeat it for more.",
)
@click.option("--reason", default="", metavar="TEXT", help="Why, for the history.")
@request_id_option()
@wait_option
@calls_node
def cancel(
    call: Call,
    order_id: str,
    line: tuple[tuple[str, int], ...],
    reason: str,
    request_id: str | None,
    wait: bool,
) -> None:
    """Cancel an order, or lines of it. An id that was not placed yet can be cancelled too."""
    asked = request_id or new_id()
    lines = dict(line)
    if len(lines) < len(line):
        raise click.UsageError("--line names a line twice")
    _change(
        call,
        lambda client: client.cancel_order(
            order_id, lines or None, reason, request_id=asked, wait_for_decision=wait
        ),
        _id(asked),
    )


@click.command(
    epilog=examples(
        "tally order edit o-1 --note 'leave it at the door' --ship-to city=Berlin",
        "tally order edit o-1 --tag gift --tag urgent --attribute wrap=red --clear phone",
        json=_CHANGE,
    )
)
@click.argument("order_id", metavar="ORDER_ID")
@details_options
@click.option("--clear", multiple=True, metavar="FIELD", help="Empty a field: note, tags, attributes.wrap, …")
@click.option(
    "--etag", default="", metavar="ETAG", help="Refuse if the details were edited since this was read."
)
@request_id_option()
@calls_node
def edit(
    call: Call, order_id: str, clear: tuple[str, ...], etag: str, request_id: str | None, **given: Any
) -> None:
    """Change an order's details. Edits in several regions at once are merged.

    --tag names the whole set of tags; every other option changes its own field alone.
    """
    asked = request_id or new_id()
    changes: dict[str, EditValue] = dict(GivenDetails(**given).changes())
    if set(clear) & set(changes):
        raise click.UsageError("--clear names a field that another option sets")
    changes |= dict.fromkeys(clear)
    if not changes:
        raise click.UsageError("nothing to change: name a field, as --note TEXT or --clear note")
    _change(
        call, lambda client: client.edit_order(order_id, changes, etag=etag, request_id=asked), _id(asked)
    )


def _id(request_id: str) -> Id:
    return ("--request-id",), request_id


def _change(call: Call, talk: Callable[[Client], Awaitable[OrderChange]], *ids: Id) -> None:
    """Write, and print where the order stands after it."""
    change = converse(call, talk, ids=ids)
    if not call.is_table:
        echo_json({"order": plain(change.order), "write": plain(change.write)}, call.output)
        return
    order = change.order
    parts = [f"order {order.id} {order.state.value}"]
    if order.state is OrderState.HELD and order.hold_expire_time:
        parts.append(f"until {local_time(order.hold_expire_time)}")
    if order.state is OrderState.UNPLACED:
        parts.append("and cancelled as soon as it is placed")
    for name, minor in (("still open", still_open(order)), ("refund due", order.payment.refund_due)):
        if minor:
            parts.append(f"{name} {format_amount(minor, order.currency)}")
    click.echo(", ".join(parts) + written(change.write))
