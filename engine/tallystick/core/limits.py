"""The limits of the public contract, each configurable downward."""

from __future__ import annotations

from dataclasses import dataclass, fields

CELL_MAX = (1 << 53) - 1
"""No cumulative cell goes beyond what a double holds exactly: clients in every language can read it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for. Sizes of strings are bytes of UTF-8."""

    lines_max: int = 2_000
    adjustments_max: int = 2_000
    order_id_bytes_max: int = 64
    sku_bytes_max: int = 128
    location_bytes_max: int = 64
    line_id_bytes_max: int = 64
    customer_bytes_max: int = 128
    text_bytes_max: int = 1_024
    attributes_max: int = 64
    tags_max: int = 64
    quantity_max: int = 1_000_000
    hold_ms_min: int = 10_000
    hold_ms_max: int = 30 * 86_400_000
    page_size_max: int = 1_000
    history_max: int = 1_000
    early_wishes_max: int = 16
    """Cancellations of an order that was not placed yet."""
    record_bytes_max: int = 2 << 20
    """What an order's facts may take together; payments, and cancelling all of it, may double it."""
    document_bytes_max: int = 256 << 10
    """What an order's document may take, its past included."""

    def __post_init__(self) -> None:
        """Refuse a limit above its default: what is stored must be readable by every node."""
        for field in fields(self):
            if field.name != "hold_ms_min" and not 0 < getattr(self, field.name) <= field.default:
                raise ValueError(f"{field.name} must be between 1 and {field.default}")


HOLD_MS_DEFAULT = 15 * 60_000
