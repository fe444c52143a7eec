"""Tokens that a node gives away are an event like any other: on disk before the answer, and there again."""

from __future__ import annotations

from tallystick.core.codec import encode
from tallystick.core.members import Member, MemberState
from tallystick.core.replica.commands import GrantTokens, ReceiveStock
from tallystick.core.replica.keys import member_key, stock_key
from tallystick.core.stock.rights import rights
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Table
from tallystick.store.record import pack_rows
from tests.node.driving import IDENTITY, NODE, driving

PEER = 0xBEEF
TEA = stock_key("tea", "")


async def test_a_grant_is_durable_and_survives_a_crash():
    """It has no entries, only a row: taken for nothing, its tokens would be sold twice after a crash."""
    backend = MemoryBackend()
    async with driving(backend) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 10),)))
    peer = {member_key(PEER): encode(Member("us", int(MemberState.ACTIVE)))}
    backend.commit({Table.MEMBERS: pack_rows(Table.MEMBERS, peer)})
    async with driving(backend) as driven:
        before = driven.engine.head.seq
        assert (await driven.do(GrantTokens(PEER, "tea", "", 4))).moved == ((TEA, PEER, 4),)
        assert not (await driven.do(GrantTokens(PEER + 1, "tea", "", 4))).writes
        assert driven.engine.head.seq == before + 1
        copy = backend.clone()
    async with driving(copy) as driven:
        stock = (await driven.do(GrantTokens(PEER, "tea", "", 1))).stock[0][1]
        assert [rights(stock, replica) for replica in (IDENTITY.replica, PEER)] == [5, 5]
