"""Two nodes of one cluster, and what a client asks of a cluster rather than of a node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from tallystick import (
    Client,
    ConfirmWhen,
    Disposition,
    InsufficientStock,
    InvalidRequest,
    ItemTokens,
    Line,
    LinkState,
    MemberState,
    OrderState,
    Payment,
    PaymentKind,
    SyncClient,
)
from tallystick.core.members import MemberState as CoreState
from tests.rpc.serving import Served, serving, until


class Pair(NamedTuple):
    """Two regions that are linked, and a client at each."""

    eu: Served
    us: Served
    at_eu: Client
    at_us: Client


@pytest.fixture
async def pair(tmp_path) -> AsyncIterator[Pair]:
    alone: Any = {"rebalance": "off"}  # tokens go where a test sends them
    async with serving(tmp_path / "eu", **alone) as eu, Client(eu.address, actor="shop") as at_eu:
        code = (await at_eu.invite()).code
        joining = {**alone, "new_cluster": False, "region": "us", "join": eu.address, "invitation": code}
        async with serving(tmp_path / "us", **joining) as us, Client(us.address, actor="shop") as at_us:
            known = eu.engine.driver.peering.members
            await until(lambda: all(each.state == CoreState.ACTIVE for each in dict(known).values()))
            yield Pair(eu, us, at_eu, at_us)


def shares(item: ItemTokens) -> dict[str, int]:
    return {each.region: each.quantity for each in item.nodes}


async def tokens(client: Client, sku: str, *writers: Client) -> dict[str, int]:
    """Who holds what of an item, as a node says that has seen what these clients wrote."""
    for writer in writers:
        await client.get_stock(sku, consistency_token=writer.consistency_token)
    (item,) = [each async for each in client.list_tokens(sku_prefix=sku)]
    return shares(item)


async def test_an_invitation_lets_a_second_region_in(pair):
    both = {(pair.eu.node, "eu", pair.eu.address), (pair.us.node, "us", pair.us.address)}
    for client, other in ((pair.at_eu, pair.us), (pair.at_us, pair.eu)):
        members = await client.members()
        assert {(each.node, each.region, each.address) for each in members} == both
        assert {each.state for each in members} == {MemberState.ACTIVE}
        status = await client.status()
        (peer,) = status.peers
        assert (peer.node, peer.region, peer.address) == (other.node, other.region, other.address)
        assert (peer.link, peer.problem) == (LinkState.UP, "")
        assert peer.heard_time is not None
        assert (status.state, status.installing, status.divergences) == (MemberState.ACTIVE, False, 0)
        assert set(status.vector) == {pair.eu.node, pair.us.node}


async def test_an_invitation_is_good_for_as_long_as_it_says(client):
    before = datetime.now(UTC)
    invitation = await client.invite(timedelta(minutes=5))
    assert timedelta(minutes=4, seconds=58) < invitation.expire_time - before < timedelta(minutes=6)
    with pytest.raises(InvalidRequest) as refused:
        await client.invite(timedelta(days=31))
    assert refused.value.field == "valid_for"


async def test_tokens_are_split_and_moved(pair):
    at_eu, at_us = pair.at_eu, pair.at_us
    received = await at_eu.receive_stock({"TEA": 10}, split={pair.eu.node: 3, pair.us.node: 2}, replicas=1)
    assert received.write.replicated_to == 1
    assert await tokens(at_us, "TEA", at_eu) == {"eu": 6, "us": 4}
    moved = await at_eu.move_tokens({"TEA": 5}, pair.us.node, request_id="m-1", replicas=1)
    assert [(item.on_hand, item.available_here) for item in moved.stock] == [(10, 1)]
    assert (await at_eu.move_tokens({"TEA": 5}, pair.us.node, request_id="m-1")).write.replayed
    assert await tokens(at_us, "TEA", at_eu) == {"eu": 1, "us": 9}
    with pytest.raises(InsufficientStock):
        await at_eu.move_tokens({"TEA": 2}, pair.us.node)


async def test_tokens_are_listed_item_by_item_page_by_page(pair):
    await pair.at_eu.receive_stock({"TEA": 3, "TEA-GREEN": 2, "CUP": 1})
    listed = [each async for each in pair.at_eu.list_tokens(sku_prefix="TEA", page_size=1)]
    assert [(each.sku, shares(each)) for each in listed] == [
        ("TEA", {"eu": 3, "us": 0}),
        ("TEA-GREEN", {"eu": 2, "us": 0}),
    ]
    assert all(node.runway_seconds is None for each in listed for node in each.nodes)


async def test_an_answer_waits_for_another_disk(pair):
    client = pair.at_eu
    await client.receive_stock({"TEA": 10})
    one: Any = {"currency": "EUR", "lines": [Line("TEA", 1, amount=900)]}
    placed = await asyncio.gather(
        *(client.place_order(**one, replicas=each % 2, confirm_when=ConfirmWhen.BY_HAND) for each in range(6))
    )
    assert {each.state for each in placed} == {OrderState.HELD}
    assert all(each.write.replicated_to == 1 for each in placed[1::2])
    again = await client.place_order(**one, id=placed[1].id, confirm_when=ConfirmWhen.BY_HAND, replicas=1)
    assert (again.write.replayed, again.state) == (True, OrderState.HELD)
    payment = Payment(kind=PaymentKind.CAPTURED, amount=900)
    for change in (
        await client.extend_hold(placed[0].id, replicas=1),
        await client.record_payment(placed[0].id, payment, replicas=1),
        await client.confirm_order(placed[0].id, replicas=1),
        await client.edit_order(placed[0].id, {"note": "ring twice"}, replicas=1),
        await client.cancel_order(placed[0].id, replicas=1),
    ):
        assert change.write.replicated_to == 1
    assert (await client.adjust_stock({"TEA": 1}, replicas=1)).write.replicated_to == 1
    assert (await client.set_stock_policy("TEA", 1, replicas=1)).write.replicated_to == 1


async def test_what_no_other_disk_has_is_told_when_the_time_is_over(client):
    await client.receive_stock({"TEA": 1})
    placed = await client.place_order(currency="EUR", lines=[Line("TEA", 1)], replicas=1, timeout=0.5)
    assert (placed.state, placed.write.replicated_to) == (OrderState.CONFIRMED, 0)


async def test_being_short_is_told_and_mended_elsewhere_for_orders_that_wait_too(tmp_path):
    """Two clusters of one, so that no tokens come by themselves."""
    async with (
        serving(tmp_path / "a") as near,
        serving(tmp_path / "b") as far,
        Client(far.address) as there,
        Client([near.address, far.address]) as client,
    ):
        await there.receive_stock({"TEA": 1})
        order: Any = {"currency": "EUR", "lines": [Line("TEA", 1)], "replicas": 1, "timeout": 1.0}
        with pytest.raises(InsufficientStock):
            await client.place_order(**order)
        placed = await client.place_order(**order, try_elsewhere=True)
        assert (await there.get_order(placed.id)).state is OrderState.CONFIRMED


async def test_what_another_node_is_to_decide_is_recorded(pair):
    await pair.at_eu.receive_stock({"TEA": 1})
    held: Any = {"currency": "EUR", "lines": [Line("TEA", 1)], "confirm_when": ConfirmWhen.BY_HAND}
    placed = await pair.at_eu.place_order(**held, replicas=1)
    asked = await pair.at_us.confirm_order(placed.id)
    assert asked.write.disposition is Disposition.RECORDED


async def test_a_write_waits_for_the_owners_decision_if_it_is_told_to(pair):
    at_us = pair.at_us
    await pair.at_eu.receive_stock({"TEA": 2})
    held: Any = {
        "currency": "EUR",
        "lines": [Line("TEA", 1, amount=900)],
        "confirm_when": ConfirmWhen.BY_HAND,
    }
    first = await pair.at_eu.place_order(**held, replicas=1)
    extended = await at_us.extend_hold(first.id, timedelta(days=1), wait_for_decision=True, replicas=1)
    assert extended.order.hold_expire_time > first.hold_expire_time
    confirmed = await at_us.confirm_order(first.id, wait_for_decision=True)
    assert confirmed.order.state is OrderState.CONFIRMED
    cancelled = await at_us.cancel_order(first.id, wait_for_decision=True)
    assert cancelled.order.state is OrderState.CANCELLED
    held["confirm_when"] = ConfirmWhen.ON_CAPTURE
    second = await pair.at_eu.place_order(**held, replicas=1)
    payment = Payment(kind=PaymentKind.CAPTURED, amount=900)
    paid = await at_us.record_payment(second.id, payment, wait_for_decision=True)
    assert paid.order.state is OrderState.CONFIRMED
    for change in (extended, confirmed, cancelled, paid):
        assert change.write.disposition is Disposition.DECIDED


def test_the_synchronous_client_asks_the_same(tmp_path):
    async def serve(ready: asyncio.Future[str], done: asyncio.Event) -> None:
        async with serving(tmp_path / "node") as served:
            ready.set_result(served.address)
            await done.wait()

    async def main() -> None:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        done = asyncio.Event()
        node = asyncio.create_task(serve(ready, done))
        await asyncio.to_thread(ask, await ready)
        done.set()
        await node

    def ask(address: str) -> None:
        with SyncClient(address) as client:
            (member,) = client.members()
            assert (member.region, member.state) == ("eu", MemberState.ACTIVE)
            assert client.invite(timedelta(hours=1)).code.count(".") == 3
            client.receive_stock({"TEA": 4}, split={member.node: 1})
            assert [shares(each) for each in client.list_tokens()] == [{"eu": 4}]
            with pytest.raises(InvalidRequest):
                client.move_tokens({"TEA": 1}, member.node)

    asyncio.run(main())
