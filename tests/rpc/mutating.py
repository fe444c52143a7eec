"""Requests that nobody should send: valid ones with a few things wrong, and bytes that are none at all."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

INTEGERS = (
    0,
    1,
    -1,
    2,
    63,
    1_000,
    1_001,
    1 << 31,
    -(1 << 31),
    (1 << 53) - 1,
    1 << 53,
    (1 << 63) - 1,
    -(1 << 63),
)
TEXTS = (
    "",
    "x",
    "o-1",
    "tea",
    "EUR",
    "1",
    "x" * 65,
    "x" * 129,
    "x" * 1_025,
    "a\0b",
    "\n",
    "é" * 64,
    "🍵",
    "../..",
)
OCTETS = (b"", b"\0", b"\xff" * 9, b"\x93\x01\x02\xc0", b"\xc1", bytes(600), b"\x91" * 600)
_NUMBER = {
    FieldDescriptor.CPPTYPE_INT32: 31,
    FieldDescriptor.CPPTYPE_INT64: 63,
    FieldDescriptor.CPPTYPE_UINT32: 32,
    FieldDescriptor.CPPTYPE_UINT64: 64,
    FieldDescriptor.CPPTYPE_ENUM: 31,
}
_UNSIGNED = (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)


@st.composite
def disturbed(draw: st.DrawFn, valid: Message) -> bytes:
    """One to three fields changed to what is at an edge or beyond it."""
    message = type(valid)()
    message.CopyFrom(valid)
    for _ in range(draw(st.integers(1, 3))):
        _disturb(draw, message)
    return message.SerializeToString()


@st.composite
def scrambled(draw: st.DrawFn, valid: Message) -> bytes:
    """The bytes of a valid request with a few of them changed, left out, doubled or put in."""
    data = bytearray(valid.SerializeToString())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(1, 8))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case _:
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
    return bytes(data)


def _disturb(draw: st.DrawFn, message: Any) -> None:
    fields = list(message.DESCRIPTOR.fields)
    if not fields:
        return
    field = draw(st.sampled_from(fields))
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, field.name)[draw(st.sampled_from(TEXTS))] = draw(st.sampled_from(TEXTS))
    elif field.is_repeated:
        _disturb_many(draw, getattr(message, field.name), field)
    elif field.message_type is None:
        setattr(message, field.name, _value(draw, field))
    elif draw(st.integers(0, 3)):
        part = getattr(message, field.name)
        part.SetInParent()
        _disturb(draw, part)
    else:
        message.ClearField(field.name)


def _disturb_many(draw: st.DrawFn, many: Any, field: FieldDescriptor) -> None:
    choice = draw(st.integers(0, 3))
    if choice == 0:
        del many[:]
    elif field.message_type is None:
        many.append(_value(draw, field))
    elif choice == 1 or not many:
        _disturb(draw, many.add())
    elif choice == 2:
        many.add().CopyFrom(draw(st.sampled_from(list(many))))
    else:
        _disturb(draw, many[draw(st.integers(0, len(many) - 1))])


def _value(draw: st.DrawFn, field: FieldDescriptor) -> Any:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return draw(st.booleans())
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return draw(st.sampled_from(OCTETS))
        return draw(st.one_of(st.sampled_from(TEXTS), st.text(max_size=6)))
    number = draw(st.sampled_from(INTEGERS))
    highest = (1 << _NUMBER[kind]) - 1
    lowest = 0 if kind in _UNSIGNED else -highest - 1
    return min(max(number, lowest), highest)
