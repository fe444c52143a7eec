"""Who gives tokens to whom when both lack; and when a new node is no newcomer any more."""

from __future__ import annotations

from tallystick.core.clock import Head
from tallystick.core.codec import encode
from tallystick.core.members import Member, MemberState
from tallystick.core.replica.commands import GrantTokens, SettleIn
from tallystick.core.replica.keys import member_key, stock_key
from tallystick.core.replication.messages import Ask, Me
from tallystick.core.stock.rights import EMPTY_STOCK
from tallystick.node.asking import AskDesk
from tallystick.node.installing import Installer
from tallystick.node.opening import ENCODERS
from tallystick.node.peering import Peering
from tallystick.node.snapshots import Installation
from tallystick.node.source import StoreSource
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Table
from tallystick.store.store import Store

TEA = stock_key("tea", "")


def kept(me: int, asker: int) -> int:
    """Units that a node keeps of what it is asked for, while its own orders want eight."""
    desk = AskDesk(me, lambda _: EMPTY_STOCK, lambda: [asker])
    desk.wanting = lambda _: 8
    (command,) = desk.grant(asker, Ask(1, TEA, 5), lambda _: None).commands()
    assert isinstance(command, GrantTokens)
    return command.keep


def test_of_two_that_lack_the_lower_id_keeps_what_its_orders_want():
    assert (kept(1, 2), kept(2, 1)) == (8, 0)


def newcomer(*members: int) -> Peering:
    """A new node, 7, that has all rows and frames, and these members on its disk."""
    at = ((1, 5, bytes(32)),)
    records = {each: Member("eu", int(MemberState.JOINING)) for each in members}
    store = Store(MemoryBackend(), ENCODERS)
    store.commit({Table.MEMBERS: {member_key(each): encode(records[each]) for each in members}}, {}, 0, b"")
    source = StoreSource(store)
    installer = Installer(Installation("seed", "code", at, at))
    return Peering(Me("c", 7, 1, "eu"), {1: Head(5, bytes(32))}, records, source, installer=installer)


def settles(peering: Peering) -> bool:
    peering.tick(1.0)
    commands = [command for chore in peering.take_chores() for command in chore.commands()]
    return any(isinstance(command, SettleIn) for command in commands)


def test_a_new_node_settles_in_when_it_has_heard_of_its_own_admission():
    """It remembers one whose rows came of a member that had not heard of it yet: it failed to settle in, and
    never tried again."""
    assert not settles(newcomer(1))
    assert settles(newcomer(1, 7))
