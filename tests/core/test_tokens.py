"""Tokens between replicas, one step at a time: what a node gives, to whom, and what it writes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tallystick.core.errors import InsufficientStock, InvalidField, LimitReached, Refused, WrongNode
from tallystick.core.frame import decode_events
from tallystick.core.limits import CELL_MAX
from tallystick.core.members import Member, MemberState, node_name
from tallystick.core.order.facts import Body, Line
from tallystick.core.replica import commands
from tallystick.core.replica.keys import member_key, stock_key
from tallystick.core.replica.outcome import Outcome
from tallystick.core.stock.receipts import Booking, BookingKind
from tallystick.core.stock.rights import Stock, rights, totals
from tests.kit.node import Node, overlay_of

NOW = 1_700_000_000_000
X = stock_key("x", "")


def cluster(*units: int) -> list[Node]:
    """Nodes 1, 2, … that know of each other, each with so many units of x."""
    nodes = [Node(number) for number in range(1, len(units) + 1)]
    for node, count in zip(nodes, units, strict=True):
        node.step(commands.Found("eu"), NOW)
        if count:
            node.step(commands.ReceiveStock(f"b{node.id}", node_name(node.id), (("x", "", count),)), NOW)
    meet(nodes)
    return nodes


def meet(nodes: list[Node]) -> None:
    for node in nodes:
        node.commit()
    for _ in nodes:
        for node in nodes:
            for frame in [frame for other in nodes for frame in other.frames]:
                assert node.hear(frame.data) == []


def place(node: Node, order_id: str, units: int) -> Outcome:
    return node.step(commands.PlaceOrder(order_id, Body("EUR", (Line("1", "x", units),))), NOW)


def lose(node: Node, units: int) -> None:
    lost = (("x", "", -units),)
    node.step(commands.AdjustStock(f"lost{node.id}{node.head.seq}", node_name(node.id), lost), NOW)


def held(node: Node) -> list[int]:
    return [rights(node.view.stock_of(X), replica) for replica in (1, 2, 3)]


def test_a_grant_is_an_event_of_its_own_without_entries():
    """Only the frame has the row: an outcome that was judged by its entries alone would write nothing."""
    first, second = nodes = cluster(9, 0)
    outcome = first.step(commands.GrantTokens(2, "x", "", 4), NOW)
    assert (outcome.entries, outcome.moved, outcome.writes) == ((), ((X, 2, 4),), True)
    assert outcome.stock == ((X, first.view.stock_of(X)),)
    place(first, "o", 1)
    seq = first.head.seq
    meet(nodes)
    assert first.head.seq == seq + 2
    events = decode_events(first.frames[-1])
    assert [len(entries) for entries in events] == [0, 2]
    assert held(second) == [4, 4, 0]


def test_a_grant_alone_fills_a_frame():
    first, second = nodes = cluster(9, 0)
    first.step(commands.GrantTokens(2, "x", "", 4), NOW)
    meet(nodes)
    assert held(second) == [5, 4, 0]
    assert second.dump() == first.dump()


def test_nothing_to_give_writes_nothing():
    first, _ = cluster(0, 9)
    before = overlay_of(first.view)
    for command in (
        commands.GrantTokens(2, "x", "", 4),
        commands.GrantTokens(2, "nothing of it", "", 4),
        commands.GrantTokens(2, "x", "", 0),
        commands.Rebalance((("x", "", 2, 3),)),
        commands.Rebalance(()),
        commands.SettleStock("x", ""),
    ):
        assert not first.step(command, NOW).writes
    assert overlay_of(first.view) == before


@pytest.mark.parametrize("state", [None, *MemberState])
def test_only_active_members_get_tokens(state):
    """Who leaves or has ended would take them along."""
    first, _ = cluster(9, 0)
    key = member_key(3)
    if state is not None:
        first.view.put_member(key, Member("eu", int(state)))
    may = state is MemberState.ACTIVE
    assert first.step(commands.GrantTokens(3, "x", "", 1), NOW).writes is may
    assert first.step(commands.Rebalance((("x", "", 3, 1),)), NOW).writes is may
    goods = (("x", "", 1),)
    for command in (
        commands.MoveTokens("m", node_name(1), 3, goods),
        commands.ReceiveStock("r", node_name(1), goods, split=((3, 1),)),
    ):
        if may:
            assert first.step(command, NOW).moved == ((X, 3, 1),)
        else:
            with pytest.raises(InvalidField, match="no active member"):
                first.step(command, NOW)
    assert rights(first.view.stock_of(X), 3) == 4 * may


@pytest.mark.parametrize("to", [0, -1, 1 << 48, 1 << 70])
def test_what_is_no_replica_id_gets_nothing(to):
    first, _ = cluster(9, 0)
    assert not first.step(commands.GrantTokens(to, "x", "", 1), NOW).writes
    with pytest.raises(InvalidField, match="no active member"):
        first.step(commands.MoveTokens("m", node_name(1), to, (("x", "", 1),)), NOW)


def test_tokens_are_never_sent_to_oneself():
    """Such a transfer once minted rights elsewhere."""
    first, _ = cluster(9, 0)
    assert not first.step(commands.GrantTokens(1, "x", "", 1), NOW).writes
    assert not first.step(commands.Rebalance((("x", "", 1, 5),)), NOW).writes
    with pytest.raises(InvalidField, match="is this node itself"):
        first.step(commands.MoveTokens("m", node_name(1), 1, (("x", "", 1),)), NOW)
    assert held(first) == [9, 0, 0]


def test_what_came_in_pays_before_it_is_given_away():
    """Who owes, or has overbooking to work off, has nothing to spare."""
    first, second = nodes = cluster(2, 9)
    place(first, "o", 2)
    lose(first, 1)
    meet(nodes)
    second.step(commands.GrantTokens(1, "x", "", 3), NOW)
    meet(nodes)
    assert held(first)[0] == 3
    given = first.step(commands.GrantTokens(2, "x", "", 9), NOW)
    assert given.moved == ((X, 2, 2),)
    assert held(first)[0] == 0
    assert totals(first.view.stock_of(X)).owed == 0


def test_a_rebalancing_sends_what_is_still_there():
    first, _, _ = cluster(9, 0, 0)
    told = first.step(commands.Rebalance((("x", "", 2, 6), ("y", "", 2, 1), ("x", "", 3, 6))), NOW)
    assert told.moved == ((X, 2, 6), (X, 3, 3))
    assert held(first) == [0, 6, 3]


def test_a_counter_that_is_full_at_the_second_item_moves_none():
    first, _ = cluster(9, 0)
    first.step(commands.ReceiveStock("y", node_name(1), (("y", "", 9),)), NOW)
    first.commit()
    key = stock_key("y", "")
    row = replace(first.view.stock_of(key).row(1), received=CELL_MAX, moved=((2, CELL_MAX - 2),))
    first.tables.rows["stock"][key] = Stock(((1, replace(row, freed=CELL_MAX)),))
    before = overlay_of(first.view)
    goods = (("x", "", 3), ("y", "", 3))
    for command in (
        commands.Rebalance(tuple((sku, place, 2, units) for sku, place, units in goods)),
        commands.MoveTokens("m", node_name(1), 2, goods),
    ):
        with pytest.raises(LimitReached, match="moved of this item would pass"):
            first.step(command, NOW)
    assert overlay_of(first.view) == before


def test_a_move_is_booked_and_its_id_kept():
    first, second = nodes = cluster(9, 0)
    command = commands.MoveTokens("m", node_name(1), 2, (("x", "", 2), ("x", "", 3)), "ann")
    assert first.step(command, NOW).moved == ((X, 2, 5),)
    (booking,) = first.view.bookings_of(b"m").bookings
    assert (booking.kind, booking.to, booking.actor) == (BookingKind.MOVE, 2, "ann")
    assert first.step(command, NOW).replayed
    meet(nodes)
    assert second.view.bookings_of(b"m").bookings == (booking,)
    for changed in ({"to": 3}, {"items": (("x", "", 5),)}):
        with pytest.raises(Refused, match="was booked before with something else"):
            first.step(command._replace(**changed), NOW)
    with pytest.raises(WrongNode):
        second.step(command, NOW)
    assert held(first) == [4, 5, 0]


def test_a_move_of_more_than_is_here_says_what_is():
    first, _ = cluster(9, 4)
    before = overlay_of(first.view)
    with pytest.raises(InsufficientStock) as refused:
        first.step(commands.MoveTokens("m", node_name(1), 2, (("x", "", 5), ("x", "", 5), ("y", "", 1))), NOW)
    assert [short[:5] for short in refused.value.shortages] == [("x", "", 10, 9, 4), ("y", "", 1, 0, 0)]
    assert refused.value.metadata["available_elsewhere"] == "4"
    assert overlay_of(first.view) == before


def test_an_order_that_is_refused_hears_of_stock_elsewhere():
    first, _, _ = cluster(3, 4, 5)
    with pytest.raises(InsufficientStock, match="asked 4, available 3 here, 9 elsewhere") as refused:
        place(first, "o", 4)
    (short,) = refused.value.shortages
    assert short == ("x", "", 4, 3, 9, (), "", 0)


def test_a_split_that_was_done_is_answered_when_the_member_has_ended():
    """Its retry must never be refused: the caller would book the goods again under another id."""
    first, _, _ = cluster(0, 0, 0)
    command = commands.ReceiveStock("r", node_name(1), (("x", "", 7),), split=((3, 2), (2, 1), (1, 1)))
    assert first.step(command, NOW).moved == ((X, 2, 2), (X, 3, 3))
    assert held(first) == [2, 2, 3]
    first.view.put_member(member_key(3), Member("eu", int(MemberState.ENDED)))
    assert first.step(command, NOW).replayed


def test_bookings_differ_by_their_split_and_their_receiver():
    booking = Booking(1, 1, 1, 1, (("x", "", 1),))
    for other in (replace(booking, to=2), replace(booking, split=((2, 1),)), replace(booking, kind=2)):
        assert not booking.says_same(other)
    assert booking.says_same(replace(booking, replica=2, seq=9, hlc=5, actor="ann"))


def test_two_helpers_may_send_too_much_and_nothing_is_lost():
    """They do not know of each other: at most the debt from each, and the surplus is sold by who owed."""
    first, second, third = nodes = cluster(1, 1, 1)
    for node in nodes:
        place(node, f"o{node.id}", 1)
    lose(first, 1)
    meet(nodes)
    for node in (second, third):
        node.step(commands.CancelOrder(f"o{node.id}", "r"), NOW)
        assert held(node)[0] == 1
    meet(nodes)
    assert held(first) == [2, 0, 0]
    assert first.step(commands.SettleStock("x", ""), NOW).settled == 1
    assert held(first) == [1, 0, 0]
    assert not first.step(commands.SettleStock("x", ""), NOW).writes
    place(first, "p", 1)
    told = totals(first.view.stock_of(X))
    assert (told.on_hand, told.sold, told.owed, told.available) == (2, 2, 0, 0)


def test_what_is_freed_goes_to_several_who_owe():
    first, second, third = nodes = cluster(2, 2, 4)
    for node, units in ((first, 2), (second, 2), (third, 4)):
        place(node, f"o{node.id}", units)
    lose(first, 2)
    lose(second, 1)
    meet(nodes)
    third.step(commands.CancelOrder("o3", "r1", (("1", 1),)), NOW)
    assert held(third) == [1, 0, 0], "the first is not paid yet"
    third.step(commands.CancelOrder("o3", "r2"), NOW)
    assert held(third) == [2, 1, 1]


def test_own_debts_come_before_those_of_others():
    first, second = nodes = cluster(3, 3)
    for node in nodes:
        place(node, f"o{node.id}", 3)
        lose(node, 2)
    meet(nodes)
    second.step(commands.CancelOrder("o2", "r1", (("1", 1),)), NOW)
    assert (held(second), second.view.stock_of(X).row(2).settled) == ([0, 0, 0], 1)
    second.step(commands.CancelOrder("o2", "r2"), NOW)
    assert (held(second), second.view.stock_of(X).row(2).settled) == ([1, 0, 0], 2)
    meet(nodes)
    assert first.step(commands.SettleStock("x", ""), NOW).settled == 1


def test_nobody_pays_for_overbooking_that_is_taken_back():
    """No goods are missing there: its own node works it off."""
    first, second = nodes = cluster(0, 1)
    for limit in (1, 0):
        first.step(commands.SetOverbooking(f"p{limit}", node_name(1), "x", "", limit), NOW)
        if limit:
            place(first, "o1", 1)
    place(second, "o2", 1)
    meet(nodes)
    second.step(commands.CancelOrder("o2", "r"), NOW)
    assert held(second) == [0, 1, 0]


def test_nobody_pays_for_one_who_has_ended():
    first, second = nodes = cluster(1, 1)
    for node in nodes:
        place(node, f"o{node.id}", 1)
    lose(first, 1)
    meet(nodes)
    second.view.put_member(member_key(1), Member("eu", int(MemberState.ENDED)))
    second.step(commands.CancelOrder("o2", "r"), NOW)
    assert held(second) == [0, 1, 0]
