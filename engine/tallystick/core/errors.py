"""Why a request is refused. A refusal is decided before the first write: nothing happened.

Refused                    reason, message, metadata for programs
├── InvalidField           the request itself is wrong; it will be for ever
├── NotFound               ORDER_NOT_FOUND, STOCK_NOT_FOUND
├── IdReused               the id stands for something else already
├── WrongState             the order's state forbids it
├── WrongNode              stock is booked at the node that is named, and that is another
├── InsufficientStock      says item by item what is short
├── StaleEtag              somebody edited in between
└── LimitReached           a counter or a history is full
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Refused(Exception):
    """A request that is answered with no. `reason` is stable, for programs; `message` says what to do."""

    def __init__(self, reason: str, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})


class InvalidField(Refused):
    def __init__(self, field: str, problem: str) -> None:
        super().__init__("INVALID_FIELD", f"{field} {problem}", {"field": field})


class NotFound(Refused):
    """Nothing is known under that name here."""


class IdReused(Refused):
    """The id was used before, for something else."""


class WrongState(Refused):
    """The order is in a state that does not allow it."""


class StaleEtag(Refused):
    """The details were edited since the etag was read."""


class LimitReached(Refused):
    """It would go beyond what one record may hold."""


class WrongNode(Refused):
    def __init__(self, asked: str, node: str) -> None:
        super().__init__(
            "WRONG_NODE",
            f"this is node {node}, the request names {asked or 'none'}: stock is booked where it lies; "
            f"send it to that node, or name {node} to book it here",
            {"node": node, "asked": asked},
        )


class Shortage(NamedTuple):
    """One item that is short. Quantities in units.

    `available_elsewhere` is what other replicas may sell as far as this one knows, as of `as_of_ms` (since
    1970, 0: unknown). Who could not be asked and where to try are the driver's to say: the core knows no
    connections.
    """

    sku: str
    location: str
    asked: int
    available_here: int
    available_elsewhere: int = 0
    unreachable_regions: tuple[str, ...] = ()
    suggested_region: str = ""
    as_of_ms: int = 0


class InsufficientStock(Refused):
    """The message and the metadata tell of the first item that is short; `shortages` has them all."""

    def __init__(self, shortages: tuple[Shortage, ...]) -> None:
        first = shortages[0]
        more = f" (and {len(shortages) - 1} more items)" if len(shortages) > 1 else ""
        place = f" at {first.location}" if first.location else ""
        there = f" here, {first.available_elsewhere} elsewhere" if first.available_elsewhere else ""
        silent = ", ".join(first.unreachable_regions)
        unasked = f"; could not ask {silent}" if silent else ""
        advice = f"; try {first.suggested_region}" if first.suggested_region else ""
        super().__init__(
            "INSUFFICIENT_STOCK",
            f"{first.sku}{place}: asked {first.asked}, available {first.available_here}{there}{more}; "
            f"nothing was taken{unasked}{advice}",
            {
                "sku": first.sku,
                "location": first.location,
                "asked": str(first.asked),
                "available_here": str(first.available_here),
                "available_elsewhere": str(first.available_elsewhere),
                **({"unreachable_regions": silent} if silent else {}),
                **({"suggested_region": first.suggested_region} if first.suggested_region else {}),
            },
        )
        self.shortages = shortages
