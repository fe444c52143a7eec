"""The parts of a checkpoint: sorting in steps, the pace, layers that are merged."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick.store.checkpoint import keys_due
from tallystick.store.dirty import MISSING, Dirty, look_up
from tallystick.store.port import Table
from tallystick.store.sorting import StepSort

STOCK = Table.STOCK


@given(st.lists(st.binary(max_size=4), max_size=50), st.integers(0, 5))
def test_sorting_in_steps_is_sorting(keys, steps):
    sort = StepSort(keys)
    for _ in range(steps):
        sort.step()
    assert sort.result() == sorted(keys)


def test_sorting_many_keys_takes_steps_of_bounded_size():
    keys = [b"%08d" % (number * 7_919 % 100_003) for number in range(50_000)]
    sort = StepSort(keys)
    steps = 0
    while sort.step():
        steps += 1
    assert steps == -(-50_000 // 4_096)
    assert len(sort._runs) <= 4
    assert sort.result() == sorted(keys)


@settings(deadline=None)
@given(
    keys=st.integers(0, 500_000),
    room=st.integers(1, 100_000),
    commits=st.lists(st.integers(0, 5_000), max_size=60),
)
def test_at_the_pace_the_last_key_is_written_before_the_backlog_is_full(keys, room, commits):
    for events in commits:
        due = keys_due(keys, room, events)
        assert 0 <= due <= keys
        keys -= due
        room -= events
        if room <= events:
            assert keys == 0 or events == 0
            break


def test_the_pace_is_even():
    keys, room, written = 60_000, 50_000, []
    while keys:
        due = keys_due(keys, room, 1_000)
        written.append(due)
        keys -= due
        room -= 1_000
    assert max(written) <= 1_300
    assert len(written) == 49


def test_readers_in_turn_leave_few_layers():
    dirty = Dirty(0)
    for number in range(300):
        dirty.absorb({STOCK: {b"%03d" % number: number, b"hot": number}}, number + 1)
        view = dirty.share()
        assert len(view.layers) <= 12
        assert look_up(view.layers, STOCK, b"hot") == number
        assert look_up(view.layers, STOCK, b"%03d" % number) == number
        assert look_up(view.layers, STOCK, b"none") is MISSING
    assert {key for layer in view.layers for key in layer.rows[STOCK]} == {
        b"hot",
        *(b"%03d" % number for number in range(300)),
    }


def test_without_readers_there_is_one_layer():
    dirty = Dirty(0)
    for number in range(300):
        dirty.absorb({STOCK: {b"%03d" % number: number}}, number + 1)
    assert len(dirty.view.layers) == 1


def test_sorted_keys_of_merged_layers_are_each_there_once():
    dirty = Dirty(0)
    for number in range(50):
        dirty.absorb({STOCK: {b"%02d" % (number % 7): number, b"x%02d" % number: number}}, number + 1)
        for layer in dirty.share().layers:
            assert layer.sorted_keys(STOCK) == sorted(layer.rows[STOCK])
