"""Edits of an order's details, given as paths and new values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from google.protobuf.field_mask_pb2 import FieldMask

from tallystick.client.convert import address_message
from tallystick.client.errors import InvalidRequest
from tallystick.client.values.order import Address
from tallystick.v1 import order_pb2

EditValue = str | Collection[str] | Mapping[str, str] | Address | None
"""What a path is set to; None clears it."""

_T = TypeVar("_T")
_TEXTS = frozenset({"email", "phone", "note"})
_ADDRESSES = frozenset({"shipping_address", "billing_address"})


def edit_messages(changes: Mapping[str, EditValue]) -> tuple[order_pb2.Details, FieldMask]:
    """The details with the changes set, and the mask that names them.

    Paths are "note", "email", "phone"; "tags" and "attributes" as a whole, "attributes.<key>" for one of
    them; "shipping_address" (an Address) and its fields, such as "shipping_address.city"; likewise for
    billing. Raises InvalidRequest for a path that isn't there or a value that doesn't fit it.
    """
    details = order_pb2.Details()
    for path, value in changes.items():
        _set(details, path, value)
    return details, FieldMask(paths=list(changes))


def _set(details: order_pb2.Details, path: str, value: EditValue) -> None:
    head, _, rest = path.partition(".")
    if path in _TEXTS:
        setattr(details, path, _expect(path, value, str, ""))
    elif path == "tags":
        details.tags.extend(sorted(_tags(value)))
    elif path == "attributes":
        details.attributes.update(_mapping(value))
    elif head == "attributes" and rest:
        if value is not None:  # the mask alone removes the key
            details.attributes[rest] = _expect(path, value, str, "")
    elif path in _ADDRESSES:
        getattr(details, path).CopyFrom(address_message(_expect(path, value, Address, Address())))
    elif head in _ADDRESSES and rest in Address.__struct_fields__:
        setattr(getattr(details, head), rest, _expect(path, value, str, ""))
    else:
        raise _misfit(path, "is no field of an order's details")


def _tags(value: EditValue) -> Collection[str]:
    if value is None:
        return ()
    if isinstance(value, str | Mapping | Address):  # a string is a collection of characters, hardly meant
        raise _misfit("tags", "takes a set of strings")
    return value


def _mapping(value: EditValue) -> Mapping[str, str]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    raise _misfit("attributes", "takes a mapping of strings")


def _expect(path: str, value: EditValue, kind: type[_T], empty: _T) -> _T:
    if value is None:
        return empty
    if isinstance(value, kind):
        return value
    raise _misfit(path, f"takes {kind.__name__}, not {type(value).__name__}")


def _misfit(path: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{path} {problem}", reason="INVALID_FIELD", metadata={"field": path})
