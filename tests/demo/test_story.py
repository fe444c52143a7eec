"""The story of a seed, and the books of what shoppers were told."""

from __future__ import annotations

import pytest

from tallystick.cli.demo.books import Books, Settled
from tallystick.cli.demo.crash.books import CrashBooks
from tallystick.cli.demo.story import tell, units_of
from tallystick.client.values.order import ConfirmWhen


def test_a_seed_tells_one_story():
    assert tell(7, 500) == tell(7, 500)
    assert tell(7, 500) != tell(8, 500)


@pytest.mark.parametrize("seed", range(5))
def test_there_is_not_enough_for_everybody(seed):
    """And too much of something: the audit shows sold out, nearly sold out and left over."""
    story = tell(seed, 1_000)
    short = [article.name for article in story.articles if story.asked[article.sku] > article.stock]
    assert 0 < len(short) < len(story.articles)
    assert [article.stock for article in story.articles if article.name == "The last piano"] == [1]


def test_orders_are_such_as_a_shop_gets():
    story = tell(1, 1_000)
    assert len({order.id for order in story.orders}) == 1_000
    assert {order.confirm_when for order in story.orders} == {ConfirmWhen.ON_PLACING, ConfirmWhen.BY_HAND}
    assert all(order.total == sum(line.amount for line in order.lines) for order in story.orders)
    assert all(len({line.sku for line in order.lines}) == len(order.lines) for order in story.orders)
    assert units_of(story.orders) == story.asked


def test_the_books_tell_what_was_accepted_before_the_crash():
    first, second, third = tell(1, 100).orders[:3]
    books = CrashBooks()
    books.acknowledge(first)
    books.lose_sight(second)
    books.server_killed()
    assert books.count_unknown(None) == 1
    books.settle(second, Settled.PLACED)
    books.acknowledge(second)
    books.refuse(third, ())
    assert books.acknowledged_before_kill == {first.id}
    assert (books.answered, books.count_unknown(None), books.count_unknown(Settled.PLACED)) == (3, 0, 1)
    assert books.problems == []


def test_an_order_that_is_answered_twice_is_a_problem():
    order = tell(1, 100).orders[0]
    books = Books()
    books.acknowledge(order)
    books.refuse(order, ())
    assert books.problems == [f"order {order.id} was answered twice"]
