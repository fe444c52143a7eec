"""One order id at two and three nodes: whatever happens between, one order stands in the end.

Callers pay, confirm and cancel at any node, holds run out, frames come late, twice, and in any order that
keeps causes before effects. When all is delivered and every owner has settled, the nodes are equal, one claim
is in play, and each unit is free, held or sold, as a ledger says that reads the facts by itself.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tallystick.core.clock import EMPTY_HEAD
from tallystick.core.errors import Refused
from tallystick.core.members import node_name
from tallystick.core.order.facts import (
    Body,
    ConfirmWhen,
    DecisionKind,
    IntentKind,
    Line,
    OrderRecord,
    PaymentKind,
)
from tallystick.core.order.status import OrderStatus, State, fold
from tallystick.core.replica import commands
from tallystick.core.stock.rights import rights, totals
from tests.kit.effort import effort
from tests.kit.indexes import check_indexes
from tests.kit.node import Node, settle_all

NODES = (1, 2, 3)
UNITS = 2
PRICE = 100
STOCK = 6
ITEM = b"x\0"
nodes = st.sampled_from(NODES)


class Ledger:
    """What the facts say of each claim, counted by hand: units in its owner's books, sold and held."""

    def __init__(self, record: OrderRecord) -> None:
        self.books: dict[object, list[int]] = {}
        self.yielded: set[object] = set()
        self.sold_once = False
        for claim in record.claims:
            units = 0 if claim.placed.short else UNITS
            sold = not claim.placed.hold_until_ms
            self.sold_once |= sold and bool(units)
            self.books[claim.dot] = [0, units] if sold else [units, 0]
        for decision in sorted(record.decisions, key=lambda d: d.number):
            self.decide(decision.claim, DecisionKind(decision.kind), decision.keep)

    def decide(self, claim: object, kind: DecisionKind, keep: str) -> None:
        held, sold = self.books[claim]
        if kind is DecisionKind.CONFIRM:
            assert held == UNITS
            self.books[claim] = [0, UNITS]
            self.sold_once = True
        elif kind is DecisionKind.HOLD_AGAIN:
            assert (held, sold) == (0, 0)
            self.books[claim] = [UNITS, 0]
        elif kind is DecisionKind.EXPIRE:
            assert held == UNITS, "freed twice"
            self.books[claim] = [0, 0]
        elif kind is DecisionKind.CANCEL:
            self.books[claim] = [0, 0]
        elif kind is DecisionKind.DUPLICATE and keep != str(claim):
            assert claim not in self.yielded
            self.yielded.add(claim)
            self.books[claim] = [0, 0]
        elif kind is DecisionKind.KEPT and claim in self.yielded:
            self.yielded.remove(claim)

    def row(self, replica: int) -> tuple[int, int]:
        """(held, sold) units of this replica's claims."""
        mine = [books for claim, books in self.books.items() if claim.replica == replica]  # type: ignore[attr-defined]
        return sum(held for held, _ in mine), sum(sold for _, sold in mine)


