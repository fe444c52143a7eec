"""`tally order get`, `list`, `events`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from tallystick.cli.listing import limit_option, listed, page_size
from tallystick.cli.options import Call, Parsed, Word, calls_node, examples, token_option
from tallystick.cli.order.show import echo_events, echo_order, echo_orders
from tallystick.cli.output import echo_json, plain
from tallystick.cli.parsing import Moment, parse_moment
from tallystick.cli.session import converse
from tallystick.client import Client
from tallystick.client.values.order import OrderState

MOMENT = Parsed("time", parse_moment)


@click.command(
    epilog=examples(
        "tally order get o-1", "tally order get o-1 -o json | jq -r .order.state", json='{"order": Order}'
    )
)
@click.argument("order_id", metavar="ORDER_ID")
@token_option
@calls_node
def get(call: Call, order_id: str, token: bytes | None) -> None:
    """Show an order: where it stands, its lines, its money."""
    order = converse(call, lambda client: client.get_order(order_id, consistency_token=token))
    if call.is_table:
        echo_order(order)
    else:
        echo_json({"order": plain(order)}, call.output)


@click.command(
    "list",
    epilog=examples(
        "tally order list",
        "tally order list --customer ada --state held",
        "tally order list --from 24h --limit 0 -o jsonl > orders.jsonl",
        "tally order list --from 2026-03-01 --until 2026-04-01",
        json='{"orders": [Order, …]}; with -o jsonl one Order a line, as they come',
    ),
)
@click.option("--customer", metavar="NAME", help="Only this customer's.")
@click.option("--state", type=Word(OrderState), help="Only those in this state.")
@click.option(
    "--from", "placed_from", type=MOMENT, metavar="TIME", help="Placed then or later: ISO 8601, or 24h (ago)."
)
@click.option("--until", "placed_until", type=MOMENT, metavar="TIME", help="Placed before then.")
@limit_option
@token_option
@calls_node
def list_(
    call: Call,
    customer: str | None,
    state: OrderState | None,
    placed_from: Moment | None,
    placed_until: Moment | None,
    limit: int,
    token: bytes | None,
) -> None:
    """List orders, newest first."""
    now = datetime.now(UTC)
    listed(
        call,
        lambda client: client.list_orders(
            customer=customer or "",
            state=state,
            placed_from=placed_from.resolve(now) if placed_from else None,
            placed_until=placed_until.resolve(now) if placed_until else None,
            page_size=page_size(limit),
            consistency_token=token,
        ),
        name="orders",
        limit=limit,
        show=echo_orders,
    )


@click.command(
    epilog=examples("tally order events o-1", json='{"events": [OrderEvent, …]}; jsonl: one a line')
)
@click.argument("order_id", metavar="ORDER_ID")
@limit_option
@token_option
@calls_node
def events(call: Call, order_id: str, limit: int, token: bytes | None) -> None:
    """Show everything that ever happened to an order, oldest first."""
    currency = ""

    async def learn_currency(client: Client) -> None:
        nonlocal currency
        currency = (await client.get_order(order_id)).currency

    listed(
        call,
        lambda client: client.list_order_events(
            order_id, page_size=page_size(limit), consistency_token=token
        ),
        name="events",
        limit=limit,
        show=lambda rows: echo_events(rows, currency),
        prepare=learn_currency,
    )
