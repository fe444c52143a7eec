"""Whole commands with arbitrary values of the right types: only Refused ever escapes, and leaves no trace.

What is let through must also pass the way out: it is sealed, read back and joined to the same tables.
"""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.core.errors import LimitReached, Refused
from tallystick.core.limits import CELL_MAX
from tallystick.core.members import node_name
from tallystick.core.order.facts import Adjustment, Body, Line
from tallystick.core.replica import commands
from tests.kit.effort import effort
from tests.kit.indexes import check_indexes
from tests.kit.node import Node, overlay_of, rebuilt

NODE = node_name(1)
NOW = 1_700_000_000_000
PLACED = Body("EUR", (Line("1", "x", 2, amount=10), Line("2", "y", 1, "n", untracked=True)), confirm_when=4)

# Half surrogates included: Python's strings have them, UTF-8 does not.
texts = st.text(st.characters(exclude_categories=()), max_size=8)
ids = st.one_of(st.sampled_from(["o", "p", "held", "r"]), texts)
numbers = st.one_of(
    st.integers(-2, 12), st.integers(), st.sampled_from([2**31, 2**53 - 1, 2**53, 2**63, 2**64])
)
skus = st.one_of(st.sampled_from("xyz"), texts)
line_ids = st.one_of(st.sampled_from("12"), texts)
details = st.dictionaries(
    st.one_of(
        st.sampled_from(["note", "email", "tags.a", "attributes.b", "billing_address.city"]),
        texts,
        texts.map("tags.{}".format),
    ),
    st.one_of(st.none(), texts),
    max_size=3,
)
placed_details = details.map(lambda found: {key: value or "" for key, value in found.items()})
kinds = st.integers(-1, 8)


def tuples_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=3).map(tuple)


lines = st.builds(Line, line_ids, skus, numbers, texts, st.booleans(), numbers, numbers, texts)
bodies = st.builds(
    Body,
    st.one_of(st.sampled_from(["EUR", "USD"]), texts),
    tuples_of(lines),
    texts,
    tuples_of(st.builds(Adjustment, line_ids, kinds, numbers, texts)),
    kinds,
    st.one_of(st.just(0), numbers),
    kinds,
    placed_details,
)
nodes = st.one_of(st.just(NODE), texts)
places = st.one_of(st.just(""), texts)
items = tuples_of(st.tuples(skus, places, numbers))
splits = st.one_of(st.just(()), tuples_of(st.tuples(numbers, numbers)))
wishes = tuples_of(st.tuples(line_ids, numbers))
groups = tuples_of(st.one_of(st.sampled_from(["tags.", "shipping_address."]), texts))

ANY = {
    commands.PlaceOrder: st.builds(commands.PlaceOrder, ids, bodies, texts, st.one_of(st.none(), numbers)),
    commands.ConfirmOrder: st.builds(commands.ConfirmOrder, ids, ids, texts),
    commands.ExtendHold: st.builds(commands.ExtendHold, ids, ids, numbers, texts),
    commands.RecordPayment: st.builds(commands.RecordPayment, ids, ids, kinds, numbers, texts, texts, texts),
    commands.CancelOrder: st.builds(commands.CancelOrder, ids, ids, wishes, texts, texts),
    commands.EditOrder: st.builds(commands.EditOrder, ids, ids, details, groups, texts, texts),
    commands.ExpireHold: st.builds(commands.ExpireHold, st.one_of(ids, texts)),
    commands.ReceiveStock: st.builds(commands.ReceiveStock, ids, nodes, items, texts, splits),
    commands.Settle: st.builds(commands.Settle, st.one_of(ids, texts)),
    commands.AdjustStock: st.builds(commands.AdjustStock, ids, nodes, items, texts, texts),
    commands.SetOverbooking: st.builds(commands.SetOverbooking, ids, nodes, skus, texts, numbers, texts),
    commands.MoveTokens: st.builds(commands.MoveTokens, ids, nodes, numbers, items, texts),
    commands.GrantTokens: st.builds(commands.GrantTokens, numbers, skus, places, numbers),
    commands.Rebalance: st.builds(commands.Rebalance, tuples_of(st.tuples(skus, places, numbers, numbers))),
    commands.SettleStock: st.builds(commands.SettleStock, skus, places),
}


def test_every_command_of_callers_is_here():
    assert set(ANY) == set(get_args(commands.Command)) - set(get_args(commands.MemberWrite))


def busy_pair() -> tuple[Node, Node]:
    """A node and a peer. The node has sold its only z, which is missing, and the peer has sent it one."""
    node, peer = Node(1), Node(2)
    for member in (node, peer):
        member.step(commands.Found("eu"), NOW)
        items = (("x", "", 9), ("y", "", 9), ("z", "", 1))
        member.step(commands.ReceiveStock(f"b{member.id}", node_name(member.id), items), NOW)
        member.commit()
    node.hear(peer.frames[0].data)
    node.step(commands.PlaceOrder("held", PLACED), NOW)
    node.step(commands.PlaceOrder("z", Body("EUR", (Line("1", "z", 1),))), NOW)
    node.step(commands.AdjustStock("lost", NODE, (("z", "", -1),)), NOW)
    node.commit()
    for frame in node.frames:
        peer.hear(frame.data)
    assert peer.step(commands.GrantTokens(1, "z", "", 1), NOW).moved
    peer.commit()
    node.hear(peer.frames[1].data)
    return node, peer


def busy_node() -> Node:
    return busy_pair()[0]


@pytest.mark.parametrize("kind", ANY, ids=lambda kind: kind.__name__)
@effort(60)
@given(data=st.data())
def test_any_command_is_carried_out_or_refused(kind, data):
    node, peer = busy_pair()
    for command in data.draw(st.lists(ANY[kind], min_size=1, max_size=4)):
        before = overlay_of(node.view)
        try:
            wrote = node.step(command, NOW).writes
        except Refused:
            wrote = False
        assert wrote is (overlay_of(node.view) != before)
    node.commit()
    mine = node.dump()
    check_indexes(mine)
    assert rebuilt((*peer.frames, *node.frames)) == mine


TWO_ITEMS = Body("EUR", (Line("1", "x", 2), Line("2", "y", 2)))


def count_up(node: Node, **cells: int) -> None:
    """Let the row of item y have been through 2^53 units."""
    key = b"y\0"
    stock = node.view.stock_of(key)
    node.tables.rows["stock"][key] = stock.with_row(1, replace(stock.row(1), **cells))


@pytest.mark.parametrize("confirm_when", [0, 3])
def test_a_counter_that_is_full_at_the_second_item_leaves_the_first_alone(confirm_when):
    node = busy_node()
    count_up(node, taken=CELL_MAX - 1, freed=CELL_MAX - 1)
    before = overlay_of(node.view)
    with pytest.raises(LimitReached, match="taken of this item would pass"):
        node.step(commands.PlaceOrder("o", replace(TWO_ITEMS, confirm_when=confirm_when)), NOW)
    assert overlay_of(node.view) == before


def test_a_cancellation_that_fills_a_counter_frees_nothing():
    node = busy_node()
    node.step(commands.PlaceOrder("o", TWO_ITEMS), NOW)
    node.commit()
    count_up(node, taken=CELL_MAX, freed=CELL_MAX - 1)
    before = overlay_of(node.view)
    with pytest.raises(LimitReached, match="freed of this item would pass"):
        node.step(commands.CancelOrder("o", "r"), NOW)
    assert overlay_of(node.view) == before
