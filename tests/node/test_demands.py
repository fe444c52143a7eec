"""What a node tells of its demand and hears of others': that nobody takes a peer for busier than it takes
itself, whatever is told late, not told, forgotten, or known only to a process that is gone."""

from __future__ import annotations

import math
from collections import deque

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from tallystick.core.replication.messages import Demand, Stamp
from tallystick.core.stock.demand import HALF_LIFE_MS, ITEMS_MAX
from tallystick.node import demands as module
from tallystick.node.demands import Demands

KEYS = [f"item-{number}\0".encode() for number in range(6)]
ME, PEER = 1, 2
SLOW = 1.0005
"""How much slower the hearer's clock is."""

steps = st.one_of(
    st.tuples(st.just("sell"), st.sampled_from(KEYS), st.integers(1, 50)),
    st.tuples(st.just("wait"), st.sampled_from([1, 40, 3_000, 70_000, 2 * HALF_LIFE_MS])),
    st.tuples(st.sampled_from(["tell", "answer", "hear", "heed", "relink", "restart"])),
)


class Pair:
    """One node that sells, and a peer that hears of it; what they say may be long on its way."""

    def __init__(self, items_max: int = ITEMS_MAX, slow: float = 1.0) -> None:
        self.now, self.boot, self.link, self.slow, self.items_max = 1_000_000, 7, 0, slow, items_max
        self.seller, self.hearer = Demands(ME, items_max), Demands(PEER)
        self.seller.note(KEYS[0], 1, self.now - 20_000)  # it has counted before there was a link
        self.relink()

    @property
    def there(self) -> int:
        """The hearer's time."""
        return round(self.now / self.slow)

    def relink(self) -> None:
        self.seller.closed(self.link)
        self.hearer.closed(self.link)
        self.link += 1
        self.told: deque[tuple[tuple[Demand, ...], Stamp]] = deque()
        self.answers: deque[Stamp] = deque()
        self.seller.greeted(self.link, PEER, 1, self.now, self.now)
        self.hearer.greeted(self.link, ME, self.boot, self.there, self.there)

    def restart(self) -> None:
        self.boot += 1
        self.seller = Demands(ME, self.items_max)
        self.relink()

    def tell(self) -> None:
        self.told.append(self.seller.tell(self.link, self.now))

    def hear(self) -> int:
        """What left first comes; answers how many items it told."""
        if not self.told:
            return 0
        told, stamp = self.told.popleft()
        self.hearer.hear(self.link, told, stamp, self.there)
        return len(told)

    def answer(self) -> None:
        self.answers.append(self.hearer.tell(self.link, self.there)[1])

    def heed(self) -> None:
        if self.answers:
            self.seller.hear(self.link, (), self.answers.popleft(), self.now)

    def tell_all(self) -> int:
        """Until nothing is left to be told; answers in how many rounds."""
        rounds = 0
        self.tell()
        while self.hear():
            rounds += 1
            self.tell()
        return rounds

    def rates(self, key: bytes) -> tuple[float, float]:
        """As the seller has it, and as its peer thinks."""
        return self.seller.rates(key, self.now)[ME], self.hearer.rates(key, self.there).get(ME, 0.0)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOLD_ITEMS", 2)


@given(story=st.lists(steps, max_size=40), slow=st.sampled_from([1.0, SLOW]))
def test_nobody_takes_a_peer_for_busier_than_it_takes_itself(story, slow):
    """Each keeps the share of what it sells itself: taken for busier both would send to each other, for ever.
    Over a slow clock it is off by what that loses between two rounds, not by all that it ever lost."""
    pair = Pair(slow=slow)
    for step in story:
        match step:
            case ("sell", key, units):
                pair.seller.note(key, units, pair.now)
            case ("wait", ms):
                pair.now += ms
            case (name,):
                getattr(pair, name)()
        for key in KEYS:
            own, thought = pair.rates(key)
            note(f"{step}: {key!r} {own} {thought}")
            assert thought <= own * (1 + (slow - 1) * 4 + 1e-6)


