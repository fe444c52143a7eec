"""`tally stock`: receive, correct, read, who may sell how much of it, and how far to overbook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import click

from tallystick.cli.items import parse_item
from tallystick.cli.listing import limit_option, listed, page_size
from tallystick.cli.options import Call, F, Parsed, calls_node, examples, request_id_option, token_option
from tallystick.cli.output import (
    column,
    echo_fields,
    echo_json,
    echo_table,
    local_time,
    number,
    plain,
    rough_length,
)
from tallystick.cli.parsing import parse_weight
from tallystick.cli.session import converse, written
from tallystick.client import Client, ItemTokens, Stock, StockChange, StockQuantity, new_id

ITEM = Parsed("item", parse_item)
SHARE = Parsed("share", parse_weight)
_STOCK = "Stock has sku, location, on_hand, reserved, sold, available_here, available_elsewhere, owed, …"
_CHANGE = f'{{"stock": [Stock, …], "write": {{"replayed", …}}}}; {_STOCK}'


@click.group()
def stock() -> None:
    """Receive, correct, move and read stock.

    An item is a sku, or a sku at a location: TEA=40 are 40 units of TEA, TEA=40@berlin those in Berlin.
    """


def node_option(function: F) -> F:
    return click.option(
        "--node", metavar="ID", help="The node that the goods lie at; the target itself if absent."
    )(function)


@stock.command(
    epilog=examples(
        "tally stock receive TEA=40 CUP=12",
        "tally stock receive TEA=40@berlin --receipt-id delivery-4711",
        "tally stock receive TEA=40 --split 3f9c01ab27de=3 --split 77b0e9d2c415=1",
        json=_CHANGE,
    )
)
@click.argument("items", type=ITEM, nargs=-1, required=True, metavar="SKU=QUANTITY[@LOCATION]...")
@click.option(
    "--split",
    type=SHARE,
    multiple=True,
    metavar="NODE=WEIGHT",
    help="Share the right to sell them over nodes, by weight; repeat it for more.  [all stays here]",
)
@request_id_option("--receipt-id", what="receipt")
@node_option
@calls_node
def receive(
    call: Call,
    items: tuple[StockQuantity, ...],
    split: tuple[tuple[str, int], ...],
    request_id: str | None,
    node: str | None,
) -> None:
    """Book goods in. The same receipt id is never counted twice."""
    receipt_id = request_id or new_id()
    shares = dict(split)
    if len(shares) < len(split):
        raise click.UsageError("--split names a node twice")
    _change(
        call,
        ("--receipt-id", "--request-id"),
        receipt_id,
        node,
        lambda client, at: client.receive_stock(items, node=at, receipt_id=receipt_id, split=shares),
    )


@stock.command(
    epilog=examples(
        "tally stock adjust TEA=-3 --reason 'water damage'",
        "tally stock adjust TEA=+1@berlin --reason counted",
        json=_CHANGE,
    )
)
@click.argument("items", type=ITEM, nargs=-1, required=True, metavar="SKU=±QUANTITY[@LOCATION]...")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the history.")
@request_id_option("--adjustment-id", what="adjustment")
@node_option
@calls_node
def adjust(
    call: Call, items: tuple[StockQuantity, ...], reason: str, request_id: str | None, node: str | None
) -> None:
    """Correct stock, up or down. What is missing and already sold stays visible as owed."""
    adjustment_id = request_id or new_id()
    _change(
        call,
        ("--adjustment-id", "--request-id"),
        adjustment_id,
        node,
        lambda client, at: client.adjust_stock(items, node=at, adjustment_id=adjustment_id, reason=reason),
    )


@stock.command(
    epilog=examples(
        "tally stock policy TEA --overbooking-limit 5",
        "tally stock policy TEA --overbooking-limit 0",
        json=_CHANGE,
    )
)
@click.argument("sku", metavar="SKU")
@click.option("--location", default="", metavar="NAME", help="Where the item lies.")
@click.option(
    "--overbooking-limit",
    type=click.IntRange(min=0),
    required=True,
    metavar="UNITS",
    help="How many units this node may sell beyond what was received.",
)
@request_id_option()
@node_option
@calls_node
def policy(
    call: Call, sku: str, location: str, overbooking_limit: int, request_id: str | None, node: str | None
) -> None:
    """Say how far a node may sell beyond what is there. Each node has its own limit; they add up."""
    policy_id = request_id or new_id()
    _change(
        call,
        ("--request-id",),
        policy_id,
        node,
        lambda client, at: client.set_stock_policy(
            sku, location=location, overbooking_limit=overbooking_limit, node=at, request_id=policy_id
        ),
    )


@stock.command(
    epilog=examples("tally stock get TEA", "tally stock get TEA --location berlin", json='{"stock": Stock}')
)
@click.argument("sku", metavar="SKU")
@click.option("--location", default="", metavar="NAME", help="Where the item lies.")
@token_option
@calls_node
def get(call: Call, sku: str, location: str, token: bytes | None) -> None:
    """Show an item: what is there, held, sold, and may still be sold."""
    item = converse(call, lambda client: client.get_stock(sku, location, consistency_token=token))
    if call.is_table:
        echo_fields(_fields(item))
    else:
        echo_json({"stock": plain(item)}, call.output)


@stock.command(
    "list",
    epilog=examples(
        "tally stock list",
        "tally stock list --prefix TEA- --limit 0 -o jsonl",
        json=f'{{"stock": [Stock, …]}}; jsonl: one Stock a line. {_STOCK}',
    ),
)
@click.option("--prefix", default="", metavar="TEXT", help="Only skus that begin with this.")
@limit_option
@token_option
@calls_node
def list_(call: Call, prefix: str, limit: int, token: bytes | None) -> None:
    """List items by sku and location."""
    listed(
        call,
        lambda client: client.list_stock(
            sku_prefix=prefix, page_size=page_size(limit), consistency_token=token
        ),
        name="stock",
        limit=limit,
        show=_echo_stock,
    )


@stock.command(
    epilog=examples(
        "tally stock move TEA=10 --to 77b0e9d2c415",
        "tally stock move TEA=10@berlin CUP=4 --to 77b0e9d2c415 --request-id evening-1",
        json=_CHANGE,
    )
)
@click.argument("items", type=ITEM, nargs=-1, required=True, metavar="SKU=UNITS[@LOCATION]...")
@click.option("--to", required=True, metavar="NODE", help="The node that may sell them then.")
@request_id_option()
@click.option("--node", metavar="ID", help="The node that gives; the target itself if absent.")
@calls_node
def move(
    call: Call, items: tuple[StockQuantity, ...], to: str, request_id: str | None, node: str | None
) -> None:
    """Give another node the right to sell units. The goods stay where they are.

    See who has how many, and the names of nodes, with: tally stock tokens.
    """
    move_id = request_id or new_id()
    _change(
        call,
        ("--request-id",),
        move_id,
        node,
        lambda client, at: client.move_tokens(items, to, at, request_id=move_id),
    )


@stock.command(
    epilog=examples(
        "tally stock tokens",
        "tally stock tokens TEA",
        "tally stock tokens TEA- --limit 0 -o jsonl",
        json='{"tokens": [{"sku", "location", "nodes": [{"node", "region", "quantity", "demand",\n'
        '  "runway_seconds"}, …]}, …]}; jsonl: one item a line',
    )
)
@click.argument("prefix", default="", metavar="[SKU-PREFIX]")
@limit_option
@token_option
@calls_node
def tokens(call: Call, prefix: str, limit: int, token: bytes | None) -> None:
    """Show who may sell how many units, and how long that lasts where they are.

    LASTS is the time until a node that is cut off now has sold what it may, going by what it is asked for;
    empty where nobody asks.
    """
    listed(
        call,
        lambda client: client.list_tokens(
            sku_prefix=prefix, page_size=page_size(limit), consistency_token=token
        ),
        name="tokens",
        limit=limit,
        show=_echo_tokens,
    )


def _change(
    call: Call,
    names: tuple[str, ...],
    request_id: str,
    node: str | None,
    write: Callable[[Client, str], Awaitable[StockChange]],
) -> None:
    """Write at the node that is named, or at the target; a repetition names the same one."""
    ids = [(names, request_id)]

    async def talk(client: Client) -> StockChange:
        at = node or (await client.status()).node
        ids.append((("--node",), at))
        return await write(client, at)

    change = converse(call, talk, ids=ids)
    if call.is_table:
        note = written(change.write)
        click.echo(f"{names[0].strip('-').replace('-id', '')} {request_id}{note}")
        _echo_stock(change.stock)
    else:
        echo_json({"stock": plain(change.stock), "write": plain(change.write)}, call.output)


def _echo_stock(items: Iterable[Stock]) -> None:
    echo_table(
        [
            *(
                column("sku"),
                column("location", optional=True),
                number("on hand"),
                number("reserved"),
                number("sold"),
            ),
            *(number("available here"), number("elsewhere"), number("owed")),
        ],
        [
            (
                *(item.sku, item.location, item.on_hand, item.reserved, item.sold, item.available_here),
                item.available_elsewhere.quantity if item.available_elsewhere else "",
                item.owed,
            )
            for item in items
        ],
    )


def _fields(item: Stock) -> Iterable[tuple[str, object]]:
    yield "item", item.sku
    yield "location", item.location
    for name in ("on_hand", "reserved", "sold", "shipped", "available_here"):
        yield name.replace("_", " "), getattr(item, name)
    if item.available_elsewhere:
        as_of = local_time(item.available_elsewhere.as_of)
        yield (
            "available elsewhere",
            f"{item.available_elsewhere.quantity}{f' as of {as_of}' if as_of else ''}",
        )
    for name in ("owed", "backordered", "received", "burned", "overbooked", "overbooking_limit_here"):
        yield name.replace("_", " "), getattr(item, name)


def _echo_tokens(items: Iterable[ItemTokens]) -> None:
    echo_table(
        [
            *(column("sku"), column("location", optional=True), column("region"), column("node")),
            *(number("tokens"), number("asked for", optional=True), number("lasts")),
        ],
        [
            (
                *(item.sku, item.location, each.region, each.node, each.quantity),
                f"{each.demand:.3g}/s" if each.demand else "",
                "" if each.runway_seconds is None else rough_length(each.runway_seconds),
            )
            for item in items
            for each in item.nodes
        ],
    )
