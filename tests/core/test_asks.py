"""Asking for tokens: whom, how often, and when nobody is to be waited for any more."""

from __future__ import annotations

from tallystick.core.replica.keys import stock_key
from tallystick.core.replication.asks import (
    MEMORY_MS,
    REST_MS,
    SILENCE_MS,
    STRIKES_MAX,
    TIMEOUT_MS,
    Asks,
    Holder,
)

TEA, CUP = stock_key("TEA", ""), stock_key("CUP", "")
RICH, POOR = Holder(1, 20), Holder(2, 10)


def time_out(asks: Asks, now: int, key: bytes = TEA) -> int:
    """Nobody answers, and what waits for the item is tried again."""
    now += TIMEOUT_MS
    asks.tick(now)
    assert asks.take_settled() == [key]
    asks.retrying(key)
    return now


def asked(asks: Asks) -> list[int]:
    return [peer for peer, _ in asks.take_sends()]


def test_an_order_waits_for_each_silent_peer_once():
    """It remembers an order in a region that was cut off: it asked its two peers in turn, and the first again
    when its rest was over, until its caller gave up and did not know what had become of it."""
    asks, now = Asks(), 0
    waited_for = []
    while asks.need(TEA, 5, [RICH, POOR], now):
        waited_for += asked(asks)
        now = time_out(asks, now)
        assert len(waited_for) <= 2
    assert waited_for == [1, 2]


def test_who_is_silent_about_one_item_is_not_asked_for_another():
    asks = Asks()
    assert asks.need(TEA, 5, [RICH], 0)
    now = time_out(asks, 0)
    assert not asks.need(CUP, 5, [RICH], now)
    assert asks.need(CUP, 5, [RICH], now + SILENCE_MS)


def test_who_answers_late_after_all_may_be_asked_again():
    asks = Asks()
    assert asks.need(TEA, 5, [RICH], 0)
    ((_, question),) = asks.take_sends()
    now = time_out(asks, 0)
    asks.answered(RICH.peer, question.number, 5, 1, now)
    assert asks.need(TEA, 5, [RICH], now)


def test_who_was_lost_may_be_asked_when_he_is_back():
    asks = Asks()
    assert asks.need(TEA, 5, [RICH], 0)
    now = time_out(asks, 0)
    asks.lost(RICH.peer, now)
    assert asks.need(TEA, 5, [RICH], now + TIMEOUT_MS)


def test_whose_grant_is_on_its_way_is_not_silent():
    asks = Asks()
    assert asks.need(TEA, 5, [RICH], 0)
    ((_, question),) = asks.take_sends()
    asks.answered(RICH.peer, question.number, 5, 7, 10)
    now = time_out(asks, 0)
    assert not asks.need(TEA, 5, [RICH], now), "it rests a moment"
    assert asks.need(CUP, 5, [RICH], now)


def questions(asks: Asks) -> list[tuple[int, int]]:
    """(peer, units) of those that leave now."""
    return [(peer, ask.units) for peer, ask in asks.take_sends()]


def answer(asks: Asks, peer: int, number: int, granted: int, now_ms: int) -> None:
    """The peer's answer, and its grant on disk."""
    asks.answered(peer, number, granted, number, now_ms)
    asks.reached(peer, number)


def test_what_others_wait_for_is_no_reason_to_refuse():
    """They may give up, or be refused for another item: then it is there, and somebody was turned away."""
    asks = Asks()
    assert asks.need(TEA, 3, [Holder(1, 4)], 0)
    assert asks.need(TEA, 2, [Holder(1, 4)], 0)
    assert not asks.need(TEA, 5, [Holder(1, 4)], 0)
    assert questions(asks) == [(1, 3)]


def test_who_gave_too_little_is_hoped_for_and_asked_when_it_has_rested():
    """It had kept units for orders of its own, which then went another way."""
    asks = Asks()
    asks.need(TEA, 2, [Holder(1, 2)], 0)
    assert questions(asks) == [(1, 2)]
    answer(asks, 1, 1, 0, 10)
    assert asks.take_settled() == [TEA]
    asks.retrying(TEA)
    assert asks.need(TEA, 2, [Holder(1, 2)], 11)
    assert questions(asks) == []
    asks.tick(10 + REST_MS - 1)
    assert asks.take_settled() == []
    asks.tick(10 + REST_MS)
    assert asks.take_settled() == [TEA]
    asks.retrying(TEA)
    assert asks.need(TEA, 2, [Holder(1, 2)], 10 + REST_MS)
    assert questions(asks) == [(1, 2)]


def test_who_gave_nothing_again_and_again_is_not_hoped_for():
    asks = Asks()
    now = 0
    for number in range(1, STRIKES_MAX + 1):
        assert asks.need(TEA, 1, [Holder(1, 9)], now)
        answer(asks, 1, number, 0, now)
        asks.retrying(TEA)
        assert asks.need(TEA, 1, [Holder(1, 9)], now) is (number < STRIKES_MAX)
        asks.retrying(TEA)
        now += REST_MS
        asks.tick(now)
    # When it has rested it may be asked once more, and after a while it is as anybody.
    assert asks.need(TEA, 1, [Holder(1, 9)], now)
    answer(asks, 1, STRIKES_MAX + 1, 0, now)
    asks.retrying(TEA)
    assert not asks.need(TEA, 1, [Holder(1, 9)], now)
    now += REST_MS + MEMORY_MS
    asks.tick(now)
    assert asks.need(TEA, 1, [Holder(1, 9)], now)
    answer(asks, 1, STRIKES_MAX + 2, 0, now)
    asks.retrying(TEA)
    assert asks.need(TEA, 1, [Holder(1, 9)], now)


def test_a_grant_wipes_the_strikes_out():
    asks = Asks()
    for number, granted in enumerate((0, 0, 1, 0, 0), 1):
        now = number * REST_MS
        asks.tick(now)
        assert asks.need(TEA, 2, [Holder(1, 9)], now)
        answer(asks, 1, number, granted, now)
        asks.retrying(TEA)
        assert asks.need(TEA, 2, [Holder(1, 9)], now)
        asks.retrying(TEA)


def test_the_richest_are_asked_first_and_two_at_once():
    asks = Asks()
    holders = [Holder(3, 1), Holder(1, 2), Holder(2, 4)]
    assert asks.need(TEA, 7, holders, 0)
    assert questions(asks) == [(2, 4), (1, 2)]
    asks.lost(2, 5)
    assert asks.take_settled() == [TEA]
    assert asks.open == 1