@pytest.mark.parametrize("late_ms", [0, 5_000, 60_000])
def test_what_was_long_on_its_way_is_old(late_ms):
    pair = Pair()
    pair.seller.note(KEYS[1], 5, pair.now)
    pair.tell()
    pair.now += late_ms
    pair.hear()
    own, thought = pair.rates(KEYS[1])
    assert thought == pytest.approx(own)


@pytest.mark.parametrize("slow", [SLOW, 1 / SLOW])
def test_a_link_that_lasts_long_loses_no_time(slow):
    """Rounds go by the rounds before them: clocks that part by a minute in a day do not in a second."""
    pair = Pair(slow=slow)
    for _ in range(200):
        pair.now += 600_000
        for step in (pair.answer, pair.heed, pair.tell, pair.hear):
            step()
            pair.now += 40
    pair.seller.note(KEYS[1], 5, pair.now)
    pair.tell()
    pair.hear()
    own, thought = pair.rates(KEYS[1])
    assert own * 0.999 < thought <= own * 1.001


def test_everything_is_told_once_in_turn():
    pair = Pair()
    pair.now += 900_000  # nothing is asked for until now
    for key in KEYS:
        pair.seller.note(key, 1, pair.now)
    pair.now += 60_000
    assert pair.tell_all() == 3
    assert all(own == pytest.approx(thought) and own for own, thought in map(pair.rates, KEYS))


def test_what_waits_longest_is_told_first():
    """However often another item is asked for."""
    pair = Pair()
    pair.tell_all()
    for key in KEYS[:4]:
        pair.seller.note(key, 1, pair.now)
    pair.tell()
    for _ in range(3):
        pair.seller.note(KEYS[0], 1, pair.now)
        pair.seller.note(KEYS[2], 1, pair.now)
    pair.tell()
    assert {*pair.hearer.rates(KEYS[3], pair.now)} == {PEER}
    while pair.hear():
        pass
    assert pair.rates(KEYS[3])[1]


def test_what_is_forgotten_here_is_told_to_who_knew_it():
    pair = Pair(items_max=4)
    for key in KEYS[:4]:
        pair.seller.note(key, 1, pair.now)
    pair.tell_all()
    pair.seller.note(KEYS[5], 9, pair.now)  # one too many: the least asked for have to go
    assert pair.tell_all() == 2
    rates = [pair.rates(key) for key in KEYS]
    assert all(own == pytest.approx(thought) for own, thought in rates)
    assert sum(own > 0 for own, _ in rates) == 3


def test_what_was_never_told_waits_no_longer_than_it_is_known():
    """Of a catalogue that is larger than what is counted the rest would wait for ever, ever more of it."""
    pair = Pair(items_max=8)
    for number in range(1_000):
        pair.seller.note(f"{number}\0".encode(), 1, pair.now)
        pair.now += 10
    assert pair.tell_all() <= 4


def test_over_a_new_link_all_is_told_again():
    """What was under way when the old one ended is lost."""
    pair = Pair()
    pair.tell()
    pair.relink()
    assert pair.tell_all() == 1


def test_of_two_links_each_is_told_everything():
    """One may end with what it was to bring."""
    pair = Pair()
    pair.tell()
    link, pair.link = pair.link, pair.link + 1
    pair.seller.greeted(pair.link, PEER, 1, pair.now, pair.now)
    pair.hearer.greeted(pair.link, ME, pair.boot, pair.there, pair.there)
    pair.seller.closed(link)
    pair.told.clear()
    assert pair.tell_all() == 1


def test_what_came_over_a_link_is_void_when_there_is_a_newer_one():
    """What was forgotten between the two is told to nobody: it must be known to nobody. Until then we go by
    what came."""
    pair = Pair(items_max=4)
    pair.seller.note(KEYS[1], 1, pair.now)
    pair.tell_all()
    pair.seller.closed(pair.link)
    pair.hearer.closed(pair.link)
    for key in (KEYS[2], KEYS[3], KEYS[4], KEYS[5]):
        pair.seller.note(key, 9, pair.now)
    own, thought = pair.rates(KEYS[1])
    assert thought > own == 0
    pair.relink()
    assert pair.rates(KEYS[1]) == (0, 0)


