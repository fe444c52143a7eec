"""How orders look to people."""

from __future__ import annotations

from collections.abc import Iterable

import click

from tallystick.cli.money import format_amount
from tallystick.cli.output import column, echo_fields, echo_table, local_time, number, short_duration
from tallystick.cli.session import written
from tallystick.client.values.order import Address, ConfirmWhen, Line, Order, OrderEvent, ShortageMode
from tallystick.client.values.write import PlacedOrder


def total_of(order: Order) -> int:
    """The total, in minor units; the node's if it said it."""
    if order.total is not None:
        return order.total
    return sum(line.amount for line in order.lines) + sum(each.amount for each in order.adjustments)


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
    yield "due", money(payment.amount_due)
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
    """Lines and adjustments; a column that would be empty throughout is left out."""
    rows = [_line_row(line, order.currency) for line in order.lines]
    rows += [
        (
            each.adjustment_id,
            each.kind.value,
            "",
            "",
            "",
            "",
            format_amount(each.amount, order.currency),
            each.description,
        )
        for each in order.adjustments
    ]
    columns = [column("line"), column("item"), column("location"), number("quantity"), column("from")]
    columns += [number("cancelled"), number("amount"), column("description")]
    shown = [
        index
        for index, each in enumerate(columns)
        if each.title in ("line", "item", "quantity") or any(row[index] for row in rows)
    ]
    echo_table([columns[index] for index in shown], [[row[index] for index in shown] for row in rows])


def _line_row(line: Line, currency: str) -> tuple[str, ...]:
    return (
        line.line_id,
        line.sku,
        "(no stock)" if line.untracked else line.location,
        str(line.quantity),
        ", ".join(f"{each.quantity} {each.region or each.location}" for each in line.allocations),
        str(line.cancelled_quantity or ""),
        format_amount(line.amount, currency) if line.amount else "",
        line.description,
    )


def echo_orders(orders: Iterable[Order]) -> None:
    """Many orders, a row each."""
    echo_table(
        [
            *(column("id"), column("state"), column("customer"), number("lines"), number("total")),
            *(column("placed"), column("conflicts")),
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


def echo_events(events: Iterable[OrderEvent]) -> None:
    """An order's history, oldest first."""
    echo_table(
        [column("time"), column("event"), column("actor"), column("what"), column("request"), column("dot")],
        [
            (
                event.time,
                event.kind.value.replace("_", " "),
                event.actor,
                _what(event),
                event.request_id,
                event.dot,
            )
            for event in events
        ],
    )


def _what(event: OrderEvent) -> str:
    parts = []
    if event.payment:
        # An event's payment has a currency only if its teller named one: minor units then say so.
        known = event.payment.currency
        amount = (
            format_amount(event.payment.amount, known) if known else f"{event.payment.amount} minor units"
        )
        parts += [event.payment.kind.value.replace("_", " "), amount, event.payment.reference]
    parts += [f"{each.line_id}={each.quantity}" if each.quantity else each.line_id for each in event.lines]
    parts += [", ".join(event.fields), event.reason]
    parts += [f"until {local_time(event.hold_expire_time)}"] if event.hold_expire_time else []
    return " ".join(part for part in parts if part)


def echo_placed(placed: PlacedOrder) -> None:
    """What became of a placing, on a line; below it the lines that were set aside otherwise than asked."""
    until = f" until {local_time(placed.hold_expire_time)}" if placed.hold_expire_time else ""
    click.echo(f"order {placed.id} {placed.state.value}{until}{written(placed.write)}")
    if placed.lines:
        echo_table(
            [column("line"), column("item"), number("asked"), number("not had"), column("from")],
            [
                (
                    *(line.line_id, line.sku, line.quantity, line.cancelled_quantity),
                    ", ".join(f"{each.quantity} {each.region or each.location}" for each in line.allocations),
                )
                for line in placed.lines
            ],
        )
