"""The frame: whatever arrives is either what its origin wrote, or a FrameError."""

from __future__ import annotations

import struct
from contextlib import suppress
from hashlib import blake2b

import msgpack
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.core.clock import EMPTY_HEAD, Dot, Head
from tallystick.core.frame import (
    EVENTS_MAX,
    FrameError,
    decode_events,
    decode_frame,
    encode_frame,
    follows,
    verify_chain,
)
from tests.kit.effort import effort

u64 = st.integers(0, (1 << 64) - 2)
digests = st.binary(min_size=32, max_size=32)
heads = st.builds(Head, u64, digests)
entries = st.tuples(
    st.integers(1, 9), st.text(max_size=8), st.dictionaries(st.text(max_size=3), st.integers(0, 9))
)
events = st.lists(st.lists(entries, max_size=3), min_size=1, max_size=4)
deps = st.lists(st.tuples(u64, u64, digests), max_size=3).map(tuple)
frames = st.builds(encode_frame, st.integers(1, (1 << 48) - 1), heads, u64, events, deps)

SAMPLE = encode_frame(
    7, Head(41, b"h" * 32), 99, [[(1, "o", {"a": 1})], [(2, "s", {})]], ((3, 4, b"d" * 32),)
)


@given(st.integers(1, (1 << 48) - 1), heads, u64, events, deps)
def test_a_frame_is_read_as_it_was_sealed(origin, head, stamp, said, met):
    frame = encode_frame(origin, head, stamp, said, met)
    assert decode_frame(frame.data) == frame
    assert (frame.origin, frame.hlc, frame.deps) == (origin, stamp, met)
    assert (frame.first, frame.last) == (head.seq + 1, head.seq + len(said))
    assert frame.head == Head(frame.last, frame.digest)
    assert frame.dot(0) == Dot(origin, head.seq + 1)
    read = [[msgpack.unpackb(bytes(entry)) for entry in event] for event in decode_events(frame)]
    assert read == [[list(entry) for entry in event] for event in said]


def test_the_bytes_are_those_of_the_format():
    """Written out by hand, so that a change of the format cannot go unnoticed."""
    dependencies = msgpack.packb([[3, 4, b"d" * 32]])
    payload = msgpack.packb([[[1, "o", {"a": 1}]], [[2, "s", {}]]])
    header = struct.pack(">BQQIQ32sII", 1, 7, 42, 2, 99, b"h" * 32, len(dependencies), len(payload))
    body = header + dependencies + payload
    assert SAMPLE.data == body + blake2b(body, digest_size=32).digest()


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_changed_byte_is_refused(flip):
    for at in range(len(SAMPLE.data)):
        data = bytearray(SAMPLE.data)
        data[at] ^= flip
        with pytest.raises(FrameError):
            decode_frame(bytes(data))


def test_every_cut_and_every_addition_is_refused():
    for size in range(len(SAMPLE.data)):
        with pytest.raises(FrameError):
            decode_frame(SAMPLE.data[:size])
    for more in (b"\x00", SAMPLE.data):
        with pytest.raises(FrameError):
            decode_frame(SAMPLE.data + more)


def sealed(payload: bytes, dependencies: bytes = b"\x90", *, version=1, origin=1, first=1, count=1) -> bytes:
    """A frame with a valid hash around whatever is in it: what a buggy or hostile origin can send."""
    sizes = len(dependencies), len(payload)
    header = struct.pack(">BQQIQ32sII", version, origin, first, count, 5, bytes(32), *sizes)
    body = header + dependencies + payload
    return body + blake2b(body, digest_size=32).digest()


NO_HEADERS = {
    "another version": {"version": 2},
    "no origin": {"origin": 0},
    "no sequence number": {"first": 0},
    "no events": {"count": 0},
    "too many events": {"count": EVENTS_MAX + 1},
}


