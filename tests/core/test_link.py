"""What one peer has and is being sent: nothing is forgotten, and no more is under way than may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.clock import Head
from tallystick.core.replication.link import (
    LEAST_WINDOW_BYTES,
    RESEND_BYTES_A_MS,
    RESEND_MS,
    WINDOW_BYTES,
    Link,
)
from tests.kit.effort import effort

ME, OTHER = 1, 2
MIB = 1 << 20
FRAME = 32 << 10


def head(seq: int) -> Head:
    return Head(seq, seq.to_bytes(32))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ship", "ack", "rewind", "want"]), st.sampled_from([ME, OTHER]), st.integers(1, 12)
    ),
    max_size=40,
)


@effort(200)
@given(STEPS)
def test_what_is_sent_is_never_behind_what_the_peer_has(steps):
    """A model of the flight: what was shipped and neither acknowledged nor taken for lost. What is sent again
    because it was asked for again counts until all of it has landed."""
    link, flight = Link(1), list[tuple[int, int, int]]()
    for now, (step, origin, seq) in enumerate(steps):
        match step:
            case "ship" if link.takes(MIB):
                last = link.sent.get(origin, link.seq_of(origin)) + 1
                link.shipped(origin, last, MIB, now)
                flight.append((origin, last, MIB))
            case "ack":
                link.acknowledged({origin: head(seq)}, now)
                flight = [each for each in flight if each[0] != origin or each[1] > seq]
            case "rewind":
                link.rewind()
                flight = []
            case "want" if seq > link.seq_of(OTHER):
                flight = [each for each in flight if each[0] != OTHER or each[1] > seq]
                link.acknowledged({OTHER: head(seq)}, now)
                link.wants(OTHER, seq - 1, seq + 3)
        assert sum(size for _, _, size in flight) <= link.flight_bytes <= WINDOW_BYTES
        assert flight or not link.flight_bytes
        assert link.room == link.window - link.flight_bytes
        assert all(link.sent.get(each, at.seq) >= at.seq for each, at in link.has.items())


def test_a_frame_larger_than_the_window_goes_alone():
    link = Link(1)
    assert link.takes(2 * WINDOW_BYTES)
    link.shipped(ME, 1, 1, 0)
    assert not link.takes(link.window)
    assert link.takes(link.window - 1)


def transfer(bytes_a_ms: int, rtt_ms: int, seconds: int) -> tuple[Link, int]:
    """Send as much as the window allows over a line of that width. Answers the link, and what has landed."""
    link, seq, line_free_ms = Link(1), 0, 0
    acks: list[tuple[int, int]] = []
    landed = 0
    for now in range(0, seconds * 1000, 5):
        while acks and acks[0][0] <= now:
            link.acknowledged({ME: head(acks.pop(0)[1])}, now)
            landed += FRAME
        while link.takes(FRAME):
            seq += 1
            link.shipped(ME, seq, FRAME, now)
            line_free_ms = max(line_free_ms, now) + FRAME // bytes_a_ms
            acks.append((line_free_ms + rtt_ms, seq))
    return link, landed


def test_the_window_opens_on_a_wide_line():
    link, landed = transfer(bytes_a_ms=100_000, rtt_ms=80, seconds=2)
    assert link.window == WINDOW_BYTES
    assert landed > 20 * MIB


def test_on_a_thin_line_little_is_under_way_and_the_line_is_full():
    """Whatever else is said waits behind it: for a second or so, not for a minute."""
    link, landed = transfer(bytes_a_ms=64, rtt_ms=80, seconds=60)
    assert link.window <= 2 * LEAST_WINDOW_BYTES
    assert landed > 0.9 * 60_000 * 64


def test_one_late_round_trip_halves_it_once():
    link = Link(1)
    for seq in range(1, 9):
        link.shipped(ME, seq, FRAME, 0)
    before = link.window
    for seq in range(1, 9):
        link.acknowledged({ME: head(seq)}, 2_000 + seq)
    assert link.window == before // 2


def test_what_is_not_full_is_not_widened():
    link = Link(1)
    link.shipped(ME, 1, FRAME, 0)
    before = link.window
    link.acknowledged({ME: head(1)}, 10)
    assert link.window == before


def test_over_a_thin_line_patience_is_as_long_as_the_line_takes():
    link = Link(1)
    for seq in range(1, 9):
        link.shipped(ME, seq, FRAME, 0)
    takes_ms = 8 * FRAME // RESEND_BYTES_A_MS
    assert not link.seems_lost(RESEND_MS + takes_ms - 1)
    assert link.seems_lost(RESEND_MS + takes_ms)


def test_news_of_others_is_no_progress():
    """It remembers a lost frame in a busy cluster: as long as others wrote it was not sent again."""
    link = Link(1)
    link.shipped(ME, 1, 10, 0)
    link.acknowledged({OTHER: head(5)}, 70)
    assert link.progress_ms == 0
    link.acknowledged({ME: head(1)}, 80)
    assert link.progress_ms == 80


def test_a_wish_that_is_met_is_forgotten():
    link = Link(1)
    link.wants(OTHER, 0, 3)
    link.shipped(OTHER, 3, 10, 0)
    link.acknowledged({OTHER: head(2)}, 1)
    assert link.wanted == {OTHER: 3}
    link.acknowledged({OTHER: head(3)}, 2)
    assert (link.wanted, link.sent) == ({}, {})
