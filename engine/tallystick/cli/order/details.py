"""Options for the details of an order: what people may edit later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import click

from tallystick.cli.options import F, Parsed
from tallystick.cli.parsing import parse_pair
from tallystick.client.values.order import Address, Details

ADDRESS_FIELDS = Address.__struct_fields__
PAIR = Parsed("pair", parse_pair)


def _parse_address_field(text: str) -> tuple[str, str]:
    field, value = parse_pair(text)
    if field not in ADDRESS_FIELDS:
        raise ValueError(f"{field!r} is no field of an address: one of {', '.join(ADDRESS_FIELDS)}")
    return field, value


ADDRESS = Parsed("address field", _parse_address_field)
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class GivenDetails:
    """The details as given on the command line; None where nothing was said."""

    note: str | None
    email: str | None
    phone: str | None
    tag: tuple[str, ...]
    attribute: Pairs
    ship_to: Pairs
    bill_to: Pairs

    def is_empty(self) -> bool:
        return not self.changes()

    def details(self) -> Details:
        """For a new order."""
        return Details(
            shipping_address=Address(**dict(self.ship_to)) if self.ship_to else None,
            billing_address=Address(**dict(self.bill_to)) if self.bill_to else None,
            note=self.note or "",
            email=self.email or "",
            phone=self.phone or "",
            tags=frozenset(self.tag),
            attributes=dict(self.attribute),
        )

    def changes(self) -> Mapping[str, str | frozenset[str]]:
        """For an order that exists: what was said by path, and nothing else."""
        texts = {"note": self.note, "email": self.email, "phone": self.phone}
        changes: dict[str, str | frozenset[str]] = {
            path: text for path, text in texts.items() if text is not None
        }
        if self.tag:
            changes["tags"] = frozenset(self.tag)
        changes |= {f"attributes.{key}": value for key, value in self.attribute}
        changes |= {f"shipping_address.{field}": value for field, value in self.ship_to}
        changes |= {f"billing_address.{field}": value for field, value in self.bill_to}
        return changes


def details_options(function: F) -> F:
    """The options that GivenDetails is made of."""
    for decorate in reversed(
        (
            click.option("--note", metavar="TEXT", help="A note."),
            click.option("--email", metavar="ADDRESS"),
            click.option("--phone", metavar="NUMBER"),
            click.option("--tag", multiple=True, metavar="WORD", help="A tag; repeat it for more."),
            click.option(
                "--attribute",
                type=PAIR,
                multiple=True,
                metavar="KEY=VALUE",
                help="Anything of your own; repeat it.",
            ),
            click.option(
                "--ship-to",
                type=ADDRESS,
                multiple=True,
                metavar="FIELD=VALUE",
                help=f"The shipping address, field by field: {', '.join(ADDRESS_FIELDS)}.",
            ),
            click.option(
                "--bill-to",
                type=ADDRESS,
                multiple=True,
                metavar="FIELD=VALUE",
                help="The billing address, likewise.",
            ),
        )
    ):
        function = decorate(function)
    return function