@pytest.mark.parametrize("wrong", NO_HEADERS.values(), ids=NO_HEADERS.keys())
def test_a_header_that_no_origin_writes_is_refused(wrong):
    payload = msgpack.packb([[]])
    decode_frame(sealed(payload))
    with pytest.raises(FrameError):
        decode_frame(sealed(payload, **wrong))


def test_a_frame_has_at_most_256_events():
    most = encode_frame(1, EMPTY_HEAD, 5, [[]] * EVENTS_MAX)
    assert len(decode_events(decode_frame(most.data))) == 256
    with pytest.raises(FrameError):
        decode_frame(encode_frame(1, EMPTY_HEAD, 5, [[]] * (EVENTS_MAX + 1)).data)


@pytest.mark.parametrize("count", [1, 3])
def test_a_header_that_counts_other_events_than_there_are_is_refused(count):
    """Else two replicas could give one event two dots."""
    frame = decode_frame(sealed(msgpack.packb([[], []]), count=count))
    with pytest.raises(FrameError, match="2 events where the header says"):
        decode_events(frame)


HUGE = b"\xdd\xff\xff\xff\xff"
DEEP = b"\x91" * 100_000


@given(st.binary(max_size=300))
@example(b"")
@example(HUGE)
@example(DEEP)
@example(b"\x91" + HUGE)
@example(b"\x91" + DEEP)
@example(b"\x91\x91\xdf\xff\xff\xff\xff")
@example(b"\x91\x91" + b"\x81\xc0" * 100_000)
@example(b"\x91\x91\xc1")
def test_only_a_frame_error_escapes_for_any_payload_and_deps(data):
    with suppress(FrameError):
        decode_events(decode_frame(sealed(data)))
    with suppress(FrameError):
        decode_frame(sealed(msgpack.packb([[]]), data))


@given(st.binary(max_size=300), frames, st.data())
def test_only_a_frame_error_escapes_for_any_bytes(noise, frame, data):
    at = data.draw(st.integers(0, len(frame.data)))
    for bytes_ in (noise, frame.data[:at] + noise + frame.data[at:], frame.data[:at] + noise):
        try:
            found = decode_frame(bytes_)
        except FrameError:
            continue
        assert found.data == bytes_ == frame.data


@effort(50)
@given(st.lists(events, min_size=1, max_size=5), st.data())
def test_a_chain_is_verified(commits, data):
    head, chain = EMPTY_HEAD, []
    for said in commits:
        chain.append(encode_frame(7, head, 1, said))
        assert follows(chain[-1], head)
        head = chain[-1].head
    assert verify_chain(chain) == head
    split = data.draw(st.integers(0, len(chain)))
    assert verify_chain(chain[split:], verify_chain(chain[:split])) == head
    assert head.seq == sum(map(len, commits))
    if len(chain) > 1:
        left_out = data.draw(st.integers(0, len(chain) - 2))
        with pytest.raises(FrameError, match=r"frame 000000000007:\d+ does not follow"):
            verify_chain(chain[:left_out] + chain[left_out + 1 :])


def test_the_other_branch_of_a_fork_does_not_follow():
    ours = encode_frame(7, EMPTY_HEAD, 1, [[]])
    theirs = encode_frame(7, EMPTY_HEAD, 2, [[]])
    after_ours = encode_frame(7, ours.head, 3, [[]])
    assert follows(after_ours, ours.head)
    assert not follows(after_ours, theirs.head)
    with pytest.raises(FrameError):
        verify_chain([theirs, after_ours])


def test_a_gap_does_not_follow_even_if_the_hash_fits():
    frame = encode_frame(7, Head(5, b"h" * 32), 1, [[]])
    assert follows(frame, Head(5, b"h" * 32))
    assert not follows(frame, Head(4, b"h" * 32))


def test_encoded_entries_are_taken_as_they_are():
    entry = (1, "o", {"a": 1})
    raw = msgspec.Raw(msgpack.packb(entry))
    assert encode_frame(1, EMPTY_HEAD, 5, [[raw]]) == encode_frame(1, EMPTY_HEAD, 5, [[entry]])
