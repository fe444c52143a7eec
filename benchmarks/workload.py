"""The work that everybody does: orders of about 300 bytes, over many items or with one hot one.

One description makes the bytes of a request, the value of the SDK and the JSON of the peers, so that all of
them store the same content. Building is kept off the clock or made cheap: a message of protobuf is the
concatenation of its fields, so an order is a fresh id in front of one of thousands of bodies encoded before.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from collections.abc import Iterator

import msgspec

from tallystick.v1 import order_pb2, order_service_pb2

ORDER_BYTES = 300
CUSTOMERS = 50_000
HOT_SKU = "SKU-000000"
_BODIES = 20_000
_PRICE = 1_299
_SHIPPING = 450
_ID_FIELD = b"\x0a\x24"  # field 1, 36 bytes
_UNSTAMPED = "ffffffff-ffff"  # a time that never comes
_UNSTAMPED_BYTES = _UNSTAMPED.encode()
_VIEWS = {
    "default": order_service_pb2.ORDER_VIEW_UNSPECIFIED,
    "basic": order_service_pb2.ORDER_VIEW_BASIC,
    "full": order_service_pb2.ORDER_VIEW_FULL,
}
VIEWS = tuple(_VIEWS)


class Shape(msgspec.Struct, frozen=True):
    """What orders are like: how many lines, over how many items.

    `items` 1 is the hot item: every order has a line of it, and its other lines, if any, are of the other
    items, as a sale's baskets are.
    """

    lines: int = 1
    items: int = 10_000

    @property
    def hot(self) -> bool:
        return self.items == 1

    def __str__(self) -> str:
        lines = f"{self.lines} line" + ("s" if self.lines > 1 else "")
        return f"{lines}, " + ("one hot item" if self.hot else f"{self.items:,} items")


STOCK_ITEMS = 10_000
"""Items in stock, whatever the shape."""


def sku(number: int) -> str:
    """The name of a stock item."""
    return f"SKU-{number:06d}"


def pick_items(shape: Shape, draw: random.Random) -> list[int]:
    """The items of one order's lines."""
    if shape.hot:
        return [0, *(draw.randrange(1, STOCK_ITEMS) for _ in range(shape.lines - 1))]
    return [draw.randrange(shape.items) for _ in range(shape.lines)]


def new_ids(count: int) -> list[str]:
    """`count` UUIDv7s, unique but for their time, which `stamp` gives them when they are used."""
    noise = os.urandom(9 * count).hex()
    return [
        f"{_UNSTAMPED}-7{noise[at : at + 3]}-8{noise[at + 3 : at + 6]}-{noise[at + 6 : at + 18]}"
        for at in range(0, 18 * count, 18)
    ]


def stamp(request: bytes) -> bytes:
    """Give the ids in a request the time of now: they rise from request to request, as real ones do."""
    digits = f"{time.time_ns() // 1_000_000:012x}"
    return request.replace(_UNSTAMPED_BYTES, f"{digits[:8]}-{digits[8:]}".encode())


def make_order(shape: Shape, items: list[int], customer: int) -> order_pb2.Order:
    """An order without its id; with one it takes ORDER_BYTES."""
    order = order_pb2.Order(
        customer=f"customer-{customer:06d}",
        currency="EUR",
        lines=[order_pb2.Line(sku=sku(n), quantity=1, unit_price=_PRICE, amount=_PRICE) for n in items],
        adjustments=[
            order_pb2.Adjustment(
                adjustment_id="shipping", kind=order_pb2.ADJUSTMENT_KIND_SHIPPING, amount=_SHIPPING
            )
        ],
        total=_PRICE * shape.lines + _SHIPPING,
        details=order_pb2.Details(
            shipping_address=order_pb2.Address(
                name="Ada Byron",
                street="12 Example Street",
                city="Utrecht",
                postal_code="3511 AB",
                country="NL",
            ),
            email=f"customer-{customer:06d}@example.org",
        ),
    )
    order.details.note = "n"
    missing = ORDER_BYTES - len(_ID_FIELD) - 36 - order.ByteSize()
    if missing > 0:
        words = (
            "Leave it with the neighbours at number 14 if nobody answers; ring twice, the bell is slow. " * 2
        )
        order.details.note = words[: missing + 1]
    return order


def make_json(order: order_pb2.Order) -> str:
    """The same content as compact JSON, for the peers: all but id and customer, which they keep beside it.

    With names of one letter, so that it is no longer than ours.
    """
    address = order.details.shipping_address
    return json.dumps(
        {
            "c": order.currency,
            "l": [[line.sku, line.quantity, line.unit_price, line.amount] for line in order.lines],
            "a": [[each.adjustment_id, each.kind, each.amount] for each in order.adjustments],
            "t": order.total,
            "s": [address.name, address.street, address.city, address.postal_code, address.country],
            "e": order.details.email,
            "n": order.details.note,
        },
        separators=(",", ":"),
    )


def bodies(shape: Shape, seed: int, count: int = _BODIES) -> list[order_pb2.Order]:
    """Orders without ids, alike for the same seed."""
    draw = random.Random(seed)
    return [make_order(shape, pick_items(shape, draw), draw.randrange(CUSTOMERS)) for _ in range(count)]


class Requests:
    """An endless supply of encoded requests, each with ids of its own; `stamp` completes them."""

    def __init__(self, shape: Shape, seed: int, view: str = "default") -> None:
        self._draw = random.Random(seed + 1)
        self._bodies = [order.SerializeToString() for order in bodies(shape, seed)]
        self._view = _VIEWS[view]

    def unary(self) -> Iterator[bytes]:
        """PlaceOrderRequests."""
        tail = order_service_pb2.PlaceOrderRequest(view=self._view).SerializeToString()
        while True:
            for order_id, body in self._some(256):
                order = _ID_FIELD + order_id + body
                yield b"\x0a" + varint(len(order)) + order + tail

    def batches(self, size: int) -> Iterator[tuple[int, bytes]]:
        """PlaceOrdersRequests of `size` orders, with the number of each in the stream.

        A batch has number n if the numbers of its orders are from n × size up.
        """
        tail = order_service_pb2.PlaceOrdersRequest(view=self._view).SerializeToString()
        for number in itertools.count():
            parts: list[bytes] = []
            for at, (order_id, body) in enumerate(self._some(size), number * size):
                order = _ID_FIELD + order_id + body
                inner = b"\x08" + varint(at) + b"\x12" + varint(len(order)) + order
                parts += (b"\x0a", varint(len(inner)), inner)
            yield number, b"".join((*parts, tail))

    def _some(self, count: int) -> Iterator[tuple[bytes, bytes]]:
        ids = (order_id.encode() for order_id in new_ids(count))
        return zip(ids, self._draw.choices(self._bodies, k=count), strict=True)


def varint(value: int) -> bytes:
    """Protobuf's encoding of a number that is not negative."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
