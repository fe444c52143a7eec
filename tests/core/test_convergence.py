"""Three nodes write, send each other tokens, hear late, twice and out of order, and end with one state.

Frames travel as bytes. A node takes a frame when it is next in its origin's chain and its deps are met, so
causes come before effects; nothing else is promised. Whoever has the same frames then has the same tables,
and what frames alone say, joined in any such order, is what the steps wrote.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tallystick.core.clock import EMPTY_HEAD, Head
from tallystick.core.codec import decode
from tallystick.core.errors import Refused
from tallystick.core.frame import Frame
from tallystick.core.members import node_name
from tallystick.core.order.document import DocumentRecord, show
from tallystick.core.order.facts import Body, ConfirmWhen, Line, decode_order
from tallystick.core.order.status import fold
from tallystick.core.replica import commands
from tallystick.core.replica.commands import Command
from tallystick.core.replica.keys import stock_key
from tallystick.core.stock.rights import rights, totals
from tests.kit import orders as make
from tests.kit.effort import effort
from tests.kit.indexes import check_indexes
from tests.kit.node import Dump, Node, rebuilt

NODES = (1, 2, 3)
nodes = st.sampled_from(NODES)
items = st.sampled_from(make.ITEMS)
aims = st.integers(0, 255)


def readable(dump: Dump) -> Dump:
    """The tables, with documents as people see them: pycrdt's bytes may differ where the text does not."""
    read = dict(dump)
    read["documents"] = {}
    for key, data in dump["documents"].items():
        record = decode(data, DocumentRecord)
        read["documents"][key] = record.updates, show(record, {})
    return read