class Rivals(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1_700_000_000_000
        self.asked = 0

    @initialize(
        when=st.sampled_from([*ConfirmWhen, ConfirmWhen.ON_CAPTURE, ConfirmWhen.BY_HAND]),
        count=st.sampled_from([2, 3]),
        at=st.lists(nodes, min_size=2, max_size=3, unique=True),
    )
    def found(self, when, count, at):
        line = Line("1", "x", UNITS, amount=PRICE)
        self.body = Body("EUR", (line,), confirm_when=int(when), hold_ms=60_000)
        self.nodes = {replica: Node(replica) for replica in NODES[:count]}
        for node in self.nodes.values():
            node.step(commands.ReceiveStock(f"b{node.id}", node_name(node.id), (("x", "", STOCK),)), self.now)
            node.commit()
        for replica in at:
            self.now += 1
            self.place(replica)

    def ask(self, replica: int, command: Any) -> None:
        node = self.nodes.get(replica)
        if node is not None:
            try:
                node.step(command, self.now)
            except Refused:
                return
            node.commit()

    def name(self) -> str:
        self.asked += 1
        return f"r{self.asked}"

    @rule(replica=nodes)
    def place(self, replica):
        self.ask(replica, commands.PlaceOrder("o", self.body))

    @rule(replica=nodes)
    def confirm(self, replica):
        self.ask(replica, commands.ConfirmOrder("o", self.name()))

    @rule(replica=nodes)
    def extend(self, replica):
        self.ask(replica, commands.ExtendHold("o", self.name(), 60_000))

    @rule(
        replica=nodes,
        kind=st.sampled_from([PaymentKind.AUTHORIZED, PaymentKind.CAPTURED, PaymentKind.CAPTURED]),
        number=st.integers(1, 2),
    )
    def pay(self, replica, kind, number):
        """At any node, and told again at others: it is the same payment."""
        self.ask(replica, commands.RecordPayment("o", f"{kind.name}-{number}", int(kind), PRICE))

    @rule(replica=nodes, number=st.integers(1, 2))
    def pay_too_late(self, replica, number):
        """The hold runs out, and then the money comes: it is held again, beside a rival that others hold."""
        self.run_out(replica)
        self.pay(replica, PaymentKind.CAPTURED, number)

    @rule(replica=nodes, rarely=st.integers(0, 9))
    def cancel(self, replica, rarely):
        if not rarely:
            self.ask(replica, commands.CancelOrder("o", self.name()))

    @rule(replica=nodes)
    def run_out(self, replica):
        """The sweeper of one node comes by after a while."""
        self.now += 61_000
        self.ask(replica, commands.ExpireHold("o"))

    @rule(replica=nodes)
    def settle(self, replica):
        if replica in self.nodes:
            self.nodes[replica].settle(self.now)

    @rule(to=nodes, origin=nodes, count=st.integers(1, 3))
    def hear(self, to, origin, count):
        """The next few frames of one origin."""
        if to in self.nodes and origin in self.nodes and to != origin:
            known = self.nodes[to].vector.get(origin, EMPTY_HEAD).seq
            for frame in self.nodes[origin].frames[known:][:count]:
                assert self.nodes[to].hear(frame.data) == []

    @rule(to=nodes, data=st.data())
    def hear_again(self, to, data):
        """Any frame of anybody: one that came before or comes too early changes nothing."""
        frames = [frame for node in self.nodes.values() for frame in node.frames]
        chosen = data.draw(st.lists(st.sampled_from(frames), max_size=4))
        for frame in chosen if to in self.nodes else ():
            assert self.nodes[to].hear(frame.data) == []

    @invariant()
    def no_unit_is_in_two_places(self):
        for node in self.nodes.values():
            stock = node.view.stock_of(ITEM)
            ledger = Ledger(node.view.order(b"o"))
            for replica in self.nodes:
                row = stock.row(replica)
                assert rights(stock, replica) >= 0
                assert (row.taken - row.freed - row.sold + row.unsold, row.sold - row.unsold) == ledger.row(
                    replica
                )
            check_indexes(node.dump())

    @rule(rarely=st.integers(0, 5))
    def meet(self, rarely):
        if not rarely:
            self.come_together()

    def come_together(self):
        settle_all(*self.nodes.values(), now=self.now)
        dumps = [node.dump() for node in self.nodes.values()]
        assert all(dump == dumps[0] for dump in dumps)
        self.no_unit_is_in_two_places()
        record = self.nodes[1].view.order(b"o")
        self.check_outcome(record, Ledger(record), fold(record))
        told = totals(self.nodes[1].view.stock_of(ITEM))
        assert told.available + told.reserved + told.sold == told.received == STOCK * len(self.nodes)

    def check_outcome(self, record: OrderRecord, ledger: Ledger, status: OrderStatus) -> None:
        if not record.claims:
            assert status.state is State.UNPLACED
            return
        assert len(set(ledger.books) - ledger.yielded) == 1
        assert status.counts is not None
        assert status.counts.dot not in ledger.yielded
        assert status.conflicts == ()
        paid = {intent.request_id for intent in record.intents if intent.kind == IntentKind.PAYMENT}
        if any(intent.kind == IntentKind.CANCEL for intent in record.intents):
            expected = State.CANCELLED
        elif ledger.sold_once:
            expected = State.CONFIRMED
        else:
            expected = State.HELD if any(held for held, _ in ledger.books.values()) else State.EXPIRED
        assert status.state is expected
        kept = PRICE * len(paid & {"CAPTURED-1", "CAPTURED-2"})
        stands = expected in (State.HELD, State.CONFIRMED)
        assert (status.payments.kept, status.refund_due) == (kept, max(0, kept - PRICE * stands))
        total = sum(held + sold for held, sold in ledger.books.values())
        assert total == (UNITS if stands else 0)
        if kept and self.body.confirm_when in (ConfirmWhen.ON_CAPTURE, ConfirmWhen.ON_AUTHORIZATION):
            assert expected is not State.HELD

    def teardown(self):
        if hasattr(self, "nodes"):
            self.come_together()


TestRivals = pytest.mark.timeout(600)(Rivals.TestCase)
TestRivals.settings = effort(120, stateful_step_count=30)
