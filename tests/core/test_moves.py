"""What a replica does to its own row, move by move: what each cell is for, and where it is full."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tallystick.core.errors import LimitReached
from tallystick.core.limits import CELL_MAX
from tallystick.core.stock import moves
from tallystick.core.stock.rights import EMPTY_ROW, EMPTY_STOCK, Row, Stock, rights, rights_elsewhere, totals

MOVES = [
    (moves.receive, Row(received=3)),
    (moves.hold, Row(taken=3)),
    (moves.hold_and_sell, Row(taken=3, sold=3)),
    (moves.sell, Row(sold=3)),
    (moves.free, Row(freed=3)),
    (moves.free_sold, Row(freed=3, unsold=3)),
    (moves.set_overbooking, Row(minted=3)),
]


@pytest.mark.parametrize(("move", "after"), MOVES)
def test_a_move_writes_its_cells(move, after):
    assert move(EMPTY_ROW, 3) == after


def test_what_is_missing_is_burned_as_far_as_it_is_free_and_owed_for_the_rest():
    assert moves.shrink(EMPTY_ROW, 5, free=2) == Row(burned=2, owed=3)
    assert moves.shrink(EMPTY_ROW, 5, free=9) == Row(burned=5)


def test_what_is_freed_pays_missing_goods_before_lowered_overbooking():
    """A unit is spent once: the two debts share what is free."""
    row = Row(owed=3, minted=4, lowered=4)
    assert moves.settle(row, 0) is row
    assert moves.settle(row, 2) == replace(row, burned=2, settled=2)
    assert moves.settle(row, 5) == replace(row, burned=3, settled=3, unminted=2)
    assert moves.settle(row, 99) == replace(row, burned=3, settled=3, unminted=4)
    assert moves.settle(EMPTY_ROW, 5) is EMPTY_ROW


def test_lowered_overbooking_waits_to_be_freed():
    row = moves.set_overbooking(moves.set_overbooking(EMPTY_ROW, 5), 2)
    assert row == Row(minted=5, lowered=3)
    assert moves.overbooking_limit(row) == 2
    assert moves.settle(row, 1) == Row(minted=5, lowered=3, unminted=1)


def test_raising_first_calls_off_what_waits_to_be_taken_back():
    """It used to mint afresh, and the new rights paid for missing goods: lowering and raising the limit again
    hid what was owed, and left more overbooking in force than had ever been allowed."""
    sold_out = Row(received=1, minted=1, taken=2, sold=2, owed=1)
    lowered = moves.settle(moves.set_overbooking(sold_out, 0), 0)
    raised = moves.set_overbooking(lowered, 1)
    assert raised.minted - raised.unminted == 1 == moves.overbooking_limit(raised)
    assert raised.owed - raised.settled == 1
    assert rights(Stock(((1, raised),)), 1) == 0
    assert moves.set_overbooking(lowered, 3) == replace(lowered, minted=4, unminted=1)


def test_rights_that_are_moved_are_kept_by_receiver():
    row = moves.move(moves.move(moves.move(Row(received=9), 5, 2), 3, 1), 5, 2)
    assert row == Row(received=9, moved=((3, 1), (5, 4)))
    assert [rights(Stock(((1, row),)), replica) for replica in (1, 3, 5)] == [4, 1, 4]


FULL = [
    (moves.receive, "received"),
    (moves.hold, "taken"),
    (moves.hold_and_sell, "taken"),
    (moves.sell, "sold"),
    (moves.free, "freed"),
    (moves.free_sold, "freed"),
    (lambda row, units: moves.shrink(row, units, units), "burned"),
    (lambda row, units: moves.shrink(row, units, 0), "owed"),
    (lambda row, units: moves.set_overbooking(row, moves.overbooking_limit(row) + units), "minted"),
]


@pytest.mark.parametrize(("move", "cell"), FULL)
def test_a_cell_is_full_at_its_limit(move, cell):
    """Beyond 2^53 − 1 a client that counts in doubles would read another number."""
    almost = replace(EMPTY_ROW, **{cell: CELL_MAX - 2})
    assert getattr(move(almost, 2), cell) == CELL_MAX == (1 << 53) - 1
    with pytest.raises(LimitReached, match=cell) as refused:
        move(almost, 3)
    assert refused.value.reason == "COUNTER_FULL"
    assert refused.value.metadata == {"cell": cell}


def test_what_was_moved_to_one_replica_has_the_same_limit():
    almost = Row(moved=((2, CELL_MAX - 2), (3, 9)))
    assert moves.move(almost, 2, 2).moved_to(2) == CELL_MAX
    assert moves.move(almost, 3, 5).moved_to(3) == 14
    with pytest.raises(LimitReached, match="moved of this item would pass"):
        moves.move(almost, 2, 3)


def test_rights_elsewhere_are_what_all_others_may_sell():
    stock = Stock(((1, Row(received=5, moved=((2, 3), (4, 1)))), (2, Row(minted=2, taken=1))))
    assert [rights_elsewhere(stock, replica) for replica in (1, 2, 4, 9)] == [5, 2, 5, 6]
    assert rights_elsewhere(Stock(((1, Row(received=5)),)), 1) == 0 == rights_elsewhere(EMPTY_STOCK, 1)


def test_a_replica_that_wrote_nothing_may_sell_what_it_was_given():
    stock = Stock(((1, Row(received=5, moved=((2, 3), (4, 1)))),))
    assert [rights(stock, replica) for replica in (1, 2, 3, 4)] == [1, 3, 0, 1]


def test_tokens_moved_to_oneself_are_lost_and_never_made():
    assert rights(Stock(((1, Row(received=5, moved=((1, 3),))),)), 1) == 2


def test_rows_are_kept_sorted_by_replica():
    stock = EMPTY_STOCK
    for replica in (3, 1, 2, 1):
        stock = stock.with_row(replica, Row(received=replica))
    assert stock.rows == ((1, Row(received=1)), (2, Row(received=2)), (3, Row(received=3)))
    assert stock.row(9) is EMPTY_ROW


def test_totals_are_the_words_of_shops():
    stock = Stock(
        (
            (1, Row(received=20, taken=12, sold=8, shipped=3, burned=1, owed=2)),
            (2, Row(minted=5, unminted=1, freed=2, unsold=1, restocked=1, settled=1)),
        )
    )
    told = totals(stock)
    assert (told.received, told.burned, told.on_hand, told.shipped) == (20, 1, 20 - 1 - 2, 2)
    assert (told.reserved, told.sold, told.available) == (3, 7, 20 + 4 - 1 - 10)
    assert (told.owed, told.overbooked) == (1, 4)
