"""What one peer has and is being sent: nothing is forgotten, and no more is under way than may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.clock import Head
from tallystick.core.replication.link import RELAY_BYTES, WINDOW_BYTES, Link
from tests.kit.effort import effort

ME, OTHER = 1, 2
MIB = 1 << 20


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
            case "ship" if link.takes(origin, MIB):
                last = link.sent.get(origin, link.seq_of(origin)) + 1
                link.shipped(origin, last, MIB)
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
        assert sum(size for _, _, size in flight) <= link.flight_bytes <= 2 * WINDOW_BYTES
        assert flight or not link.flight_bytes
        assert all(link.sent.get(each, at.seq) >= at.seq for each, at in link.has.items())


def test_a_frame_larger_than_the_window_goes_alone():
    link = Link(1)
    assert link.takes(ME, 2 * WINDOW_BYTES)
    link.shipped(ME, 1, 1)
    assert not link.takes(ME, WINDOW_BYTES)
    assert link.takes(ME, WINDOW_BYTES - 1)


def test_what_is_relayed_has_a_window_of_its_own():
    link = Link(1)
    link.wants(OTHER, 0, 9)
    link.shipped(ME, 1, WINDOW_BYTES)
    assert not link.takes(ME, 1)
    assert link.takes(OTHER, RELAY_BYTES)
    link.shipped(OTHER, 1, RELAY_BYTES)
    assert not link.takes(OTHER, 1)
    link.acknowledged({OTHER: head(1)}, 0)
    assert link.takes(OTHER, RELAY_BYTES)
    assert not link.takes(ME, 1)
    link.rewind()
    assert link.takes(ME, WINDOW_BYTES)


def test_news_of_others_is_no_progress():
    """It remembers a lost frame in a busy cluster: as long as others wrote it was not sent again."""
    link = Link(1)
    link.shipped(ME, 1, 10)
    link.acknowledged({OTHER: head(5)}, 70)
    assert link.progress_ms == 0
    link.acknowledged({ME: head(1)}, 80)
    assert link.progress_ms == 80


def test_a_wish_that_is_met_is_forgotten():
    link = Link(1)
    link.wants(OTHER, 0, 3)
    link.shipped(OTHER, 3, 10)
    link.acknowledged({OTHER: head(2)}, 1)
    assert link.wanted == {OTHER: 3}
    link.acknowledged({OTHER: head(3)}, 2)
    assert (link.wanted, link.sent) == ({}, {})
