"""A comparison by hand: what is asked, and asked again, and which looks may be held against each other."""

from __future__ import annotations

from tallystick.core.digest import bucket_of, hash_record, touches_of
from tallystick.core.replica.outcome import EntryKind
from tallystick.core.replication.effects import Send
from tallystick.core.replication.messages import Digest, DigestRequest, Inspect, Inspected, Message
from tallystick.core.stock.rights import EMPTY_STOCK
from tallystick.node.comparing import LOOKS, PASSES, PATIENCE_S, PAUSE_S, PIECE, REPEAT_S, Comparison
from tallystick.node.proving import Before, Proof
from tallystick.node.surveying import Looked

PEER, LINK = 7, 3
KEY = b"o-1"
BUCKET = bucket_of(EntryKind.ORDER, KEY)
NAME = ("orders", KEY)


def proof() -> Proof:
    """A node that was touched by something, and has nothing."""
    made = Proof(Before(lambda _: None, lambda _: None, lambda _: None, lambda _: EMPTY_STOCK))
    made.digests.touch(touches_of(bytes(range(32)), [(EntryKind.ORDER, "o-1")]))
    made.counted_all([0] * 4_096)
    return made


def hashed(payload: bytes) -> bytes:
    return hash_record(EntryKind.ORDER, KEY, payload).to_bytes(16)


def sent(comparison: Comparison) -> list[Message]:
    effects = comparison.take_effects()
    assert all(isinstance(effect, Send) and effect.link == LINK for effect in effects)
    return [effect.message for effect in effects if isinstance(effect, Send)]


def look(comparison: Comparison, now_s: float, ours: bytes, theirs: bytes, *, touched: bytes) -> None:
    """Both answer an Inspect: what we have, what the peer has, and what had touched it there."""
    comparison.tick(now_s)
    assert sent(comparison) == [Inspect((BUCKET,))]
    (wanted,) = comparison.take_surveys()
    here = proof().digests.touched_in(BUCKET)
    wanted.then(Looked({BUCKET: here}, {NAME: ours}, truncated=False))
    comparison.inspected(Inspected((BUCKET,), touched, ((*NAME, theirs),)), now_s)
    comparison.tick(now_s)


def test_records_are_compared_where_both_were_touched_by_the_same():
    comparison = Comparison(PEER, LINK, proof(), 0.0, wrong=[BUCKET])
    touched = proof().digests.touched_in(BUCKET)
    look(comparison, 0.0, hashed(b"a"), hashed(b"b"), touched=touched)
    (found,) = comparison.differences
    assert (found.peer, found.table, found.record) == (PEER, "orders", "o-1")
    assert comparison.ended


def test_a_bucket_in_motion_is_looked_at_again_and_given_up_in_the_end():
    comparison = Comparison(PEER, LINK, proof(), 0.0, wrong=[BUCKET])
    for number in range(LOOKS):
        assert not comparison.ended
        look(comparison, number * 2 * PAUSE_S, hashed(b"a"), hashed(b"b"), touched=bytes(16))
    (found,) = comparison.differences
    assert (found.table, found.record) == ("", f"bucket {BUCKET}")
    assert "changed each time" in found.problem


def test_sums_that_differ_over_equal_records_are_told():
    comparison = Comparison(PEER, LINK, proof(), 0.0, wrong=[BUCKET])
    touched = proof().digests.touched_in(BUCKET)
    look(comparison, 0.0, hashed(b"a"), hashed(b"a"), touched=touched)
    (found,) = comparison.differences
    assert "its sums are not" in found.problem


def test_a_question_that_is_lost_is_asked_again():
    comparison = Comparison(PEER, LINK, proof(), 0.0, unknown=[BUCKET])
    comparison.tick(0.0)
    asked = sent(comparison)
    assert asked == [DigestRequest(BUCKET // PIECE * PIECE, PIECE)]
    comparison.tick(REPEAT_S - 0.1)
    assert sent(comparison) == []
    comparison.tick(REPEAT_S)
    assert sent(comparison) == asked


def test_a_peer_that_says_nothing_is_given_up():
    comparison = Comparison(PEER, LINK, proof(), 0.0, unknown=[BUCKET])
    comparison.tick(PATIENCE_S)
    assert not comparison.ended
    comparison.tick(PATIENCE_S + 0.1)
    assert comparison.lost


def test_a_peer_that_counts_is_waited_for():
    """However often it says so: a node with much on its disk takes its time."""
    comparison = Comparison(PEER, LINK, proof(), 0.0, unknown=[BUCKET])
    first = BUCKET // PIECE * PIECE
    for number in range(3 * PASSES):
        comparison.tick(number * 2 * PAUSE_S)
        assert sent(comparison) == [DigestRequest(first, PIECE)]
        comparison.heard(Digest({}, first, b""), number * 2 * PAUSE_S)
    ours = proof().pairs(first, PIECE)
    later_s = 6 * PASSES * PAUSE_S
    comparison.tick(later_s)
    comparison.heard(Digest({}, first, ours), later_s)
    comparison.tick(later_s)
    assert comparison.ended
    assert (comparison.lost, comparison.in_motion, comparison.differences) == (False, 0, [])


def test_what_never_stands_still_is_counted_as_such():
    comparison = Comparison(PEER, LINK, proof(), 0.0, unknown=[BUCKET])
    first = BUCKET // PIECE * PIECE
    now_s = 0.0
    while not comparison.ended:
        comparison.tick(now_s)
        comparison.heard(Digest({}, first, b"?" * 32 * PIECE), now_s)
        now_s += PAUSE_S
        assert now_s < 60
    assert (comparison.in_motion, comparison.differences) == (1, [])
