"""Canonical msgpack: equal values have equal bytes.

Struct fields and map keys are sorted and defaults are left out, so a record that gains a defaulted field
keeps its old bytes. `omit_defaults` compares by identity: defaults are None, False, 0, "", b"", () or an
empty dict by factory, nothing else (a law in the tests holds it for each record).
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

encode = msgspec.msgpack.Encoder(order="sorted").encode
DecodeError = msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError
"""What decoding raises on bytes that are not such a record: badly typed, cut short, no UTF-8, too deep."""


class Record(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=False, gc=False, kw_only=False
):
    """Base of everything that is stored or sent between nodes: immutable, defaulted, canonical."""


def decode(data: bytes, kind: type[T]) -> T:
    """Read `data` as `kind`. Raises one of DecodeError."""
    return msgspec.msgpack.decode(data, type=kind)


def is_canonical(data: bytes, kind: type[Any]) -> bool:
    """Whether `data` is the one encoding of what it says: no duplicate keys, no long forms, no defaults."""
    return encode(msgspec.msgpack.decode(data, type=kind)) == data
