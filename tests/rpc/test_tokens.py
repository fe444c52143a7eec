"""ListTokens: who may sell what, from the rows; what is asked for, from whoever knows."""

import pytest

from tallystick.core.members import Member, MemberState, node_name
from tallystick.core.replica.keys import stock_key
from tallystick.rpc.reads import Ask, list_tokens
from tallystick.v1 import stock_service_pb2
from tests.rpc.asking import order, place
from tests.rpc.refusals import refusal
from tests.rpc.serving import CALL_S
from tests.rpc.test_stock import book

OTHER, GONE = 0xA1, 0xA2


async def ask_tokens(served, **fields):
    return await served.stock.ListTokens(stock_service_pb2.ListTokensRequest(**fields), timeout=CALL_S)


def told(served, members, demands):
    """What the node answers that knows these members and demands."""
    site = served.running.shell.site
    everybody = {**site.members(), **members}
    with served.engine.store.read() as reader:
        ask = Ask(reader, site.replica, site.regions, served.running.shell.limits, everybody, demands)
        return list_tokens(ask, stock_service_pb2.ListTokensRequest()).items


async def test_a_node_has_what_it_has_not_sold(served):
    await book(served, "r-1", ("tea", "", 10), ("tea", "shelf", 3))
    await place(served, order("o-1", ("tea", 4)))
    answer = await ask_tokens(served)
    assert [
        (item.sku, item.location, [(each.node, each.region, each.quantity) for each in item.nodes])
        for item in answer.items
    ] == [("tea", "", [(served.node, "eu", 6)]), ("tea", "shelf", [(served.node, "eu", 3)])]
    assert not any(each.HasField("runway_seconds") for item in answer.items for each in item.nodes)


async def test_members_stand_by_region_and_those_that_ended_hold_nothing(served):
    await book(served, "r-1", ("tea", "", 10))
    members = {
        OTHER: Member("ap", MemberState.DRAINING),
        GONE: Member("us", MemberState.ENDED),
    }
    (item,) = told(served, members, lambda _: {})
    assert [(each.region, each.node, each.quantity) for each in item.nodes] == [
        ("ap", node_name(OTHER), 0),
        ("eu", served.node, 10),
    ]


async def test_what_is_asked_for_says_how_long_it_lasts(served):
    await book(served, "r-1", ("cup", "", 5), ("tea", "", 10))
    here = served.running.identity.replica
    rates = {stock_key("tea", ""): {here: 0.5, OTHER: 2.0}}
    cup, tea = told(served, {OTHER: Member("us", MemberState.ACTIVE)}, lambda key: rates.get(key, {}))
    assert [(each.demand, each.runway_seconds) for each in tea.nodes] == [(0.5, 20.0), (2.0, 0.0)]
    assert [each.HasField("runway_seconds") for each in tea.nodes] == [True, True]
    assert [(each.demand, each.HasField("runway_seconds")) for each in cup.nodes] == [(0.0, False)] * 2


async def test_pages_go_on_where_they_ended(served):
    await book(served, "r-1", *((f"tea-{each}", "", 1) for each in range(5)), ("cup", "", 1))
    found, token = [], ""
    while True:
        page = await ask_tokens(served, sku_prefix="tea", page_size=2, page_token=token)
        found += [item.sku for item in page.items]
        token = page.next_page_token
        if not token:
            break
    assert found == [f"tea-{each}" for each in range(5)]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"page_size": 1_001}, "page_size"),
        ({"page_token": "%"}, "page_token"),
        ({"sku_prefix": "x" * 129}, "sku_prefix"),
    ],
)
async def test_what_cannot_be_listed_is_named(served, fields, field):
    error = await refusal(ask_tokens(served, **fields))
    assert (error.reason, error.metadata["field"]) == ("INVALID_FIELD", field)
