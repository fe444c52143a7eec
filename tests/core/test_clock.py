"""Time and identity."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.core.clock import (
    COUNTER_BITS,
    FORWARD_LIMIT_MS,
    REPLICA_ID_MAX,
    Dot,
    hlc,
    hlc_ms,
    receive,
    tick,
)

ms = st.integers(0, (1 << 47) - 1)
stamps = st.builds(hlc, ms, st.integers(0, (1 << COUNTER_BITS) - 1))


@given(ms, st.integers(0, (1 << COUNTER_BITS) - 1))
def test_a_stamp_is_48_bits_of_time_and_16_of_counter(time, counter):
    assert hlc(time, counter) == time * 65_536 + counter
    assert hlc_ms(hlc(time, counter)) == time


@given(stamps, st.lists(st.one_of(ms, stamps.map(lambda stamp: -stamp)), max_size=30))
def test_stamps_rise_whatever_the_clock_and_the_peers_do(last, happenings):
    """A clock reading is a local event; a negative number stands for a peer's stamp."""
    now = hlc_ms(last)
    for happening in happenings:
        if happening > 0:
            now = happening
            after = tick(last, now)
            assert after > last
            assert hlc_ms(after) >= now
        else:
            after, _ = receive(last, -happening, now)
            assert after >= last
        last = after


@given(stamps, ms)
def test_at_rest_a_stamp_is_the_time(last, now):
    assert tick(last, now) == (hlc(now) if hlc(now) > last else last + 1)


@given(stamps, stamps, ms)
@example(last=0, remote=hlc(1_500, 65_535), now=1_000)
@example(last=0, remote=hlc(1_501), now=1_000)
def test_a_peer_far_ahead_raises_the_alarm_and_never_moves_us(last, remote, now):
    after, alarm = receive(last, remote, now)
    assert alarm == (remote // 65_536 - now > FORWARD_LIMIT_MS)
    assert after == (last if alarm else max(last, remote))


def test_many_events_in_one_millisecond_run_over_into_the_next():
    assert tick(hlc(7, 65_535), 7) == hlc(8, 0)


@given(st.integers(0, REPLICA_ID_MAX), st.integers(0, (1 << 63) - 1))
def test_a_dot_is_read_as_it_is_written(replica, seq):
    dot = Dot(replica, seq)
    assert Dot.parse(str(dot)) == dot


NO_DOTS = [
    "",
    ":",
    "000000000001",
    "000000000001:",
    "00000000001:1",
    "0000000000001:1",
    "00000000000g:1",
    "00000000000A:1",  # int() would take it
    "0x0000000001:1",  # and these
    "0000_0000_01:1",
    "  0000000001:1",
    "+00000000001:1",
    "000000000001:+1",
    "000000000001:01",
    "000000000001:٣",
    "000000000001:1\n",
    "000000000001:1:1",
]


@pytest.mark.parametrize("text", NO_DOTS)
def test_nothing_else_is_read_as_a_dot(text):
    with pytest.raises(ValueError, match="not a dot"):
        Dot.parse(text)


@given(st.text(alphabet="0123456789abcdefAF:x_+- ", max_size=18))
def test_what_is_read_as_a_dot_is_what_that_dot_writes(text):
    try:
        dot = Dot.parse(text)
    except ValueError:
        return
    assert str(dot) == text
