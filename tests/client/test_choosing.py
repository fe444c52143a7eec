"""Which address is next: laws of health by any history, and a call's way by any failures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tallystick.client import errors
from tallystick.client.choosing import Health, Route
from tallystick.client.failures import Failure

COUNT = 3
ADDRESSES = st.integers(0, COUNT - 1)
LUCK = st.floats(0.0, 1.0, exclude_max=True)

BUSY = Failure(errors.Overloaded("busy", reason="TOO_MANY_CALLS"), True, elsewhere=True, retry_after_s=0.3)
GONE = Failure(errors.OutcomeUnknown("reset"), True, elsewhere=True, unwell=True)
FULL = Failure(errors.StorageFull("full", reason="STORAGE_FULL"), False, elsewhere=True, unwell=True)
SHORT = Failure(errors.InsufficientStock("none"), False, verdict=True)
FAILURES = st.sampled_from([BUSY, GONE, FULL, SHORT])


class Histories(RuleBasedStateMachine):
    """Addresses fail, are asked, rise and answer, in any order; a model keeps the book in plain sets."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health(COUNT)
        self.now = 0.0
        self.asked_at: dict[int, float] = {}
        self.failures = [0] * COUNT
        self.begun = [0] * COUNT

    @rule(seconds=st.floats(0.0, 20.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(address=ADDRESSES, luck=LUCK)
    def fail(self, address: int, luck: float) -> None:
        pause = self.health.fail(address, self.now, luck)
        ceiling = [1.0, 2.0, 4.0, 8.0, 15.0][min(self.failures[address], 4)]
        assert ceiling / 2 <= pause <= ceiling
        self.asked_at[address] = self.now + pause
        self.failures[address] += 1

    @rule(address=ADDRESSES)
    def rise(self, address: int) -> None:
        self.health.rise(address)
        self.asked_at.pop(address, None)

    @rule(address=ADDRESSES)
    def begin(self, address: int) -> None:
        self.begun[address] = self.failures[address]

    @rule(address=ADDRESSES)
    def answer(self, address: int) -> None:
        began_after = self.begun[address]
        self.health.answered(address, began_after)
        if self.failures[address] == began_after > 0:
            self.asked_at.pop(address, None)
            self.failures[address] = 0

    @invariant()
    def the_well_come_first_as_preferred_and_nobody_is_left_out(self) -> None:
        up = [address for address in range(COUNT) if address not in self.asked_at]
        tour = list(self.health.tour)
        assert tour[: len(up)] == up
        assert sorted(tour) == list(range(COUNT))
        down = [self.asked_at[address] for address in tour[len(up) :]]
        assert down == sorted(down)
        assert [self.health.is_down(address) for address in range(COUNT)] == [
            address in self.asked_at for address in range(COUNT)
        ]
        assert [self.health.failures(address) for address in range(COUNT)] == self.failures


TestHistories = Histories.TestCase


def test_what_comes_back_and_fails_again_is_left_alone_for_longer():
    """A node whose status answers while its writes hang is not asked every second for ever."""
    health = Health(2)
    pauses = []
    for _ in range(6):
        pauses.append(health.fail(0, 0.0, luck=0.0))
        health.rise(0)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 7.5, 7.5]
    health.answered(0, failures=6)
    assert health.fail(0, 0.0, luck=0.0) == 0.5


@given(st.lists(FAILURES, min_size=1, max_size=12), st.lists(ADDRESSES, max_size=2), LUCK)
def test_a_call_meets_each_address_once_a_round_and_ends_with_what_is_final(failures, down, luck):
    health = Health(COUNT)
    for address in down:
        health.fail(address, 0.0, 0.5)
    route = Route(health)
    met: list[int] = []
    heard: list[Failure] = []
    for failure in failures:
        met.append(route.next())
        heard.append(failure)
        delay = route.after(failure, luck)
        over = len(heard) == COUNT
        if delay is None:
            final = [each for each in heard if not each.retryable]
            assert route.told is final[0]
            assert not failure.elsewhere or over
            return
        assert failure.elsewhere
        assert tuple(met) == health.tour[: len(met)]
        if over:
            assert all(each.retryable for each in heard)
            assert delay >= min(each.retry_after_s for each in heard)
            assert delay > 0
            met.clear()
            heard.clear()
        else:
            assert delay == 0


def test_a_way_of_one_address_pauses_after_every_attempt():
    for route in (Route(Health(1)), Route(Health(3), only=2)):
        here = route.next()
        delays = [route.after(GONE, luck=0.0)]
        for _ in range(2):
            assert route.next() == here
            delays.append(route.after(GONE, luck=0.0))
        assert (delays, route.rounds) == ([0.025, 0.05, 0.1], 3)
        route.next()
        assert route.after(FULL, luck=0.0) is None


def test_what_a_node_explained_tells_more_than_silence():
    route = Route(Health(3))
    route.next()
    route.after(BUSY, 0.0)
    route.next()
    route.after(GONE, 0.0)
    assert route.told is BUSY
    route.next()
    route.after(FULL, 0.0)
    assert route.told is FULL


def test_what_began_before_a_failure_says_nothing_about_it():
    """Else the answers still on their way from a node that stops would call it back each time."""
    health = Health(2)
    early = Route(health)
    early.next()
    health.fail(0, 0.0, 0.0)
    early.wrote()
    assert health.tour == (1, 0)
    health.fail(1, 0.0, 0.9)
    late = Route(health)
    assert late.next() == 0
    late.wrote()
    assert health.tour == (0, 1)


def test_a_round_follows_what_is_known_when_it_begins():
    health = Health(2)
    route = Route(health)
    assert route.next() == 0
    health.fail(0, 0.0, 0.0)
    route.after(GONE, 0.0)
    assert route.next() == 1
    route.after(GONE, 0.0)
    assert route.next() == 1
