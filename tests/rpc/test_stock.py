"""StockService: goods come in, are corrected, are overbooked; every write names its node."""

import pytest

from tallystick.v1 import stock_service_pb2
from tests.rpc.asking import cancel, confirm, get_stock, hold, list_stock, order, place
from tests.rpc.refusals import refusal
from tests.rpc.serving import CALL_S

Items = list[tuple[str, str, int]]


def items_of(items: Items):
    return [stock_service_pb2.StockQuantity(sku=s, location=at, quantity=q) for s, at, q in items]


async def book(served, receipt_id: str, *items: tuple[str, str, int], node: str | None = None):
    request = stock_service_pb2.ReceiveStockRequest(
        receipt_id=receipt_id, node=served.node if node is None else node, items=items_of(list(items))
    )
    return await served.stock.ReceiveStock(request, timeout=CALL_S)


async def adjust(served, name: str, *items: tuple[str, str, int], node: str | None = None, reason: str = ""):
    request = stock_service_pb2.AdjustStockRequest(
        adjustment_id=name,
        node=served.node if node is None else node,
        items=items_of(list(items)),
        reason=reason,
    )
    return await served.stock.AdjustStock(request, timeout=CALL_S)


async def overbook(served, name: str, limit: int, sku: str = "tea", node: str | None = None):
    request = stock_service_pb2.SetStockPolicyRequest(
        request_id=name, node=served.node if node is None else node, sku=sku, overbooking_limit=limit
    )
    return await served.stock.SetStockPolicy(request, timeout=CALL_S)


async def test_goods_come_in(served):
    answer = await book(served, "r-1", ("tea", "", 10), ("tea", "shelf", 3), ("tea", "", 5))
    assert [(s.sku, s.location, s.on_hand, s.available_here) for s in answer.stock] == [
        ("tea", "", 15, 15),
        ("tea", "shelf", 3, 3),
    ]
    assert not answer.write.replayed
    token = answer.write.consistency_token
    assert await get_stock(served, "tea", token=token) == answer.stock[0]
    assert await get_stock(served, "tea", "shelf", token=token) == answer.stock[1]
    again = await book(served, "r-1", ("tea", "", 10), ("tea", "shelf", 3), ("tea", "", 5))
    assert again.write.replayed
    assert list(again.stock) == list(answer.stock)


async def test_a_replay_tells_stock_as_it_stands_now(served):
    await book(served, "r-1", ("tea", "", 10))
    await place(served, order("o-1", ("tea", 4)))
    again = await book(served, "r-1", ("tea", "", 10))
    assert (again.write.replayed, again.stock[0].available_here, again.stock[0].received) == (True, 6, 10)


async def test_every_word_of_a_stock_item(served):
    await book(served, "r-1", ("tea", "", 10))
    await place(served, order("o-1", ("tea", 3)))
    await place(served, hold("o-2", ("tea", 4)))
    answer = await adjust(served, "a-1", ("tea", "", -5), reason="flood")
    (tea,) = answer.stock
    assert (tea.received, tea.burned, tea.owed, tea.on_hand) == (10, 3, 2, 7)
    assert (tea.reserved, tea.sold, tea.available_here) == (4, 3, 0)
    assert (tea.available_elsewhere.quantity, tea.backordered, tea.overbooked, tea.shipped) == (0, 0, 0, 0)
    # What is freed pays first what is owed.
    await cancel(served, "o-2")
    tea = await get_stock(served, "tea")
    assert (tea.burned, tea.owed, tea.available_here, tea.on_hand) == (5, 0, 2, 5)
    assert tea.received - tea.burned == tea.available_here + tea.reserved + tea.sold


async def test_corrections_up_and_down_in_one(served):
    await book(served, "r-1", ("tea", "", 10))
    answer = await adjust(served, "a-1", ("tea", "", 2), ("milk", "", 1), ("tea", "", -4))
    assert [(s.sku, s.received, s.burned, s.available_here) for s in answer.stock] == [
        ("tea", 12, 4, 8),
        ("milk", 1, 0, 1),
    ]
    again = await adjust(served, "a-1", ("tea", "", 2), ("milk", "", 1), ("tea", "", -4))
    assert (again.write.replayed, list(again.stock)) == (True, list(answer.stock))


async def test_what_comes_in_pays_what_is_owed(served):
    await book(served, "r-1", ("tea", "", 2))
    await place(served, order("o-1", ("tea", 2)))
    await adjust(served, "a-1", ("tea", "", -2))
    assert (await get_stock(served, "tea")).owed == 2
    (tea,) = (await book(served, "r-2", ("tea", "", 3))).stock
    assert (tea.owed, tea.burned, tea.available_here) == (0, 2, 1)


async def test_overbooking_sells_what_is_not_there(served):
    await book(served, "r-1", ("tea", "", 2))
    answer = await overbook(served, "p-1", 3)
    assert (answer.stock.overbooked, answer.stock.overbooking_limit_here) == (3, 3)
    assert answer.stock.available_here == 5
    assert (await overbook(served, "p-1", 3)).write.replayed
    await place(served, order("o-1", ("tea", 4)))
    refused = await refusal(place(served, order("o-2", ("tea", 2))))
    assert refused.shortages[0].available_here == 1
    # Taken back at once as far as units are free, the rest as they are freed.
    lowered = (await overbook(served, "p-2", 0)).stock
    assert (lowered.overbooking_limit_here, lowered.overbooked, lowered.available_here) == (0, 2, 0)
    await cancel(served, "o-1")
    tea = await get_stock(served, "tea")
    assert (tea.overbooked, tea.available_here) == (0, 2)


