"""What waits in the outbox leaves, in order, whole, and once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.clock import Head
from tallystick.core.replication.effects import Alarm, Effect, Send
from tallystick.core.replication.messages import Ack, Ask, Frames, Hello
from tallystick.core.replication.replicator import MESSAGE_BYTES
from tallystick.node.outbox import GATHER_MS, Outbox

ALARM = Alarm("REASON", "message", 1)
HELLO = Send(1, Hello("cluster", 2, 3, "eu", "eu:1"))
ASK = Send(1, Ask(1, b"tea", 5))


def frames(link: int, *data: bytes) -> Send:
    return Send(link, Frames(data))


def ack(link: int, **seqs: int) -> Send:
    return Send(link, Ack({int(origin[1:]): Head(seq, b"x") for origin, seq in seqs.items()}))


def left_at_once() -> Outbox:
    """One that has just sent something."""
    outbox = Outbox()
    assert outbox.pass_on([frames(9, b"first")], GATHER_MS, hurry=False)
    return outbox


def test_after_a_rest_nothing_waits():
    outbox = left_at_once()
    assert outbox.pass_on([frames(1, b"a")], 2 * GATHER_MS, hurry=False) == [frames(1, b"a")]


def test_what_comes_soon_after_waits_for_its_like():
    outbox = left_at_once()
    assert outbox.pass_on([frames(1, b"a"), ack(1, o2=3)], GATHER_MS + 1, hurry=False) == []
    assert outbox.pass_on([frames(2, b"b")], GATHER_MS + 2, hurry=False) == []
    left = outbox.pass_on([frames(1, b"c"), ack(1, o2=4, o3=1)], 2 * GATHER_MS, hurry=False)
    assert left == [frames(1, b"a", b"c"), frames(2, b"b"), ack(1, o2=4, o3=1)]
    assert outbox.pass_on([], 9 * GATHER_MS, hurry=False) == []


def test_time_alone_lets_it_go():
    outbox = left_at_once()
    assert outbox.pass_on([frames(1, b"a")], GATHER_MS + 1, hurry=False) == []
    assert outbox.pass_on([], 2 * GATHER_MS, hurry=False) == [frames(1, b"a")]


def test_who_waits_here_makes_it_leave():
    outbox = left_at_once()
    assert outbox.pass_on([frames(1, b"a")], GATHER_MS + 1, hurry=True) == [frames(1, b"a")]


def test_anything_else_takes_along_what_was_said_before_it():
    outbox = left_at_once()
    outbox.pass_on([frames(1, b"a")], GATHER_MS + 1, hurry=False)
    assert outbox.pass_on([ASK, ALARM], GATHER_MS + 1, hurry=False) == [frames(1, b"a"), ASK, ALARM]


def test_nothing_passes_what_was_said_before_it_in_the_same_turn():
    """Frames ahead of a greeting are dropped by who gets them."""
    outbox = left_at_once()
    said = [frames(1, b"a"), HELLO, frames(1, b"b"), ack(1, o2=1)]
    assert outbox.pass_on(said, GATHER_MS + 1, hurry=False) == said


def test_it_says_when_it_wants_to_be_asked_again():
    outbox = left_at_once()
    assert outbox.due_ms is None
    outbox.pass_on([frames(1, b"a")], GATHER_MS + 3, hurry=False)
    assert outbox.due_ms == 2 * GATHER_MS
    outbox.pass_on([], 2 * GATHER_MS, hurry=False)
    assert outbox.due_ms is None


def test_a_message_is_no_longer_than_one_of_the_log():
    outbox = left_at_once()
    half = bytes(MESSAGE_BYTES // 2)
    for data in (half, half, b"more"):
        assert outbox.pass_on([frames(1, data)], GATHER_MS + 1, hurry=False) == []
    assert outbox.pass_on([], 2 * GATHER_MS, hurry=False) == [frames(1, half, half), frames(1, b"more")]


sends = st.one_of(
    st.builds(
        frames, st.integers(1, 3), st.binary(min_size=1, max_size=4), st.binary(min_size=1, max_size=4)
    ),
    st.builds(lambda link, seq: ack(link, o1=seq), st.integers(1, 3), st.integers(1, 9)),
    st.sampled_from([ASK, ALARM]),
)


@given(st.lists(st.tuples(st.lists(sends, max_size=4), st.integers(0, GATHER_MS), st.booleans())))
def test_all_leaves_in_the_order_of_its_link(turns):
    outbox, now_ms, said, left = Outbox(), 0, [], []
    for effects, passed_ms, hurry in turns:
        now_ms += passed_ms
        said += effects
        left += outbox.pass_on(effects, now_ms, hurry=hurry)
    left += outbox.pass_on([], now_ms + GATHER_MS, hurry=False)
    assert flat(left) == flat(said)
    assert [each for each in left if each in (ASK, ALARM)] == [each for each in said if each in (ASK, ALARM)]
    assert last_acks(left) == last_acks(said)


def flat(effects: list[Effect]) -> list[tuple[int, bytes]]:
    """Frames with their links, sorted by link only."""
    found = [
        (effect.link, data)
        for effect in effects
        if isinstance(effect, Send) and isinstance(effect.message, Frames)
        for data in effect.message.frames
    ]
    return sorted(found, key=lambda pair: pair[0])


def last_acks(effects: list[Effect]) -> dict[int, dict[int, Head]]:
    """What each link was told in the end."""
    told: dict[int, dict[int, Head]] = {}
    for effect in effects:
        if isinstance(effect, Send) and isinstance(effect.message, Ack):
            told.setdefault(effect.link, {}).update(effect.message.vector)
    return told
