"""How orders look to people."""

from __future__ import annotations

from collections.abc import Iterable

import click

from tallystick.cli.money import format_amount
from tallystick.cli.output import (
    Json,
    column,
    echo_fields,
    echo_table,
    local_time,
    number,
    plain_fields,
    short_duration,
)
from tallystick.cli.session import written
from tallystick.client.values.order import Address, ConfirmWhen, Line, Order, OrderEvent, ShortageMode
from tallystick.client.values.write import PlacedOrder


def total_of(order: Order) -> int:
    """The total, in minor units; the node's if it said it."""
    if order.total is not None:
        return order.total
    return sum(line.amount for line in order.lines) + sum(each.amount for each in order.adjustments)


def still_open(order: Order) -> int:
    """What has to come in yet, in minor units."""
    payment = order.payment
    return max(0, payment.amount_due - payment.captured + payment.refunded + payment.charged_back)


def echo_order(order: Order) -> None:
    """One order, whole: its fields, lines, adjustments, and what is in conflict."""
    echo_fields(_fields(order))
    if order.lines:
        click.echo()
        _echo_lines(order)
    if len(order.claims) > 1:
        click.echo()
        echo_table(
            [column("claim"), column("state"), column("placed"), column("owner"), column("region")],
            [(each.dot, each.state, each.place_time, each.owner, each.region) for each in order.claims],
        )
    for conflict in order.conflicts:
        click.echo(f"\nconflict {conflict.kind}: {conflict.description} ({', '.join(conflict.claims)})")


def _fields(order: Order) -> Iterable[tuple[str, object]]:
    def money(minor: int) -> str:
        return format_amount(minor, order.currency) if minor else ""

    details, payment = order.details, order.payment
    by_hand = order.confirm_when is not ConfirmWhen.ON_PLACING
    yield "order", order.id
    yield "state", order.state.value
    yield "customer", order.customer
    yield "total", format_amount(total_of(order), order.currency) if order.lines else ""
    yield "placed", order.place_time
    yield "updated", order.update_time if order.update_time != order.place_time else ""
    yield "hold", short_duration(order.hold) if order.hold and by_hand else ""
    yield "held until", order.hold_expire_time
    yield "confirm when", order.confirm_when.value.replace("_", " ") if by_hand else ""
    yield "when short", "partial" if order.shortage_mode is ShortageMode.PARTIAL else ""
    yield "authorized", money(payment.authorized)
    yield "captured", money(payment.captured)
    yield "refunded", money(payment.refunded)
    yield "charged back", money(payment.charged_back)
    yield "due in all", money(payment.amount_due) if payment.amount_due != total_of(order) else ""
    yield "still open", money(still_open(order))
    yield "refund due", money(payment.refund_due)
    yield "ship to", _address(details.shipping_address)
    yield "bill to", _address(details.billing_address)
    yield "email", details.email
    yield "phone", details.phone
    yield "note", details.note
    yield "tags", ", ".join(sorted(details.tags))
    yield from sorted(details.attributes.items())
    yield "etag", order.etag


def _address(address: Address | None) -> str:
    if address is None:
        return ""
    parts = (getattr(address, name) for name in Address.__struct_fields__)
    return ", ".join(part for part in parts if part)


def _echo_lines(order: Order) -> None:
    """Lines, and adjustments below them."""
    rows = [_line_row(line, order.currency) for line in order.lines]
    for each in order.adjustments:
        amount = format_amount(each.amount, order.currency)
        rows.append((each.adjustment_id, each.kind.value, "", "", "", "", amount, each.description))
    echo_table(
        [
            *(column("line"), column("item"), column("location", optional=True), number("quantity")),
            *(column("from", optional=True), number("cancelled", optional=True)),
            *(number("amount", optional=True), column("description", optional=True)),
        ],
        rows,
    )


def _line_row(line: Line, currency: str) -> tuple[str, ...]:
    return (
        line.line_id,
        line.sku,
        "(no stock)" if line.untracked else line.location,
        str(line.quantity),
        _places(line),
        str(line.cancelled_quantity or ""),
        format_amount(line.amount, currency) if line.amount else "",
        line.description,
    )


def _places(line: Line) -> str:
    return ", ".join(f"{each.quantity} {each.region or each.location}" for each in line.allocations)


def echo_orders(orders: Iterable[Order]) -> None:
    """Many orders, a row each."""
    echo_table(
        [
            *(
                column("id"),
                column("state"),
                column("customer", optional=True),
                number("lines"),
                number("total"),
            ),
            *(column("placed"), column("conflicts", optional=True)),
        ],
        [
            (
                *(order.id, order.state.value, order.customer, len(order.lines)),
                format_amount(total_of(order), order.currency),
                order.place_time,
                ", ".join(conflict.kind for conflict in order.conflicts),
            )
            for order in orders
        ],
    )


def echo_events(events: Iterable[OrderEvent], currency: str) -> None:
    """An order's history, oldest first. Payments are in the order's currency."""
    echo_table(
        [
            column("time"),
            column("event"),
            column("actor"),
            column("what", optional=True),
            column("request", optional=True),
            column("dot"),
        ],
        [
            (
                event.time,
                event.kind.value.replace("_", " "),
                event.actor,
                _what(event, currency),
                event.request_id,
                event.dot,
            )
            for event in events
        ],
    )


def _what(event: OrderEvent, currency: str) -> str:
    parts = []
    if event.payment:
        amount = format_amount(event.payment.amount, currency)
        parts += [event.payment.kind.value.replace("_", " "), amount, event.payment.reference]
    parts += [f"{each.line_id}={each.quantity}" if each.quantity else each.line_id for each in event.lines]
    parts += [", ".join(event.fields), event.reason]
    parts += [f"until {local_time(event.hold_expire_time)}"] if event.hold_expire_time else []
    return " ".join(part for part in parts if part)


def placed_json(placed: PlacedOrder) -> dict[str, Json]:
    """The answer to placing: the order as decided, and how it was written."""
    order = plain_fields(placed)
    write = order.pop("write")
    return {"order": order, "write": write}


def echo_placed(placed: PlacedOrder, asked: Order, replicas: int = 0) -> None:
    """What became of a placing, on a line; below it the lines that were set aside otherwise than asked."""
    until = f" until {local_time(placed.hold_expire_time)}" if placed.hold_expire_time else ""
    click.echo(f"order {placed.id} {placed.state.value}{until}{written(placed.write, replicas)}")
    if not placed.lines:
        return
    # The answer leaves out what the caller knows; lines without an id have their position for one.
    lines = {line.line_id or str(position): line for position, line in enumerate(asked.lines, 1)}
    rows = []
    for line in placed.lines:
        wanted = lines[line.line_id]
        had = wanted.quantity - line.cancelled_quantity
        rows.append((line.line_id, wanted.sku, wanted.location, wanted.quantity, had))
    location = column("location", optional=True)
    echo_table([column("line"), column("item"), location, number("asked"), number("had")], rows)
