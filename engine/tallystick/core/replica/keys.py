"""Keys of the tables: they sort as people list."""

from __future__ import annotations

import struct

_U64 = struct.Struct(">Q").pack
_STATE_BYTES = tuple(bytes((state,)) for state in range(256))


def order_key(order_id: str) -> bytes:
    return order_id.encode()


def stock_key(sku: str, location: str) -> bytes:
    """By sku, then location: neither has control characters."""
    return f"{sku}\0{location}".encode()


def split_stock_key(key: bytes) -> tuple[str, str]:
    """The (sku, location) of a stock key."""
    sku, _, location = key.decode().partition("\0")
    return sku, location


def expiry_key(hold_until_ms: int, order_id: str) -> bytes:
    return _U64(hold_until_ms) + order_id.encode()


def time_key(hlc: int, order_id: bytes) -> bytes:
    return _U64(hlc) + order_id


def customer_prefix(customer: str) -> bytes:
    """What a customer's keys begin with; a time key follows."""
    return customer.encode() + b"\0"


def status_prefix(state: int) -> bytes:
    """What the keys of a state begin with; a time key follows."""
    return _STATE_BYTES[state]


def frame_key(origin: int, first: int, digest: bytes) -> bytes:
    return _U64(origin) + _U64(first) + digest


def member_key(replica: int) -> bytes:
    return _U64(replica)
