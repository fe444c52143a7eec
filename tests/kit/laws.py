"""Laws that every lattice and every record owes; a test names the lattice and gets them for free.

A lattice is a set with a join, the least upper bound. Replicas that join what they hear, in any order and
however often, agree because of exactly these laws (Shapiro et al., *Conflict-free Replicated Data Types*).
Its triples come from one honest world: under one dot there is one content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack
import msgspec
from hypothesis import strategies as st

from tallystick.core.codec import Record, decode, encode, is_canonical


@dataclass(frozen=True)
class Lattice:
    """One kind of state: its join, three states of one world, and the empty state if there is one."""

    name: str
    join: Callable[[Any, Any], Any]
    triples: st.SearchStrategy[tuple[Any, Any, Any]]
    empty: Any = None

    def covers(self, low: Any, high: Any) -> bool:
        """low ≤ high: joining adds nothing."""
        return bool(self.join(low, high) == high)


def associative(lattice: Lattice, a: Any, b: Any, c: Any) -> None:
    join = lattice.join
    assert join(join(a, b), c) == join(a, join(b, c))


def commutative(lattice: Lattice, a: Any, b: Any, _: Any) -> None:
    assert lattice.join(a, b) == lattice.join(b, a)


def idempotent(lattice: Lattice, a: Any, b: Any, _: Any) -> None:
    assert lattice.join(a, a) == a
    both = lattice.join(a, b)
    assert lattice.join(both, b) == both == lattice.join(a, both)


def has_its_empty_element(lattice: Lattice, a: Any, _b: Any, _c: Any) -> None:
    if lattice.empty is not None:
        assert lattice.join(lattice.empty, a) == a == lattice.join(a, lattice.empty)


def monotone(lattice: Lattice, a: Any, b: Any, c: Any) -> None:
    """Nothing is ever taken back, and who knows more before a join knows more after it."""
    more = lattice.join(a, b)
    assert lattice.covers(a, more)
    assert lattice.covers(b, more)
    assert lattice.covers(lattice.join(a, c), lattice.join(more, c))


def ordered(lattice: Lattice, a: Any, b: Any, _: Any) -> None:
    """Two states that cover each other are one."""
    if lattice.covers(a, b) and lattice.covers(b, a):
        assert a == b


def equal_bytes(lattice: Lattice, a: Any, b: Any, c: Any) -> None:
    """Equal states have equal bytes, however they came together."""
    join = lattice.join
    ways = {encode(join(join(a, b), c)), encode(join(c, join(b, a))), encode(join(join(b, c), join(a, c)))}
    assert len(ways) == 1


LATTICE_LAWS = (
    associative,
    commutative,
    idempotent,
    has_its_empty_element,
    monotone,
    ordered,
)


# -------------------------------------------------------------------------------------------------- records


def plain(value: Any) -> Any:
    """What a value must look like in msgpack, spelled out field by field: sorted keys, no defaults.

    Knows nothing of msgspec's encoder; `msgpack.packb` turns it into the bytes to expect.
    """
    if isinstance(value, Record):
        said = {
            field.encode_name: plain(getattr(value, field.name))
            for field in msgspec.structs.fields(type(value))
            if field.required or getattr(value, field.name) != default_of(field)
        }
        return {key: said[key] for key in sorted(said)}
    if isinstance(value, msgspec.Raw):
        return msgpack.unpackb(bytes(value), strict_map_key=False)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    return value


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    """The default of a field that has one."""
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def round_trips(record: Record) -> None:
    data = encode(record)
    again = decode(data, type(record))
    assert again == record
    assert encode(again) == data


def is_what_msgpack_writes(record: Record) -> None:
    data = encode(record)
    assert data == msgpack.packb(plain(record))
    assert msgpack.unpackb(data, strict_map_key=False) == plain(record)


def forgets_explicit_defaults(record: Record) -> None:
    """A writer that spells defaults out, as a sloppier version might, is read as the same record."""
    said = plain(record)
    for field in msgspec.structs.fields(type(record)):
        if not field.required:
            said.setdefault(field.encode_name, plain(default_of(field)))
    spelled_out = msgpack.packb(said)
    assert encode(decode(spelled_out, type(record))) == encode(record)
    assert is_canonical(spelled_out, type(record)) == (spelled_out == encode(record))


def takes_unknown_fields(record: Record) -> None:
    """A newer version's field is passed over, so that records can gain some."""
    newer = msgpack.packb({**plain(record), "~new": [1, {"x": None}]})
    assert decode(newer, type(record)) == record


RECORD_LAWS = (round_trips, is_what_msgpack_writes, forgets_explicit_defaults, takes_unknown_fields)
