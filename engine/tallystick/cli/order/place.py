"""`tally order place`: one order from options, or any number from a file."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import Any, NamedTuple, TextIO

import click
import msgspec

from tallystick.cli.errors import BadInput
from tallystick.cli.items import parse_adjustment, parse_line
from tallystick.cli.money import check_currency
from tallystick.cli.options import DURATION, Call, Parsed, Word, calls_node, examples, replicas_option
from tallystick.cli.order.bulk import place_many
from tallystick.cli.order.details import GivenDetails, details_options
from tallystick.cli.order.file import read_orders
from tallystick.cli.order.show import echo_placed, placed_json
from tallystick.cli.output import echo_json
from tallystick.cli.session import converse
from tallystick.client.ids import new_id
from tallystick.client.values.order import Adjustment, ConfirmWhen, Order, ShortageMode

CURRENCY = Parsed("currency", check_currency)


class Given(NamedTuple):
    """An order as given on the command line."""

    line: tuple[str, ...]
    untracked: tuple[str, ...]
    adjustment: tuple[str, ...]
    currency: str | None
    customer: str | None
    confirm_when: ConfirmWhen | None
    hold: timedelta | None
    partial: bool

    def is_empty(self) -> bool:
        return not any(value for name, value in self._asdict().items() if name != "currency")


@click.command(
    epilog=examples(
        "tally order place --currency EUR --line TEA=2:18.00",
        "tally order place --currency EUR --id o-1 --customer ada \\",
        "    --line TEA=2@berlin:18.00 --line CUP=1:7.50 --untracked POSTAGE=1:4.95 \\",
        "    --adjustment discount=-2.00 --confirm-when by-hand --hold 30m",
        "tally order get o-1 -o json | tally order place --file - --id o-2",
        "tally order place --file orders.jsonl -o jsonl > answers.jsonl",
        "tally order place --currency EUR --line TEA=2:18.00 --replicas 1",
        json='{"order": {"id", "state", "place_time", "hold_expire_time", "lines"}, "write": {…}}\n'
        '  {"answers": [{"number", "order", "write"} or {"number", "id", "error"}, …], "placed", …} for many',
    )
)
@click.option(
    "--line", multiple=True, metavar="LINE", help="SKU=QUANTITY[@LOCATION][:AMOUNT]; repeat it for more."
)
@click.option(
    "--untracked", multiple=True, metavar="LINE", help="A line that takes no stock: postage, services."
)
@click.option(
    "--adjustment", multiple=True, metavar="KIND=AMOUNT", help="discount, tax, shipping, fee or rounding."
)
@click.option(
    "--currency",
    type=CURRENCY,
    envvar="TALLY_CURRENCY",
    metavar="CODE",
    help="ISO 4217.  [env: TALLY_CURRENCY]",
)
@click.option(
    "--id", "order_id", metavar="ID", help="The order's id; drawn if absent. Placing it again is safe."
)
@click.option("--customer", metavar="NAME", help="Who buys.")
@click.option("--confirm-when", type=Word(ConfirmWhen), help="What turns the hold into a sale.  [on-placing]")
@click.option(
    "--hold", type=DURATION, metavar="DURATION", help="How long an unconfirmed order holds its stock.  [15m]"
)
@click.option("--partial", is_flag=True, help="Take what there is. Otherwise it is all lines or none.")
@details_options
@click.option("--file", type=click.File(encoding="utf-8"), metavar="FILE", help="Orders in JSON; - is stdin.")
@click.option("--id-prefix", default="", metavar="TEXT", help="With --file: number orders without an id.")
@replicas_option
@calls_node
def place(
    call: Call, order_id: str | None, file: TextIO | None, id_prefix: str, replicas: int, **options: Any
) -> None:
    """Place an order: sell its stock at once, or hold it until the order is confirmed.

    AMOUNT is what the whole line costs, in major units such as 18.00; without one it costs nothing. A sku may
    hold any sign: the last "=" ends it.

    A file holds one order as `tally order get -o json` prints it, an array of them, or one a line, with
    amounts in minor units (1800). Many are placed at once; a file in which every order has an id may be sent
    again safely.
    """
    given = Given(**{name: options.pop(name) for name in Given._fields})
    details = GivenDetails(**options)
    if file is None:
        place_one(call, order_from(given, details, order_id or new_id()), replicas)
        return
    if not given.is_empty() or not details.is_empty():
        raise click.UsageError(
            "--file has whole orders: of the options that describe one, only --id goes with it"
        )
    _place_file(call, file, order_id, id_prefix, replicas)


def order_from(given: Given, details: GivenDetails, order_id: str) -> Order:
    """The order that the options describe."""
    currency = given.currency
    if not currency:
        raise click.UsageError("--currency is missing: name one, as --currency EUR, or set TALLY_CURRENCY")
    if not given.line and not given.untracked:
        raise click.UsageError("an order has lines: name one with --line SKU=QUANTITY:AMOUNT, or take --file")
    try:
        lines = [parse_line(text, currency) for text in given.line]
        lines += [parse_line(text, currency, untracked=True) for text in given.untracked]
        adjustments: dict[str, Adjustment] = {}
        for text in given.adjustment:
            adjustment = parse_adjustment(text, currency, set(adjustments))
            adjustments[adjustment.adjustment_id] = adjustment
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return Order(
        id=order_id,
        currency=currency,
        lines=lines,
        adjustments=tuple(adjustments.values()),
        customer=given.customer or "",
        confirm_when=given.confirm_when or ConfirmWhen.ON_PLACING,
        hold=given.hold,
        shortage_mode=ShortageMode.PARTIAL if given.partial else ShortageMode.ALL_OR_NONE,
        details=details.details(),
    )


def place_one(call: Call, order: Order, replicas: int) -> None:
    """Place one order and say what became of it."""
    placed = converse(
        call, lambda client: client.place_order(order, replicas=replicas), ids=[(("--id",), order.id)]
    )
    if call.is_table:
        echo_placed(placed, order, replicas)
    else:
        echo_json(placed_json(placed), call.output)


def _place_file(call: Call, file: TextIO, order_id: str | None, id_prefix: str, replicas: int) -> None:
    """One order of a file is placed like one from options, several as a stream."""
    entries = read_orders(file, id_prefix)
    first = next(entries, None)
    if first is None:
        raise BadInput(f"{file.name} holds no order")
    second = next(entries, None)
    if second is not None:
        if order_id:
            raise click.UsageError("--id names one order, and the file holds several")
        raise click.exceptions.Exit(place_many(call, chain((first, second), entries), file, replicas))
    if first.order is None:
        raise BadInput(f"{file.name}: {first.problem}")
    order = msgspec.structs.replace(first.order, id=order_id) if order_id else first.order
    place_one(call, order, replicas)