async def test_an_item_may_be_overbooked_before_any_came_in(served):
    answer = await overbook(served, "p-1", 2, sku="new")
    assert (answer.stock.sku, answer.stock.available_here, answer.stock.on_hand) == ("new", 2, 0)
    assert (await place(served, order("o-1", ("new", 2)))).order.lines[0].allocations[0].quantity == 2


@pytest.mark.parametrize("write", [book, adjust])
@pytest.mark.parametrize("node", ["", "000000000001", "nonsense"])
async def test_goods_for_another_node_are_refused(served, write, node):
    refused = await refusal(write(served, "x-1", ("tea", "", 1), node=node))
    assert (refused.code, refused.reason, refused.definite) == ("FAILED_PRECONDITION", "WRONG_NODE", True)
    assert (refused.metadata["node"], refused.metadata["asked"]) == (served.node, node)
    assert not (await list_stock(served)).stock
    assert (await refusal(overbook(served, "x-1", 1, node=node))).reason == "WRONG_NODE"


async def test_one_id_is_one_booking(served):
    await book(served, "x-1", ("tea", "", 10))
    others = [
        book(served, "x-1", ("tea", "", 11)),
        book(served, "x-1", ("tea", "", 10), ("milk", "", 1)),
        adjust(served, "x-1", ("tea", "", 10)),
        overbook(served, "x-1", 10),
    ]
    for other in others:
        refused = await refusal(other)
        assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
        assert refused.metadata["request_id"] == "x-1"
    assert (await get_stock(served, "tea")).received == 10
    await adjust(served, "a-1", ("tea", "", 1), reason="found")
    assert (await refusal(adjust(served, "a-1", ("tea", "", 1)))).reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda s: book(s, "", ("tea", "", 1)), "receipt_id"),
        (lambda s: book(s, "a b", ("tea", "", 1)), "receipt_id"),
        (lambda s: adjust(s, "", ("tea", "", 1)), "adjustment_id"),
        (lambda s: overbook(s, "", 1), "request_id"),
        (lambda s: book(s, "x"), "items"),
        (lambda s: adjust(s, "x"), "items"),
        (lambda s: book(s, "x", ("", "", 1)), "items.sku"),
        (lambda s: book(s, "x", ("t\0a", "", 1)), "items.sku"),
        (lambda s: book(s, "x", ("tea", "a\nb", 1)), "items.location"),
        (lambda s: book(s, "x", ("tea", "", 0)), "items.quantity"),
        (lambda s: book(s, "x", ("tea", "", -1)), "items.quantity"),
        (lambda s: adjust(s, "x", ("tea", "", 0)), "items.quantity"),
        (lambda s: adjust(s, "x", ("tea", "", 1), reason="a\x00"), "reason"),
        (lambda s: overbook(s, "x", -1), "overbooking_limit"),
        (lambda s: overbook(s, "x", 1, sku=""), "policy.sku"),
    ],
)
async def test_a_wrong_field_is_named(served, call, field):
    refused = await refusal(call(served))
    assert (refused.code, refused.reason, refused.fields) == ("INVALID_ARGUMENT", "INVALID_FIELD", [field])
    assert not (await list_stock(served)).stock


async def test_what_was_never_booked_is_not_found(served):
    await book(served, "r-1", ("tea", "", 1))
    for sku, location in (("milk", ""), ("tea", "shelf")):
        refused = await refusal(get_stock(served, sku, location))
        assert (refused.code, refused.reason, refused.definite) == ("NOT_FOUND", "STOCK_NOT_FOUND", True)
        assert (refused.metadata["sku"], refused.metadata["location"]) == (sku, location)
    assert (await refusal(get_stock(served, ""))).fields == ["stock.sku"]


async def test_a_refusal_leaves_no_item_half_booked(served):
    """Rows are worked out before the first write: the second item's full counter undoes the first."""
    cell = (1 << 53) - 1
    await book(served, "r-1", ("full", "", cell))
    refused = await refusal(book(served, "r-2", ("tea", "", 5), ("full", "", 1)))
    assert (refused.code, refused.reason, refused.definite) == ("FAILED_PRECONDITION", "COUNTER_FULL", True)
    assert refused.metadata["cell"] == "received"
    assert (await refusal(get_stock(served, "tea"))).reason == "STOCK_NOT_FOUND"
    assert not (await book(served, "r-2", ("tea", "", 5))).write.replayed


async def test_selling_moves_no_goods(served):
    await book(served, "r-1", ("tea", "", 5))
    await place(served, hold("o-1", ("tea", 2)))
    await confirm(served, "o-1")
    tea = await get_stock(served, "tea")
    assert (tea.on_hand, tea.shipped, tea.received, tea.burned) == (5, 0, 5, 0)
