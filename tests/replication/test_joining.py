"""A node joins: by an invitation, while the others trade, and through crashes of its own."""

from __future__ import annotations

import asyncio

import pytest

from tallystick.core.invitations import invite
from tallystick.rpc.server import JoinRefused
from tallystick.v1 import cluster_service_pb2 as pb
from tests.replication.cluster import agreed, becomes, invitation_of, linked, status_of
from tests.rpc.asking import cancel, edit, get, hold, order, pay, place, place_all, receive


async def test_a_node_joins_and_has_everything(cluster):
    eu = await cluster.found("eu")
    await receive(eu, tea=100, milk=5)
    await place(eu, order("o-1", ("tea", 2), customer="ann"))
    await place(eu, hold("o-2", ("tea", 3), ("milk", 1)))
    await edit(eu, "o-1", "e-1", note="ring twice")
    await pay(eu, "o-1", 200)
    await cancel(eu, "never-placed")
    us = await cluster.join("us")
    told = await status_of(us)
    assert (told.region, told.cluster) == ("us", (await status_of(eu)).cluster)
    assert (told.state, told.installing) == (pb.MEMBER_STATE_ACTIVE, False)
    assert await get(us, "o-1") == await get(eu, "o-1")
    await linked(eu, us)
    await place(eu, order("o-3", ("tea", 1)))
    await agreed(eu, us)


async def test_members_are_listed_alike_everywhere(cluster):
    nodes = await cluster.three()
    await agreed(*nodes)
    lists = [(await node.cluster.ListMembers(pb.ListMembersRequest())).members for node in nodes]
    assert lists[0] == lists[1] == lists[2]
    assert {(m.node, m.region, m.address, m.state) for m in lists[0]} == {
        (node.node, node.region, node.address, pb.MEMBER_STATE_ACTIVE) for node in nodes
    }


async def test_a_wrong_signature_is_refused(cluster):
    eu = await cluster.found("eu")
    code = await invitation_of(eu)
    forged = code[:-1] + ("0" if code[-1] != "0" else "1")
    with pytest.raises(JoinRefused, match=r"^INVITATION_BAD"):
        await cluster.join("us", invitation=forged)
    assert len((await status_of(eu)).peers) == 0


async def test_an_invitation_expires(cluster):
    eu = await cluster.found("eu")
    (member,) = eu.engine.driver.peering.members.values()
    past_s = cluster.clock.ms // 1000 - 1
    late = invite(member.secret, (await status_of(eu)).cluster, "a" * 16, past_s)
    with pytest.raises(JoinRefused, match=r"^INVITATION_EXPIRED"):
        await cluster.join("us", invitation=str(late))


async def test_an_invitation_is_good_for_one_node(cluster):
    eu = await cluster.found("eu")
    code = await invitation_of(eu)
    us = await cluster.join("us", invitation=code)
    with pytest.raises(JoinRefused, match=r"^INVITATION_USED"):
        await cluster.join("asia", invitation=code)
    with pytest.raises(JoinRefused, match=r"^INVITATION_USED"):
        await cluster.join("asia-2", seed="us", invitation=code)
    await agreed(eu, us)


async def test_two_nodes_with_one_invitation_at_once(cluster):
    """Their greetings come in one turn of the member that both ask."""
    eu = await cluster.found("eu")
    code = await invitation_of(eu)
    results = await asyncio.gather(
        cluster.join("us", invitation=code), cluster.join("asia", invitation=code), return_exceptions=True
    )
    assert sorted(isinstance(result, JoinRefused) for result in results) == [False, True]
    (joined,) = [node for name, node in cluster.nodes.items() if name != "eu"]
    await agreed(eu, joined)


async def test_an_invitation_to_another_cluster_is_refused(cluster):
    await cluster.found("eu")
    other = await cluster.found("other")
    with pytest.raises(JoinRefused, match=r"^WRONG_CLUSTER|^INVITATION_BAD"):
        await cluster.join("us", seed="eu", invitation=await invitation_of(other))


async def test_a_node_joins_while_the_others_write(cluster):
    """Chunks are read while orders come in: rows joined early hold effects whose frames come later."""
    eu = await cluster.found("eu")
    await receive(eu, tea=1_000_000)
    for turn in range(4):
        await place_all(eu, *(order(f"before-{turn}-{n}", ("tea", 1), customer="ann") for n in range(500)))
    joining = asyncio.ensure_future(cluster.join("us"))
    turn = 0
    while not joining.done():
        await place_all(eu, *(hold(f"during-{turn}-{n}", ("tea", 1), customer="bob") for n in range(100)))
        turn += 1
    us = await joining
    assert turn
    await linked(eu, us)
    await place(eu, order("after", ("tea", 1)))
    await agreed(eu, us)


async def test_a_third_node_joins_through_the_second(cluster):
    eu = await cluster.found("eu")
    await receive(eu, tea=10)
    await cluster.join("us")
    asia = await cluster.join("asia", seed="us")
    await linked(*cluster.nodes.values())
    await place(eu, order("o-1", ("tea", 1)))
    await becomes(lambda: status_of(asia), lambda told: told.vector[eu.node] == eu.engine.head.seq)
    await agreed(*cluster.nodes.values())
