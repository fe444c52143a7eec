"""Digests: sums that need no order, kept by what changes alone, compared where the same has touched both."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.digest import BUCKETS, PAIR_BYTES, Digests, bucket_of, differing, hash_record, touches_of
from tallystick.core.replica.outcome import EntryKind

KINDS = st.sampled_from([*map(int, EntryKind)])
_NAMES = ("a", "b", "ab", "tea\0shelf", "0123456789ab", "日本茶\0")
NAMES = st.sampled_from(_NAMES)
TOUCHED = {bucket_of(int(kind), name.encode()) for kind in EntryKind for name in _NAMES}
"""All buckets that anything here falls into."""
HASHES = st.binary(min_size=32, max_size=32)
TOUCHES = st.lists(st.tuples(HASHES, st.lists(st.tuples(KINDS, NAMES), max_size=4)), max_size=8)
PAYLOADS = st.binary(max_size=8)
WRITES = st.lists(st.tuples(KINDS, NAMES.map(str.encode), PAYLOADS), max_size=20)


def filled(touches, writes) -> Digests:
    """What these frames touched, and these writes left."""
    digests = Digests()
    held: dict[tuple[int, bytes], int] = {}
    for digest, names in touches:
        digests.touch(touches_of(digest, names))
    for kind, name, payload in writes:
        before, after = held.get((kind, name), 0), hash_record(kind, name, payload)
        digests.change(bucket_of(kind, name), before, after)
        held[kind, name] = after
    return digests


@given(TOUCHES, st.randoms(use_true_random=False))
def test_touches_sum_up_in_any_order(touches, random):
    once = filled(touches, [])
    entries = [each for digest, names in touches for each in touches_of(digest, names)]
    random.shuffle(entries)
    again = Digests()
    for entry in entries:
        again.touch([entry])
    assert again.pairs(0, BUCKETS) == once.pairs(0, BUCKETS)


@given(WRITES, st.randoms(use_true_random=False))
def test_what_was_written_over_leaves_no_trace(writes, random):
    """Only the last payload of each record counts, in whatever order the records came to it."""
    last = {(kind, name): payload for kind, name, payload in writes}
    rows = [(*record, payload) for record, payload in last.items()]
    random.shuffle(rows)
    assert filled([], writes).pairs(0, BUCKETS) == filled([], rows).pairs(0, BUCKETS)


@given(WRITES, WRITES)
def test_a_count_made_apart_and_what_changed_meanwhile_are_the_whole(writes, later):
    """A count of the state at one moment comes when more has been written since."""
    counted, meanwhile = filled([], writes), Digests()
    held = {(kind, name): hash_record(kind, name, payload) for kind, name, payload in writes}
    for kind, name, payload in later:
        after = hash_record(kind, name, payload)
        meanwhile.change(bucket_of(kind, name), held.get((kind, name), 0), after)
        held[kind, name] = after
    meanwhile.add_held(counted.held)
    assert meanwhile.pairs(0, BUCKETS) == filled([], [*writes, *later]).pairs(0, BUCKETS)


@given(TOUCHES, WRITES)
def test_what_touched_is_kept_as_bytes(touches, writes):
    digests = filled(touches, writes)
    again = Digests(digests.pack_touched())
    assert again.pack_touched() == digests.pack_touched()
    pairs = again.pairs(0, BUCKETS)
    assert [again.touched_in(bucket) for bucket in range(BUCKETS)] == [
        pairs[at : at + 16] for at in range(0, len(pairs), PAIR_BYTES)
    ]


@given(KINDS, NAMES)
def test_a_touch_falls_where_its_record_is(kind, name):
    ((bucket, hashed),) = touches_of(bytes(range(32)), [(kind, name)])
    assert bucket == bucket_of(kind, name.encode())
    assert hashed == int.from_bytes(bytes(range(16)))


@given(st.tuples(KINDS, st.binary(max_size=6), PAYLOADS), st.tuples(KINDS, st.binary(max_size=6), PAYLOADS))
def test_records_are_told_apart(left, right):
    """By kind, name and payload; the border between the two is not lost."""
    assert (hash_record(*left) == hash_record(*right)) == (left == right)


@given(TOUCHES, TOUCHES, WRITES, WRITES)
def test_only_what_was_touched_by_the_same_is_compared(touches, more, writes, others):
    ours, theirs = filled(touches, writes), filled([*touches, *more], others)
    found = dict(differing(ours.pairs(0, BUCKETS), theirs.pairs(0, BUCKETS)))
    assert found.keys() >= {*range(BUCKETS)} - TOUCHED
    for bucket in TOUCHED:
        alike = ours.touched_in(bucket) == theirs.touched_in(bucket)
        assert (bucket in found) == alike
        if alike:
            assert found[bucket] == (ours.pairs(bucket, 1) != theirs.pairs(bucket, 1))


@given(TOUCHES, WRITES, WRITES)
def test_a_root_names_the_whole_state(touches, writes, others):
    ours, theirs = filled(touches, writes), filled(touches, others)
    assert (ours.root() == theirs.root()) == (ours.pairs(0, BUCKETS) == theirs.pairs(0, BUCKETS))


def test_runs_end_where_the_buckets_end():
    digests = filled([(bytes(32), [(1, "a")])], [])
    assert len(digests.pairs(BUCKETS - 2, 10)) == 2 * PAIR_BYTES
    assert digests.pairs(BUCKETS, 10) == b""
    assert [*differing(digests.pairs(0, 3), digests.pairs(0, 1))] == [(0, False)]
