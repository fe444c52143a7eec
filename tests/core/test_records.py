"""Every record of the core is canonical msgpack, judged by the plain `msgpack` package."""

from __future__ import annotations

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.codec import DecodeError, decode, encode, is_canonical
from tallystick.core.members import Member
from tallystick.core.order.facts import Body, Line, OrderRecord
from tallystick.core.stock.rights import Row
from tests.kit import laws
from tests.kit.effort import effort
from tests.kit.records import all_records, values_of

RECORDS = all_records()
FALSY = [None, False, 0, "", b"", ()]


def test_the_records_are_found():
    assert {"Row", "Stock", "OrderRecord", "Decision", "Body", "DocumentUpdate"} <= {
        record.__name__ for record in RECORDS
    }


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_defaults_are_falsy_and_alone(record):
    """`omit_defaults` compares by identity: of any other default two copies would have two encodings."""
    for field in msgspec.structs.fields(record):
        if field.default_factory is not msgspec.NODEFAULT:
            assert field.default_factory in (list, dict, set), field.name
        elif field.default is not msgspec.NODEFAULT:
            assert any(type(field.default) is type(v) and field.default == v for v in FALSY), field.name


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_names_on_disk_are_short_and_unique(record):
    names = [field.encode_name for field in msgspec.structs.fields(record)]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 2


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@effort(25)
@given(data=st.data())
def test_the_laws_hold(record, data):
    value = data.draw(values_of(record))
    for law in laws.RECORD_LAWS:
        law(value)


def test_equal_bodies_have_equal_bytes():
    """The order of details as a caller's dict has them is no part of an order."""
    line = Line("1", "x", 1)
    there = Body("EUR", (line,), details={"note": "n", "email": "e", "tags.a": "1"})
    back = Body("EUR", (line,), details={"tags.a": "1", "email": "e", "note": "n"})
    assert encode(there) == encode(back)


NOT_CANONICAL = {
    "a key twice": b"\x82\xa2re\x01\xa2re\x02",
    "a long form": b"\x81\xa2re\xcd\x00\x05",
    "keys out of order": msgpack.packb({"ta": 1, "re": 2}),
    "an explicit default": msgpack.packb({"re": 0}),
    "an unknown field": msgpack.packb({"zz": 1}),
}


@pytest.mark.parametrize("data", NOT_CANONICAL.values(), ids=NOT_CANONICAL.keys())
def test_what_is_not_canonical_is_told(data):
    """msgspec decodes all of these as they come."""
    assert not is_canonical(data, Row)
    assert is_canonical(encode(decode(data, Row)), Row)


BAD = {
    "empty": b"",
    "cut short": encode(Row(received=5))[:-1],
    "too long": encode(Row()) + b"\x00",
    "of another type": encode([1, 2]),
    "a field of another type": msgpack.packb({"re": "five"}),
    "too deep": b"\x81\xa1z" + b"\x91" * 100_000,
    "no opcode": b"\xc1",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_what_is_no_record_raises_a_decode_error(data):
    with pytest.raises(DecodeError):
        decode(data, Row)


def test_text_that_is_no_utf_8_raises_a_decode_error():
    with pytest.raises(DecodeError):
        decode(msgpack.packb({"r": "x", "s": 1}).replace(b"x", b"\xff"), Member)


@given(st.binary(max_size=60))
def test_nothing_else_is_raised_for_any_bytes(data):
    for kind in (Row, OrderRecord, tuple[int, str, msgspec.Raw]):
        try:
            decode(data, kind)
        except DecodeError:
            continue
