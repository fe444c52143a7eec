"""Asking for tokens: whom, how often, and when nobody is to be waited for any more."""

from __future__ import annotations

from tallystick.core.replica.keys import stock_key
from tallystick.core.replication.asks import SILENCE_MS, TIMEOUT_MS, Asks, Holder

TEA, CUP = stock_key("TEA", ""), stock_key("CUP", "")
RICH, POOR = Holder(1, 20), Holder(2, 10)


def time_out(asks: Asks, now: int, key: bytes = TEA) -> int:
    """Nobody answers, and what waits for the item is tried again."""
    now += TIMEOUT_MS
    asks.tick(now)
    assert asks.take_settled() == [key]
    return now


def hopes(asks: Asks, key: bytes, units: int, holders: list[Holder], now: int) -> bool:
    """Whether an order of so many units may wait; then what it lacks is asked for."""
    hope = sum(holder.units for holder in asks.awake(holders, now)) >= units
    if hope:
        asks.need(key, units, holders, now)
    return hope


def asked(asks: Asks) -> list[int]:
    return [peer for peer, _ in asks.take_sends()]


def test_an_order_waits_for_each_silent_peer_once():
    """It remembers an order in a region that was cut off: it asked its two peers in turn, and the first again
    when its rest was over, until its caller gave up and did not know what had become of it."""
    asks, now = Asks(), 0
    waited_for = []
    while hopes(asks, TEA, 5, [RICH, POOR], now):
        waited_for += asked(asks)
        now = time_out(asks, now)
        assert len(waited_for) <= 2
    assert waited_for == [1, 2]


def test_who_is_silent_about_one_item_is_not_asked_for_another():
    asks = Asks()
    assert hopes(asks, TEA, 5, [RICH], 0)
    now = time_out(asks, 0)
    assert not hopes(asks, CUP, 5, [RICH], now)
    assert hopes(asks, CUP, 5, [RICH], now + SILENCE_MS)


def test_who_answers_late_after_all_may_be_asked_again():
    asks = Asks()
    assert hopes(asks, TEA, 5, [RICH], 0)
    ((_, question),) = asks.take_sends()
    now = time_out(asks, 0)
    asks.answered(RICH.peer, question.number, 5, 1, now)
    assert hopes(asks, TEA, 5, [RICH], now)


def test_who_was_lost_may_be_asked_when_he_is_back():
    asks = Asks()
    assert hopes(asks, TEA, 5, [RICH], 0)
    now = time_out(asks, 0)
    asks.lost(RICH.peer, now)
    assert hopes(asks, TEA, 5, [RICH], now + TIMEOUT_MS)


def test_who_is_heard_of_is_slow_and_not_silent():
    """It remembers a peer that came back after a cut, and was asked for nothing for five seconds: the
    question that had gone with the old link had timed out."""
    asks = Asks()
    assert hopes(asks, TEA, 5, [RICH], 0)
    asks.heard(RICH.peer, 500)
    now = time_out(asks, 0)
    assert hopes(asks, CUP, 5, [RICH], now)
    asks.tick(now + 1 + TIMEOUT_MS)
    assert not hopes(asks, TEA, 5, [RICH], now + 1 + TIMEOUT_MS)
    asks.heard(RICH.peer, now)
    assert hopes(asks, TEA, 5, [RICH], now)


def test_whose_grant_is_on_its_way_is_not_silent():
    asks = Asks()
    assert hopes(asks, TEA, 5, [RICH], 0)
    ((_, question),) = asks.take_sends()
    asks.answered(RICH.peer, question.number, 5, 7, 10)
    now = time_out(asks, 0)
    assert hopes(asks, TEA, 5, [RICH], now)
    assert asked(asks) == [], "it rests a moment"
    assert hopes(asks, CUP, 5, [RICH], now)
