"""Planned orders as the SDK's values. Pure."""

from __future__ import annotations

from tallystick.cli.importing.countries import country_code
from tallystick.cli.importing.mapping import OrderLine, PlannedOrder
from tallystick.cli.importing.money import CURRENCY
from tallystick.client.values.order import Address, Details, Line, Order


def order_value(planned: PlannedOrder) -> Order:
    """What is sent for an invoice: sold on placing, all lines or none."""
    attributes = {"invoice_time": planned.time}
    if planned.last_time != planned.time:
        attributes["invoice_time_last"] = planned.last_time
    country = country_code(planned.country)
    return Order(
        id=planned.id,
        customer=planned.customer,
        currency=CURRENCY,
        lines=tuple([_line_value(line) for line in planned.lines]),
        total=planned.total,
        details=Details(
            shipping_address=Address(country=country) if country else None, attributes=attributes
        ),
    )


def _line_value(line: OrderLine) -> Line:
    return Line(
        line.sku,
        line.quantity,
        amount=line.amount,
        unit_price=line.unit_price,
        line_id=line.line_id,
        untracked=line.untracked,
        description=line.description,
    )