def test_of_two_links_only_the_one_that_lasts_is_gone_by():
    """It has told everything itself, or will."""
    pair = Pair(items_max=4)
    pair.seller.note(KEYS[1], 1, pair.now)
    pair.tell_all()
    first, pair.link = pair.link, pair.link + 1
    pair.seller.greeted(pair.link, PEER, 1, pair.now, pair.now)
    pair.hearer.greeted(pair.link, ME, pair.boot, pair.there, pair.there)
    own, thought = pair.rates(KEYS[1])
    assert thought == pytest.approx(own)
    for key in (KEYS[2], KEYS[3], KEYS[4], KEYS[5]):
        pair.seller.note(
            key, 9, pair.now
        )  # what the first link told is forgotten, which it can't tell any more
    pair.seller.closed(first)
    pair.hearer.closed(first)
    assert pair.rates(KEYS[1]) == (0, 0)
    pair.tell_all()
    assert all(own == pytest.approx(thought) for own, thought in map(pair.rates, KEYS))


def test_a_greeting_that_comes_twice_forgets_nothing():
    pair = Pair()
    pair.tell_all()
    pair.hearer.greeted(pair.link, ME, pair.boot, pair.there, pair.there)
    assert pair.rates(KEYS[0])[1]


def test_an_older_round_says_nothing_new():
    pair = Pair()
    pair.seller.note(KEYS[1], 1, pair.now)
    pair.tell()
    pair.now += 1_000
    pair.seller.note(KEYS[1], 40, pair.now)
    pair.tell()
    pair.told.reverse()
    while pair.hear():
        pass
    own, thought = pair.rates(KEYS[1])
    assert own == pytest.approx(thought)


def test_who_started_anew_is_forgotten():
    """A node that started anew knew no demand, its peers went by its old rate, and each sent the other tokens
    again and again (the simulator, seed 53)."""
    pair = Pair()
    pair.seller.note(KEYS[1], 5, pair.now)
    pair.tell_all()
    pair.restart()
    assert pair.rates(KEYS[1]) == (0.0, 0.0)


def test_a_process_that_is_no_more_is_not_heard():
    """Its last round may come after the first of the one that follows it."""
    pair = Pair()
    pair.hearer.greeted(99, ME, pair.boot + 1, pair.there, pair.there)
    assert pair.hearer.hear(pair.link, [Demand(KEYS[1], 1.0)], Stamp(), pair.there) == []


@pytest.mark.parametrize("rate", [math.nan, math.inf, -1.0])
def test_what_is_no_rate_is_passed_over(rate):
    """One peer that tells nonsense must not end the process of every other."""
    pair = Pair()
    assert pair.hearer.hear(pair.link, [Demand(KEYS[1], rate)], Stamp(), pair.there) == []
    assert pair.hearer.rates(KEYS[1], pair.there) == {PEER: 0.0}


@pytest.mark.parametrize("field", Stamp._fields)
def test_what_is_no_time_harms_nobody(field):
    """The largest number that the wire can carry."""
    pair = Pair()
    stamp = Stamp()._replace(**{field: (1 << 64) - 1})
    assert pair.hearer.hear(pair.link, [Demand(KEYS[1], 1.0)], stamp, pair.there) == [KEYS[1]]
    assert 0 <= pair.hearer.rates(KEYS[1], pair.there + 1_000)[ME] <= 1.0
    assert pair.hearer.rates(KEYS[1], pair.there + 20 * HALF_LIFE_MS)[ME] == 0
    assert max(pair.hearer.tell(pair.link, pair.there)[1]) < 1 << 64


def test_of_too_many_items_the_oldest_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "HEARD_ITEMS", 2)
    pair = Pair()
    pair.hearer.hear(pair.link, [Demand(key, 1.0) for key in KEYS[:3]], Stamp(60_000), pair.there)
    assert [len(pair.hearer.rates(key, pair.there)) for key in KEYS[:3]] == [1, 2, 2]
