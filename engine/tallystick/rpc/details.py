"""Order details: nested in the public messages, flat keys in the core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tallystick.core.errors import InvalidField
from tallystick.core.order.validate import ADDRESS_FIELDS, DETAIL_KEYS
from tallystick.v1 import order_pb2

_SCALARS = ("email", "phone", "note")
_ADDRESSES = ("shipping_address", "billing_address")
_GROUPS = ("tags", "attributes")

_KEYS = {address: tuple(f"{address}.{name}" for name in ADDRESS_FIELDS) for address in _ADDRESSES}


def flatten(details: order_pb2.Details) -> dict[str, str]:
    """Every field that is set, by flat key: "note", "shipping_address.city", "tags.x", "attributes.y"."""
    keys: tuple[str, ...] = _SCALARS
    values: tuple[str, ...] = (details.email, details.phone, details.note)
    for address in _ADDRESSES:
        if details.HasField(address):  # type: ignore[arg-type]
            keys += _KEYS[address]
            values += _address(getattr(details, address))
    flat = {key: value for key, value in zip(keys, values, strict=True) if value}
    if details.tags:
        flat |= {f"tags.{tag}": "1" for tag in details.tags}
    if details.attributes:
        flat |= {f"attributes.{name}": value for name, value in details.attributes.items()}
    return flat


def _address(at: order_pb2.Address) -> tuple[str, ...]:
    """As ADDRESS_FIELDS has them. By name: a lookup by a string in a variable costs twice as much."""
    return (at.name, at.organization, at.street, at.city, at.region, at.postal_code, at.country)


def nest(flat: Mapping[str, str]) -> order_pb2.Details:
    """The inverse of `flatten`."""
    details = order_pb2.Details()
    for key, value in flat.items():
        group, dot, name = key.partition(".")
        if group == "tags":
            details.tags.append(name)
        elif group == "attributes":
            details.attributes[name] = value
        elif dot:
            setattr(getattr(details, group), name, value)
        else:
            setattr(details, key, value)
    return details


def changes(
    details: order_pb2.Details, paths: Iterable[str]
) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """What an edit changes, by flat key (None clears), and the groups of keys that it replaces whole.

    Raises InvalidField for a path that is not one of details.
    """
    given = flatten(details)
    wanted = list(paths)
    if not wanted:
        return dict(given), ()
    changed: dict[str, str | None] = {}
    replaced: list[str] = []
    for path in wanted:
        prefix = f"{path}."
        if path in _GROUPS or path in _ADDRESSES:
            changed |= {key: value for key, value in given.items() if key.startswith(prefix)}
            replaced.append(prefix)
        elif path in DETAIL_KEYS or path.partition(".")[0] in _GROUPS:
            changed[path] = given.get(path)
        else:
            raise InvalidField("update_mask", f"names {path}, which is not a field of details")
    return changed, tuple(replaced)
