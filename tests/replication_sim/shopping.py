"""Customers of a cluster: what they ask for, and, worked out from the answers alone, what must be there in
the end."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tallystick.core.codec import decode
from tallystick.core.errors import InsufficientStock, Refused
from tallystick.core.members import node_name
from tallystick.core.order.document import show
from tallystick.core.order.facts import PaymentKind, decode_order
from tallystick.core.replica import commands
from tallystick.core.replica.commands import Command
from tallystick.core.replica.outcome import Outcome
from tallystick.core.replica.view import decode_document
from tallystick.core.stock.receipts import BookingRecord
from tallystick.store.port import Table
from tallystick_sim.calls import Call, Wishes
from tallystick_sim.cluster import Cluster
from tallystick_sim.node import Node
from tests.node.checking import Tables
from tests.node.workload import hold, sale
from tests.replication_sim.watching import SKUS

Draw = Callable[[], "tuple[Node, Command] | None"]


class Shoppers:
    """They draw commands and keep the calls."""

    def __init__(self, cluster: Cluster, *, replicas: int = 0) -> None:
        self._cluster = cluster
        self._random: Random = cluster.world.random
        self._replicas = replicas
        self._count = 0
        self.calls: list[Call] = []
        self.orders: dict[str, Node] = {}
        """Order ids that were tried, and where."""

    def act(self) -> None:
        """Somebody asks some node for something."""
        draws: list[Draw] = [*[self._place] * 6, *[self._wish] * 3, self._pay, self._edit, self._receive]
        drawn = self._random.choice([*draws, self._move])()
        if drawn is not None:
            self.ask(*drawn)

    def ask(self, node: Node, *asked: Command) -> Call:
        """Ask one node, and remember what for."""
        random = self._random
        wishes = Wishes(random.choice((500.0, 3_000.0)), random.choice((0, self._replicas)))
        self.calls.append(node.ask(*asked, wishes=wishes))
        return self.calls[-1]

    def stock_up(self, node: Node, units: int) -> Call:
        """Goods of every kind come in."""
        items = tuple((sku, "", units) for sku in SKUS)
        return self.ask(node, commands.ReceiveStock(self._name("r"), node_name(node.replica), items))

    # ------------------------------------------------------------------------------------------------ drawing

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._random.getrandbits(16):04x}-{self._count}"

    def _node(self) -> Node | None:
        ready = [node for node in self._cluster.nodes if node.up and node.settled]
        return self._random.choice(ready) if ready else None

    def _order(self) -> tuple[str, Node] | None:
        """An order that was tried, and where it was or, now and then, another node."""
        if not self.orders:
            return None
        name = self._random.choice([*self.orders])
        home = self.orders[name]
        there = home if home.up and self._random.random() < 0.7 else self._node()
        return None if there is None else (name, there)

    def _place(self) -> tuple[Node, Command] | None:
        """Every order has an id of its own: rival claims of one id are a story of their own."""
        node = self._node()
        if node is None:
            return None
        name = self._name("o")
        self.orders[name] = node
        units = self._random.randint(1, 4)
        if self._random.random() < 0.3:
            return node, hold(name, units)
        return node, sale(name, units, self._random.choice(SKUS))

    def _wish(self) -> tuple[Node, Command] | None:
        found = self._order()
        if found is None:
            return None
        name, node = found
        wish = self._name("w")
        if self._random.random() < 0.5:
            return node, commands.ConfirmOrder(name, wish)
        return node, commands.CancelOrder(name, wish)

    def _pay(self) -> tuple[Node, Command] | None:
        found = self._order()
        if found is None:
            return None
        kind = int(PaymentKind.CAPTURED)
        return found[1], commands.RecordPayment(found[0], self._name("p"), kind, 100)

    def _edit(self) -> tuple[Node, Command] | None:
        found = self._order()
        if found is None:
            return None
        edit = self._name("e")
        return found[1], commands.EditOrder(found[0], edit, {f"tags.{edit}": "1", "note": edit})

    def _receive(self) -> tuple[Node, Command] | None:
        node = self._node()
        if node is None:
            return None
        items = ((self._random.choice(SKUS), "", self._random.randint(1, 6)),)
        return node, commands.ReceiveStock(self._name("r"), node_name(node.replica), items)

    def _move(self) -> tuple[Node, Command] | None:
        node, other = self._node(), self._node()
        if node is None or other is None or node is other:
            return None
        items = ((self._random.choice(SKUS), "", 1),)
        return node, commands.MoveTokens(self._name("m"), node_name(node.replica), other.replica, items)

    # ----------------------------------------------------------------------------------------------- checking

    def refusals(self) -> list[tuple[Command, Refused]]:
        """What was refused for want of stock."""
        return [
            (call.asked[place], result)
            for call in self.calls
            for place, result in call.results.items()
            if isinstance(result, InsufficientStock)
        ]

    def check_answered(self) -> None:
        """Every caller of a node that did not crash meanwhile has exactly one answer a command."""
        alive = {id(call) for node in self._cluster.nodes for call in node.calls}
        assert not alive, "callers wait"
        for call in self.calls:
            assert call.answered in (0, len(call.asked)) or len(call.asked) > 1

    def check(self, tables: Tables) -> None:
        """Everything that was acknowledged is there, nothing that was refused, and nothing else."""
        expected = {"sure": dict[str, Command](), "maybe": dict[str, Command]()}
        for call in self.calls:
            for place, command in enumerate(call.asked):
                result = call.results.get(place)
                if isinstance(result, Refused) or (isinstance(result, Outcome) and result.replayed):
                    continue
                expected["maybe" if result is None else "sure"][_id_of(command)] = command
        found = _facts(tables)
        missing = expected["sure"].keys() - found
        assert not missing, f"acknowledged, and not there: {sorted(missing)}"
        unasked = found - expected["sure"].keys() - expected["maybe"].keys()
        assert not unasked, f"there, and nobody was told so: {sorted(unasked)}"


def _id_of(command: Command) -> str:
    """The one id of what a command does: no two share one."""
    if isinstance(command, commands.PlaceOrder):
        return command.order_id
    if isinstance(command, commands.ReceiveStock | commands.MoveTokens):
        return command.booking_id
    assert isinstance(command, commands.OrderWrite)
    return command.request_id


def _facts(tables: Tables) -> set[str]:
    """Ids of all that was done, as the tables have it."""
    found: set[str] = set()
    for key, data in tables[Table.ORDERS].items():
        record = decode_order(data)
        found |= {key.decode()} if record.claims else set()
        found |= {intent.request_id for intent in record.intents}
    for key, data in tables[Table.RECEIPTS].items():
        assert decode(data, BookingRecord).bookings
        found.add(key.decode())
    for key, data in tables[Table.DOCUMENTS].items():
        shown = show(decode_document(data), {})
        edits = {
            intent.request_id
            for intent in decode_order(tables[Table.ORDERS][key]).intents
            if intent.request_id.startswith("e-")
        }
        assert {name.removeprefix("tags.") for name in shown if name.startswith("tags.")} == edits
    return found
