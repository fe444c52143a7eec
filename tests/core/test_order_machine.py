"""Orders and stock of one replica under random commands, against the independent shop of the kit.

Every answer, refusals and their reasons included, every order's state and money, and every item's numbers
must be what the shop says. Groups of events commit together; a crash loses the group that had not.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from tallystick.core.errors import InsufficientStock, Refused
from tallystick.core.limits import Limits
from tallystick.core.members import node_name
from tallystick.core.order.document import DocumentRecord, show
from tallystick.core.order.facts import decode_order
from tallystick.core.order.status import OrderStatus, fold
from tallystick.core.replica import commands
from tallystick.core.replica.commands import Command
from tallystick.core.replica.keys import stock_key
from tallystick.core.replica.outcome import Outcome
from tallystick.core.stock.rights import Stock, totals
from tests.kit import orders as make
from tests.kit.effort import effort
from tests.kit.indexes import check_indexes
from tests.kit.node import Dump, Node, overlay_of, rebuilt
from tests.kit.shop import AGAIN, BY_HAND, ON_AUTHORIZATION, ON_CAPTURE, Item, No, Order, Shop

ME = 7
aims = st.integers(0, 255)
HISTORY_MAX = 8
SAYS = {
    commands.PlaceOrder: Shop.place,
    commands.ConfirmOrder: Shop.confirm,
    commands.ExtendHold: Shop.extend,
    commands.RecordPayment: Shop.pay,
    commands.CancelOrder: Shop.cancel,
    commands.EditOrder: Shop.edit,
    commands.ExpireHold: Shop.expire,
    commands.ReceiveStock: Shop.receive,
    commands.AdjustStock: Shop.adjust,
    commands.SetOverbooking: Shop.set_overbooking,
}


# The same id with other contents, or with what does not count as contents: who asks.
OTHERWISE: dict[type, Callable[[Any, int], Any]] = {
    commands.PlaceOrder: lambda c, n: c._replace(body=replace(c.body, customer=f"c{n}")),
    commands.ConfirmOrder: lambda c, n: c._replace(actor=f"a{n}"),
    commands.ExtendHold: lambda c, n: c._replace(hold_ms=n * 10_000),
    commands.RecordPayment: lambda c, n: c._replace(kind=1 + n % 6, amount=n * 10),
    commands.CancelOrder: lambda c, n: c._replace(reason=f"w{n}"),
    commands.EditOrder: lambda c, n: c._replace(changes={**c.changes, "email": f"e{n}"}),
    commands.ReceiveStock: lambda c, n: c._replace(items=((*c.items[0][:2], n),)),
    commands.AdjustStock: lambda c, n: c._replace(reason=f"w{n}"),
    commands.SetOverbooking: lambda c, n: c._replace(limit=n),
}


def has_orders(life: Life) -> bool:
    return bool(life.shop.orders)


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.node = Node(ME, Limits(history_max=HISTORY_MAX))
        self.now = 1_700_000_000_000
        self.shop = Shop(HISTORY_MAX)
        self.committed = deepcopy(self.shop)
        self.accepted: list[Command] = []
        self.group: list[Command] = []
        self.asked = 0

    # ------------------------------------------------------------------------------------------- what happens

    @initialize(units=st.integers(2, 9))
    def stock_up(self, units):
        items = tuple((*item, units) for item in make.ITEMS)
        self.ask(commands.ReceiveStock("b", node_name(ME), items))

    @rule(command=make.placings)
    def place(self, command):
        self.ask(command)

    @rule(command=make.placings)
    def place_a_new_one(self, command):
        self.asked += 1
        self.ask(command._replace(order_id=f"n{self.asked}"))

    @rule(command=make.placings, wishes=st.lists(make.cancellations, min_size=1, max_size=3))
    def cancel_and_then_place(self, command, wishes):
        """The cancellation of an order may arrive before the order."""
        self.asked += 1
        for number, wish in enumerate(wishes):
            self.ask(wish._replace(order_id=f"n{self.asked}", request_id=f"r{number}"))
        self.ask(command._replace(order_id=f"n{self.asked}"))

    @precondition(has_orders)
    @rule(command=make.confirmations, aim=aims)
    def confirm(self, command, aim):
        self.ask(self.aimed(command, aim))

    @precondition(has_orders)
    @rule(command=make.extensions, aim=aims)
    def extend(self, command, aim):
        self.ask(self.aimed(command, aim))

    @precondition(has_orders)
    @rule(command=make.payments, aim=aims)
    def pay(self, command, aim):
        self.ask(self.aimed(command, aim))

    @precondition(has_orders)
    @rule(command=make.payments, aim=aims, kind=st.sampled_from([1, 2, 2]))
    def pay_what_is_lacking(self, command, aim, kind):
        """So that orders get paid at all."""
        command = self.aimed(command, aim)
        order = self.shop.orders.get(command.order_id)
        if order is not None and order.body is not None and order.price > order.kept:
            self.ask(command._replace(kind=kind, amount=order.price - order.kept, currency=""))

    @rule(
        command=make.placings,
        when=st.sampled_from([ON_AUTHORIZATION, ON_CAPTURE, BY_HAND]),
        kinds=st.lists(st.sampled_from([1, 2, 2, 3, 4, 5, 6]), min_size=1, max_size=3),
        late=st.booleans(),
    )
    def buy(self, command, when, kinds, late):
        """A checkout, paid in time or too late: what asks for another hold, and money that goes back."""
        self.asked += 1
        order_id = f"n{self.asked}"
        body = replace(command.body, confirm_when=when, shortage_mode=2)
        self.ask(command._replace(order_id=order_id, body=body))
        if late:
            self.wait_for(1_000_000)
        for number, kind in enumerate(kinds):
            order = self.shop.orders.get(order_id)
            amount = max(1, order.price if order else 1)
            self.ask(commands.RecordPayment(order_id, f"p{number}", kind, amount))

    @precondition(has_orders)
    @rule(command=make.cancellations, aim=aims)
    def cancel(self, command, aim):
        self.ask(self.aimed(command, aim))

    @precondition(has_orders)
    @rule(command=make.edits, aim=aims)
    def edit(self, command, aim):
        self.ask(self.aimed(command, aim))

    def aimed(self, command: Any, aim: int) -> Any:
        """Most requests are new, and about an order that is there."""
        if aim % 8 and self.shop.orders:
            self.asked += 1
            known = list(self.shop.orders)
            return command._replace(order_id=known[aim // 8 % len(known)], request_id=f"q{self.asked}")
        return command

    @rule(command=make.bookings(node_name(ME)))
    def book(self, command):
        self.ask(command)

    @precondition(has_orders)
    @rule(seconds=st.sampled_from([1, 10, 60, 1_000, 1_000]), sweep=st.sampled_from([True, True, False]))
    def wait(self, seconds, sweep):
        """Time passes between groups; the sweeper may come by. It looks at every hold, and ends those due."""
        self.wait_for(seconds * 1_000, sweep=sweep)

    def wait_for(self, ms: int, *, sweep: bool = True) -> None:
        self.commit()
        self.now += ms
        for key in list(self.node.tables.rows["expiry"]) if sweep else []:
            outcome = self.ask(commands.ExpireHold(key[8:].decode()))
            assert bool(outcome.entries) == (int.from_bytes(key[:8]) <= self.now)
        self.commit()

    @precondition(lambda self: self.accepted or self.group)
    @rule(data=st.data())
    def retry(self, data):
        """An answer that was lost: the same request is answered again, and nothing is written."""
        command = data.draw(st.sampled_from(self.accepted + self.group))
        before = overlay_of(self.node.view)
        outcome = self.node.step(command, self.now)
        assert outcome.replayed
        assert outcome.entries == ()
        assert overlay_of(self.node.view) == before

    @precondition(lambda self: self.accepted or self.group)
    @rule(data=st.data(), other=st.integers(1, 9))
    def use_an_id_again(self, data, other):
        """Another request under the id of one that was carried out: refused, unless it only seems another."""
        command: Any = data.draw(st.sampled_from(self.accepted + self.group))
        self.ask(OTHERWISE[type(command)](command, other))

    @rule(data=st.data(), how=st.sampled_from(["commit", "commit", "crash", "rebuild"]))
    def end_the_group(self, data, how):
        if how == "crash":
            self.crash()
        self.commit()
        if how == "rebuild":
            self.rebuild(data)

    def commit(self) -> None:
        self.node.commit()
        self.committed = deepcopy(self.shop)
        self.accepted += self.group
        self.group = []

    def crash(self) -> None:
        """What was not committed never happened; its ids are free again."""
        self.node.crash()
        self.shop = deepcopy(self.committed)
        self.group = []

    def rebuild(self, data: st.DataObject) -> None:
        """Frames joined into empty tables, some of them again and again, are the state that steps wrote."""
        deliveries = list(self.node.frames)
        for at in data.draw(st.lists(st.integers(0, len(deliveries) - 1), max_size=3)) if deliveries else ():
            deliveries.insert(data.draw(st.integers(at + 1, len(deliveries))), deliveries[at])
        mine, told = self.node.dump(), rebuilt(deliveries)
        assert told == mine

    def ask(self, command: Command) -> Outcome:
        """Step the command; the shop must say the same, and a refusal must leave no trace."""
        before = overlay_of(self.node.view)
        try:
            expected, no = SAYS[type(command)](self.shop, command, self.now), None
        except No as refusal:
            expected, no = "", refusal
        if no is not None:
            with pytest.raises(Refused) as refused:
                self.node.step(command, self.now)
            assert refused.value.reason == no.reason
            if isinstance(refused.value, InsufficientStock):
                assert [short[:4] for short in refused.value.shortages] == no.shortages
            assert overlay_of(self.node.view) == before
            return Outcome()
        outcome = self.node.step(command, self.now)
        assert outcome.replayed == (expected == AGAIN) == (outcome.entries == ())
        if outcome.replayed:
            assert overlay_of(self.node.view) == before
        elif type(command) is not commands.ExpireHold:
            self.group.append(command)
        return outcome

    # ---------------------------------------------------------------------------------------- what must hold

    @invariant()
    def everything_is_as_the_shop_says(self):
        dump = self.node.dump()
        check_indexes(dump)
        self.check_that_live_orders_hold_and_sell_what_stock_says(dump)
        assert set(dump["orders"]) == {order_id.encode() for order_id in self.shop.orders}
        for order_id, order in self.shop.orders.items():
            status = fold(decode_order(dump["orders"][order_id.encode()]))
            assert status.conflicts == ()
            assert said_of(status) == expected_of(order)
            document = self.node.view.document(order_id.encode())
            self.check_details(status, document, order)
        for (sku, location), item in self.shop.items.items():
            self.check_stock(self.node.view.stock_of(stock_key(sku, location)), item)

    def check_details(self, status: OrderStatus, document: DocumentRecord, order: Order) -> None:
        if status.counts is not None:
            shown = show(document, status.counts.body.details)
            assert shown == {key: value for key, value in order.details.items() if value}

    def check_stock(self, stock: Stock, item: Item) -> None:
        told = totals(stock)
        assert (told.received, told.burned, told.owed) == (item.received, item.burned, item.owing)
        assert (told.reserved, told.sold, told.available) == (item.held, item.sold, item.free)
        assert told.overbooked == item.over
        assert told.reserved + told.sold + told.burned <= told.received + told.overbooked

    def check_that_live_orders_hold_and_sell_what_stock_says(self, dump: Dump) -> None:
        """Straight from the facts, the shop aside: a token that was freed twice would be missing here."""
        units: dict[tuple[str, bytes], int] = {}
        for data in dump["orders"].values():
            claim = fold(decode_order(data)).counts
            if claim is None:
                continue
            for line in claim.body.lines:
                if not line.untracked:
                    name = claim.state.name, stock_key(line.sku, line.location)
                    units[name] = units.get(name, 0) + claim.live_units(line.line_id, line.quantity)
        for sku, location in make.ITEMS:
            key = stock_key(sku, location)
            told = totals(self.node.view.stock_of(key))
            assert (told.reserved, told.sold) == (
                units.get(("HELD", key), 0),
                units.get(("CONFIRMED", key), 0),
            )


def said_of(status: OrderStatus) -> tuple[object, ...]:
    claim = status.counts
    money = (status.payments.kept, status.payments.secured, status.refund_due)
    if claim is None:
        return int(status.state), money
    until = claim.hold_until_ms if claim.state.name == "HELD" else 0
    gone = {line_id: units for line_id, units in claim.cancelled.items() if units}
    return int(status.state), money, until, gone, claim.price, claim.due


def expected_of(order: Order) -> tuple[object, ...]:
    money = (order.kept, order.secured, order.refund_due if order.body else 0)
    if order.body is None:
        return order.state, money
    until = order.until if order.state == 2 else 0
    gone = {line_id: units for line_id, units in order.gone.items() if units}
    return order.state, money, until, gone, order.price, order.due


TestLife = pytest.mark.timeout(600)(Life.TestCase)
TestLife.settings = effort(80, stateful_step_count=50)
