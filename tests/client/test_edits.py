"""Edits by path."""

from __future__ import annotations

import pytest

from tallystick.client.edits import edit_messages
from tallystick.client.errors import InvalidRequest
from tallystick.client.values.order import Address
from tallystick.v1 import order_pb2


def test_each_path_sets_its_field_and_is_in_the_mask():
    details, mask = edit_messages(
        {
            "note": "ring twice",
            "tags": {"gift", "b2b"},
            "attributes.order.source": "app",
            "shipping_address.city": "Ghent",
            "billing_address": Address(name="A. Smith", country="BE"),
        }
    )
    assert details == order_pb2.Details(
        note="ring twice",
        tags=["b2b", "gift"],
        attributes={"order.source": "app"},
        shipping_address=order_pb2.Address(city="Ghent"),
        billing_address=order_pb2.Address(name="A. Smith", country="BE"),
    )
    assert list(mask.paths) == [
        "note",
        "tags",
        "attributes.order.source",
        "shipping_address.city",
        "billing_address",
    ]


@pytest.mark.parametrize(
    "path", ["note", "tags", "attributes", "attributes.gift", "shipping_address.city", "billing_address"]
)
def test_none_clears(path):
    details, mask = edit_messages({path: None})
    assert list(mask.paths) == [path]
    assert details.ByteSize() <= 2  # nothing, or an address with nothing in it


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("notes", "x"),
        ("note.x", "x"),
        ("attributes.", "x"),
        ("shipping_address.planet", "x"),
        ("note", ["x"]),
        ("tags", "gift"),
        ("tags", {"gift": "yes"}),
        ("attributes", "x"),
        ("attributes.gift", ["x"]),
        ("shipping_address", "x"),
        ("shipping_address.city", Address()),
    ],
)
def test_what_does_not_fit_is_refused_by_its_path(path, value):
    with pytest.raises(InvalidRequest) as refused:
        edit_messages({path: value})
    assert refused.value.field == path