class Cluster(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.nodes = {replica: Node(replica) for replica in NODES}
        self.now = 1_700_000_000_000
        self.asked = 0
        self.looked_at: dict[int, tuple[dict[int, Head], int]] = {}

    @initialize(units=st.integers(1, 6))
    def found(self, units):
        for node in self.nodes.values():
            node.step(commands.Found("eu"), self.now)
            items = tuple((*item, units) for item in make.ITEMS)
            node.step(commands.ReceiveStock(f"b{node.id}", node_name(node.id), items), self.now)
            node.commit()

    def ask(self, replica: int, command: Command) -> None:
        try:
            self.nodes[replica].step(command, self.now)
        except Refused:
            return

    @rule(replica=nodes, command=make.placings)
    def place(self, replica, command):
        """Few ids, so that one is placed at several nodes, with the same contents or with others."""
        self.ask(replica, command)

    @rule(replicas=st.lists(nodes, min_size=2, max_size=3, unique=True), command=make.placings)
    def place_everywhere(self, replicas, command):
        """A caller that retries at another node before that has heard of the first."""
        for replica in replicas:
            self.ask(replica, command)

    @rule(replica=nodes, command=make.confirmations | make.extensions | make.cancellations, aim=aims)
    def decide(self, replica, command, aim):
        self.ask(replica, self.aimed(replica, command, aim))

    @rule(replica=nodes, command=make.payments, aim=aims)
    def pay(self, replica, command, aim):
        self.ask(replica, self.aimed(replica, command, aim))

    @rule(replica=nodes, command=make.edits, aim=aims)
    def edit(self, replica, command, aim):
        self.ask(replica, self.aimed(replica, command, aim))

    def aimed(self, replica: int, command: Any, aim: int) -> Any:
        """Most requests are new, and about an order that is known there."""
        known = sorted(self.nodes[replica].dump()["orders"])
        if aim % 8 and known:
            self.asked += 1
            order_id = known[aim // 8 % len(known)].decode()
            return command._replace(order_id=order_id, request_id=f"q{self.asked}")
        return command

    @rule(replica=nodes, data=st.data())
    def book(self, replica, data):
        self.ask(replica, data.draw(make.bookings(node_name(replica))))

    @rule(replica=nodes, peer=nodes, units=st.integers(0, 5), item=items, aim=aims)
    def send(self, replica, peer, units, item, aim):
        """Tokens for a peer that asked, by an operator or a policy, whatever the three know of each other."""
        here = node_name(replica)
        self.ask(
            replica,
            (
                commands.GrantTokens(peer, item[0], item[1], units),
                commands.MoveTokens(f"m{aim}", here, peer, ((*item, units),)),
                commands.Rebalance(((*item, peer, units),)),
                commands.ReceiveStock(f"s{aim}", here, ((*item, units),), split=((1, 1), (peer, 2))),
            )[aim % 4],
        )

    @rule(replica=nodes, units=st.integers(1, 4), item=items)
    def lose(self, replica, units, item):
        """More than is free there, often: then it owes, and others pay with what they free."""
        self.asked += 1
        lost = ((*item, -units),)
        self.ask(replica, commands.AdjustStock(f"a{self.asked}", node_name(replica), lost))

    @rule(debtor=nodes, helper=nodes, missing=st.integers(1, 4), item=items)
    def sell_out_and_lose(self, debtor, helper, missing, item):
        """All is sold at both, the one owes, and the other knows when it frees a hold."""
        self.asked += 1
        for node in {debtor, helper}:
            free = rights(self.nodes[node].view.stock_of(stock_key(*item)), node)
            if free:
                body = Body(
                    "EUR", (Line("1", item[0], free, item[1]),), confirm_when=int(ConfirmWhen.BY_HAND)
                )
                self.ask(node, commands.PlaceOrder(f"all{self.asked}-{node}", body))
        lost = ((*item, -missing),)
        self.ask(debtor, commands.AdjustStock(f"a{self.asked}", node_name(debtor), lost))
        self.nodes[debtor].commit()
        for to, origin in ((debtor, helper), (helper, debtor)):
            self.catch_up(to, origin)
        self.ask(helper, commands.CancelOrder(f"all{self.asked}-{helper}", "r", (("1", 1),)))
        self.ask(helper, commands.CancelOrder(f"all{self.asked}-{helper}", "s"))

    @rule(replica=nodes)
    def settle(self, replica):
        """As the driver does once it has heard a peer."""
        for item in make.ITEMS:
            self.ask(replica, commands.SettleStock(*item))

    @rule(seconds=st.sampled_from([1, 1, 30, 1_000]))
    def wait(self, seconds):
        self.now += seconds * 1_000
        for node in self.nodes.values():
            node.commit()
            for key in list(node.tables.rows["expiry"]):
                node.step(commands.ExpireHold(key[8:].decode()), self.now)

    @rule(replica=nodes, crashes=st.booleans())
    def commit(self, replica, crashes):
        node = self.nodes[replica]
        if crashes:
            node.crash()
        node.commit()

    @rule(data=st.data(), to=nodes)
    def deliver(self, data, to):
        """Any frame of anybody, by any way: one that is early or late changes nothing."""
        frames = [frame for node in self.nodes.values() for frame in node.frames]
        for at in data.draw(st.lists(st.integers(0, max(0, len(frames) - 1)), max_size=6)) if frames else ():
            assert self.nodes[to].hear(frames[at].data) == []

    @rule(replica=nodes)
    def decide_open(self, replica):
        self.nodes[replica].settle(self.now)

    @rule(to=nodes, origin=nodes)
    def catch_up(self, to, origin):
        for frame in self.nodes[origin].frames:
            assert self.nodes[to].hear(frame.data) == []

    @invariant()
    def every_view_is_sound(self):
        for node in self.nodes.values():
            now = (dict(node.vector), len(node.events))
            if self.looked_at.get(node.id) != now:
                self.looked_at[node.id] = now
                self.check(node)

    def check(self, node: Node) -> None:
        dump = node.dump()
        check_indexes(dump)
        for item in dump["stock"]:
            stock = node.view.stock_of(item)
            told = totals(stock)
            assert all(rights(stock, replica) >= 0 for replica in NODES)
            assert told.reserved + told.sold + told.burned <= told.received + told.overbooked
            assert told.available == sum(rights(stock, replica) for replica in NODES)
            assert all(row.settled <= row.owed for _, row in stock.rows)
        for data in dump["orders"].values():
            status = fold(decode_order(data))
            kinds = {conflict.kind for conflict in status.conflicts}
            assert kinds <= {"RIVAL_CLAIMS", "BODY_MISMATCH", "PAYMENT_MISMATCH", "REQUEST_MISMATCH"}
            assert 0 <= status.refund_due <= max(0, status.payments.kept)

    @rule()
    def meet(self):
        """Exchange everything: all nodes hold the same, and so does whoever reads the frames alone."""
        for _ in NODES:
            for to in self.nodes.values():
                for origin in self.nodes.values():
                    origin.commit()
                    known = to.vector.get(origin.id, EMPTY_HEAD).seq
                    for frame in origin.frames:
                        if frame.last > known:
                            to.hear(frame.data)
        dumps = [readable(node.dump()) for node in self.nodes.values()]
        assert dumps[0] == dumps[1] == dumps[2]
        assert len({frozenset(node.vector.items()) for node in self.nodes.values()}) == 1

    @precondition(lambda self: any(node.frames for node in self.nodes.values()))
    @rule(data=st.data())
    def rebuild(self, data):
        """Documents need causes before effects; all other joins agree on frames in any order."""
        self.meet()
        chains = [node.frames for node in self.nodes.values()]
        mine = readable(self.nodes[1].dump())
        told = readable(rebuilt(data.draw(interleavings(chains, causal=True))))
        assert told == mine
        told = readable(rebuilt(data.draw(interleavings(chains, causal=False))))
        assert {**told, "documents": mine["documents"]} == mine


@st.composite
def interleavings(draw: st.DrawFn, chains: list[list[Frame]], *, causal: bool) -> list[Frame]:
    """All frames, some twice, in an order that keeps each origin's; `causal`: and after their deps."""
    left = [list(chain) for chain in chains if chain]
    merged: list[Frame] = []
    heard: dict[int, int] = {}
    while left:
        next_ones = [
            chain for chain in left if not causal or all(heard.get(r, 0) >= n for r, n, _ in chain[0].deps)
        ]
        frame = draw(st.sampled_from(next_ones)).pop(0)
        heard[frame.origin] = frame.last
        merged.append(frame)
        if draw(st.integers(0, 7)) == 0:
            merged.append(draw(st.sampled_from(merged)))
        left = [chain for chain in left if chain]
    return merged


def test_a_frame_that_is_not_next_is_not_taken():
    """The machine's `deliver` rests on it."""
    first, second = Node(1), Node(2)
    for number in range(2):
        first.step(commands.ReceiveStock(f"b{number}", node_name(1), (("x", "", 1),)), 1_000)
        first.commit()
    second.hear(first.frames[1].data)
    assert second.vector.get(1, EMPTY_HEAD) == EMPTY_HEAD
    for frame in (first.frames[0], first.frames[1], first.frames[0]):
        second.hear(frame.data)
    assert second.dump()["stock"] == first.dump()["stock"]


TestCluster = pytest.mark.timeout(600)(Cluster.TestCase)
TestCluster.settings = effort(80, stateful_step_count=40)
