"""Every record of the core, found rather than listed, and values of it made from its annotations."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec
from hypothesis import strategies as st

import tallystick.core
from tallystick.core.codec import Record, encode

integers = st.one_of(st.integers(0, 300), st.integers(-(1 << 63), (1 << 64) - 1))
_PLAIN: dict[type, st.SearchStrategy[Any]] = {
    int: integers,
    str: st.text(max_size=8),
    bytes: st.binary(max_size=8),
    bool: st.booleans(),
}


def all_records() -> list[type[Record]]:
    """Every subclass of Record in the core, those that nobody thought of here included."""
    for module in pkgutil.walk_packages(tallystick.core.__path__, "tallystick.core."):
        importlib.import_module(module.name)
    found = set(_below(Record))
    return sorted((r for r in found if r.__module__.startswith("tallystick.core.")), key=lambda r: r.__name__)


def _below(kind: type[Record]) -> Iterator[type[Record]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Arbitrary values of a field's type or of a whole record: well-typed, however absurd."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind is msgspec.Raw:
        return st.one_of(integers, st.text(max_size=4)).map(lambda value: msgspec.Raw(encode(value)))
    if isinstance(kind, type) and issubclass(kind, Record):
        fields = msgspec.structs.fields(kind)
        return st.builds(kind, **{field.name: values_of(field.type) for field in fields})
    arguments = get_args(kind)
    if type(None) in arguments:
        return st.one_of(*(st.none() if part is type(None) else values_of(part) for part in arguments))
    if get_origin(kind) is dict:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=4)
    if get_origin(kind) is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if get_origin(kind) is tuple:
        return st.tuples(*map(values_of, arguments))
    raise NotImplementedError(f"teach values_of to make a {kind}")
