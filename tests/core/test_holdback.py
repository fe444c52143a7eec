"""Frames that came before their turn: however they come, they leave in an order that their causes allow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.clock import EMPTY_HEAD, Head
from tallystick.core.frame import Frame, encode_frame
from tallystick.core.replication.holdback import STRAYS_MAX, HoldBack
from tests.kit.effort import effort

ORIGINS = (1, 2, 3)


def chain(origin: int, count: int, size: int = 10, head: Head = EMPTY_HEAD) -> list[Frame]:
    """Frames of one event each, without deps."""
    frames = []
    for _ in range(count):
        frames.append(encode_frame(origin, head, 1, [["x" * size]]))
        head = frames[-1].head
    return frames


@st.composite
def histories(draw: st.DrawFn) -> list[Frame]:
    """Frames of several origins in an order in which they may have been written: each depends on what its
    origin had seen of the others."""
    heads, seen = dict.fromkeys(ORIGINS, EMPTY_HEAD), {origin: dict[int, Head]() for origin in ORIGINS}
    frames = []
    for origin in draw(st.lists(st.sampled_from(ORIGINS), min_size=1, max_size=25)):
        other = draw(st.sampled_from(ORIGINS))
        deps = []
        if other != origin and heads[other].seq > seen[origin].get(other, EMPTY_HEAD).seq:
            seen[origin][other] = heads[other]
            deps = [(other, *heads[other])]
        events = [["e"]] * draw(st.integers(1, 3))
        frames.append(encode_frame(origin, heads[origin], 1, events, tuple(deps)))
        heads[origin] = frames[-1].head
    return frames


def drain(held: HoldBack, vector: dict[int, Head], events_max: int = 4) -> list[Frame]:
    """Apply all that can be, in commits of a few events."""
    done: list[Frame] = []
    while ready := held.ready(vector, events_max, 1 << 20):
        for frame in ready:
            at = vector.get(frame.origin, EMPTY_HEAD)
            assert (frame.first, frame.previous) == (at.seq + 1, at.digest)
            for origin, seq, digest in frame.deps:
                assert vector[origin].seq > seq or vector[origin] == (seq, digest)
            vector[frame.origin] = frame.head
        held.applied(ready)
        done += ready
    return done


def take(held: HoldBack, frame: Frame, vector: dict[int, Head]) -> None:
    """As the replicator does: only what is neither on disk nor held."""
    head = vector.get(frame.origin, EMPTY_HEAD)
    if frame.last > held.tail(frame.origin, head).seq:
        held.add(frame, head)


@effort(200)
@given(histories(), st.randoms(use_true_random=False), st.booleans())
def test_any_order_of_coming_is_one_order_of_leaving(frames, random, patient):
    held, vector, done = HoldBack(), dict[int, Head](), []
    coming = [*frames, *random.sample(frames, len(frames) // 2)]
    random.shuffle(coming)
    for frame in coming:
        take(held, frame, vector)
        done += [] if patient else drain(held, vector)
    done += drain(held, vector)
    assert {frame.head for frame in done} == {frame.head for frame in frames}
    assert len(done) == len(frames)
    assert held.bytes == 0
    assert dict(held.counts()) == {}


@effort(100)
@given(histories(), st.randoms(use_true_random=False), st.integers(0, 400))
def test_however_small_it_is_all_come_through(frames, random, bytes_max):
    """It remembers chains that waited for one that found no room: what was refused is asked for again, and
    the next of a chain is never refused."""
    held, vector, done = HoldBack(bytes_max), dict[int, Head](), 0
    largest = max(len(frame.data) for frame in frames)
    for _ in range(len(frames)):
        coming = random.sample(frames, len(frames))
        for frame in coming:
            take(held, frame, vector)
            assert held.bytes <= bytes_max + len(ORIGINS) * largest
        done += len(drain(held, vector))
    assert done == len(frames)


def test_beyond_a_gap_only_so_many_are_kept():
    held, frames = HoldBack(), chain(1, STRAYS_MAX + 3)
    kept = [held.add(frame, EMPTY_HEAD) for frame in frames[1:]]
    assert kept == [True] * STRAYS_MAX + [False] * 2
    assert not held.add(frames[1], EMPTY_HEAD), "it is there"
    assert held.add(frames[0], EMPTY_HEAD)
    assert len(drain(held, {})) == STRAYS_MAX + 1
    assert held.bytes == 0


def test_one_commit_takes_so_many_and_one_at_least():
    held, frames = HoldBack(), chain(1, 5)
    for frame in frames:
        held.add(frame, EMPTY_HEAD)
    assert held.ready({}, 2, 1 << 20) == frames[:2]
    assert held.ready({}, 100, 1) == frames[:1]


def test_a_dependency_on_another_branch_is_never_met():
    held, (cause,), (other,) = HoldBack(), chain(1, 1), chain(1, 1, size=11)
    effect = encode_frame(2, EMPTY_HEAD, 1, [["e"]], ((1, *cause.head),))
    held.add(effect, EMPTY_HEAD)
    assert held.ready({1: other.head}, 10, 1 << 20) == []
    assert held.ready({1: cause.head}, 10, 1 << 20) == [effect]


def test_a_stray_of_another_branch_is_let_go():
    held, ours, theirs = HoldBack(), chain(1, 2), chain(1, 2, size=11)
    held.add(theirs[1], EMPTY_HEAD)
    held.add(ours[0], EMPTY_HEAD)
    assert held.counts() == {1: 1}
    assert held.bytes == len(ours[0].data)


def test_a_snapshot_moves_the_heads():
    """What it has is let go, what follows it stays, strays as well."""
    held, frames, others = HoldBack(), chain(1, 6), chain(2, 4)
    for frame in (*frames[:4], frames[5]):
        held.add(frame, EMPTY_HEAD)
    held.add(others[1], EMPTY_HEAD)
    held.add(others[3], EMPTY_HEAD)
    vector = {1: frames[1].head, 2: others[2].head}
    held.rebase(vector)
    assert held.counts() == {1: 3, 2: 1}
    assert drain(held, vector) == [frames[2], frames[3], others[3]]
    held.drop(1)
    assert held.bytes == 0
