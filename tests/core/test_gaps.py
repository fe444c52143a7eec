"""Who is asked for what others have and this node lacks, and when."""

from __future__ import annotations

from tallystick.core.clock import Head
from tallystick.core.replication.gaps import STALL_MS, WANT_MS, Gaps
from tallystick.core.replication.link import Link
from tallystick.core.replication.messages import Want

ORIGIN = 9


def link(number: int, peer: int, seq: int = 0) -> Link:
    return Link(number, peer=peer, has={ORIGIN: Head(seq, bytes(32))} if seq else {})


def seek(
    gaps: Gaps, links: list[Link], now: int, reached: int = 0, besides: tuple[int, ...] = ()
) -> list[int]:
    """Whom it asks."""
    wants = gaps.seek(links, besides, lambda _: reached, now)
    assert all(want == Want(ORIGIN, reached, peer.seq_of(ORIGIN)) for peer, want in wants)
    return [peer.number for peer, _ in wants]


def test_without_a_link_of_its_own_whoever_has_it_is_asked_at_once():
    gaps, links = Gaps(), [link(1, 5), link(2, 6, 7)]
    assert seek(gaps, links, 0) == [2]
    assert seek(gaps, links, WANT_MS - 1) == []
    assert seek(gaps, links, WANT_MS) == [2]


def test_its_own_link_is_given_time():
    gaps, links = Gaps(), [link(1, ORIGIN), link(2, 6, 7)]
    assert seek(gaps, links, 0) == []
    gaps.narrowed(ORIGIN, 100)
    assert seek(gaps, links, 100 + STALL_MS - 1) == []
    assert seek(gaps, links, 100 + STALL_MS) == [2]


def test_they_are_asked_in_turn():
    """It remembers two of three that had it from a snapshot: each was asked in turn, and the third never."""
    gaps, links = Gaps(), [link(1, 5, 8), link(2, 6, 7), link(3, 7, 8)]
    assert [seek(gaps, links, turn * WANT_MS) for turn in range(4)] == [[1], [2], [3], [1]]


def test_what_is_here_is_forgotten():
    gaps, links = Gaps(), [link(1, 5, 8)]
    assert seek(gaps, links, 0) == [1]
    assert seek(gaps, links, 1, reached=8) == []
    links[0].has[ORIGIN] = Head(9, bytes(32))
    assert seek(gaps, links, 2, reached=8) == [1]


def test_of_some_nothing_is_wanted_and_some_have_nobody_to_ask():
    assert seek(Gaps(), [link(1, 5, 8)], 0, besides=(ORIGIN,)) == []
    assert seek(Gaps(), [link(1, ORIGIN, 8)], STALL_MS * 10) == []


def test_who_was_asked_and_went_is_asked_no_more():
    gaps, links = Gaps(), [link(1, 5, 8), link(2, 6, 8)]
    assert seek(gaps, links, 0) == [1]
    assert seek(gaps, links[1:], 1) == [2]
