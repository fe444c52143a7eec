"""The small worlds that are walked: who is there, what they have, and what may be asked of them.

A world is everything that may happen in it, in any order: each `Deed` as often as it says, at any of its
nodes; every hold may end at any time; every frame may come at any time, or not yet, or (`disorder`) before
those that it follows; a node may crash. A frame that is late enough is a lost one, until it is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tallystick.core.members import node_name
from tallystick.core.order.facts import Body, ConfirmWhen, Line, PaymentKind
from tallystick.core.replica.commands import (
    AdjustStock,
    Admit,
    CancelOrder,
    Command,
    ConfirmOrder,
    Found,
    GrantTokens,
    MoveTokens,
    PlaceOrder,
    Rebalance,
    ReceiveStock,
    RecordPayment,
    SetOverbooking,
    SettleIn,
)

EU, US, AP = 1, 2, 3
REGIONS = {EU: "eu", US: "us", AP: "ap"}
ITEM = ("tea", "")


class Deed(NamedTuple):
    """Something that may be asked of the nodes `at`, `times` in all: more than one is a caller who repeats
    himself, or a message that comes twice."""

    name: str
    command: Command
    at: tuple[int, ...]
    times: int = 1


@dataclass(frozen=True)
class World:
    """`stock` are the units that each node begins with. `commits` is how many deeds one commit may hold;
    `prompt` says that owners decide in the turn that brings them cause, as the driver has it, and not at any
    time after; `late` that holds may end; `repeated` that each frame is sent again in every state, to see
    that it changes nothing. `large` ones take minutes."""

    about: str
    stock: Mapping[int, int]
    deeds: tuple[Deed, ...]
    crashes: int = 0
    commits: int = 1
    disorder: bool = False
    prompt: bool = False
    large: bool = False
    late: bool = False
    repeated: bool = False

    @property
    def nodes(self) -> tuple[int, ...]:
        return tuple(sorted(self.stock))


def body(units: int, when: ConfirmWhen, customer: str = "") -> Body:
    """An order of so many units, at a price of 100 each."""
    lines = (Line("1", ITEM[0], units, amount=100 * units),)
    return Body("EUR", lines, confirm_when=int(when), customer=customer)


def founding(world: World) -> list[tuple[int, Command]]:
    """What has happened already, one commit each, and everybody knows of it."""
    first, *others = world.nodes
    deeds: list[tuple[int, Command]] = [(first, Found(REGIONS[first], secret=b"s"))]
    for node in others:
        deeds += [(first, Admit(node, REGIONS[node], "", f"n{node}")), (node, SettleIn(""))]
    return deeds + [
        (node, ReceiveStock(f"stock-{node}", node_name(node), ((*ITEM, units),)))
        for node, units in world.stock.items()
        if units
    ]


# ------------------------------------------------------------------------------------------------- deeds


def place(order_id: str, units: int, *at: int, when: ConfirmWhen, times: int = 1, customer: str = "") -> Deed:
    how = {ConfirmWhen.ON_PLACING: "sell", ConfirmWhen.BY_HAND: "hold"}.get(when, "hold until paid")
    whose = f" for {customer}" if customer else ""
    name = f"{how} {units} as {order_id}{whose}"
    return Deed(name, PlaceOrder(order_id, body(units, when, customer)), at, times)


def sell(order_id: str, units: int, *at: int, times: int = 1) -> Deed:
    return place(order_id, units, *at, when=ConfirmWhen.ON_PLACING, times=times)


def hold(order_id: str, units: int, *at: int, times: int = 1) -> Deed:
    return place(order_id, units, *at, when=ConfirmWhen.BY_HAND, times=times)


def cancel(order_id: str, *at: int, times: int = 1) -> Deed:
    return Deed(f"cancel {order_id}", CancelOrder(order_id, f"cancel-{order_id}"), at, times)


def confirm(order_id: str, *at: int, times: int = 1) -> Deed:
    return Deed(f"confirm {order_id}", ConfirmOrder(order_id, f"confirm-{order_id}"), at, times)


def pay(order_id: str, amount: int, *at: int, times: int = 1) -> Deed:
    command = RecordPayment(order_id, f"pay-{order_id}", int(PaymentKind.CAPTURED), amount)
    return Deed(f"pay {order_id}", command, at, times)


def grant(to: int, units: int, at: int, times: int = 1) -> Deed:
    return Deed(f"grant {units} to {REGIONS[to]}", GrantTokens(to, *ITEM, units), (at,), times)


def rebalance(to: int, units: int, at: int, times: int = 1) -> Deed:
    return Deed(f"rebalance {units} to {REGIONS[to]}", Rebalance(((*ITEM, to, units),)), (at,), times)


def move(to: int, units: int, at: int, times: int = 1) -> Deed:
    command = MoveTokens(f"move-{at}", node_name(at), to, ((*ITEM, units),))
    return Deed(f"move {units} to {REGIONS[to]}", command, (at,), times)


def missing(units: int, at: int, name: str = "count") -> Deed:
    command = AdjustStock(f"{name}-{at}", node_name(at), ((*ITEM, -units),), "counted")
    return Deed(f"find {units} missing", command, (at,))


def overbook(limit: int, at: int, name: str) -> Deed:
    command = SetOverbooking(f"{name}-{at}", node_name(at), *ITEM, limit)
    return Deed(f"set overbooking to {limit}", command, (at,))


# ------------------------------------------------------------------------------------------------ worlds

WORLDS: Mapping[str, World] = {
    "transfers": World(
        "three units, two nodes that sell, hold and give to each other",
        {EU: 2, US: 1},
        (sell("a", 2, EU, US), hold("b", 1, US), cancel("b", US), grant(US, 2, EU), grant(EU, 1, US)),
        repeated=True,
    ),
    "moves": World(
        "an operator's move is sent twice while the rebalancer sends the same units away",
        {EU: 3, US: 0},
        (
            *(move(US, 2, EU, times=2), rebalance(US, 2, EU), rebalance(EU, 1, US, times=2)),
            *(sell("a", 2, EU, US), hold("b", 1, EU, US)),
        ),
    ),
    "rivals": World(
        "one id is held at two nodes, is to be cancelled, and its holds may end",
        {EU: 1, US: 1},
        (hold("o", 1, EU, US, times=2), cancel("o", EU, US)),
        late=True,
        repeated=True,
    ),
    "rivals-confirmed": World(
        "one id is held at two nodes, and is to be a sale",
        {EU: 1, US: 1},
        (hold("o", 1, EU, US, times=2), confirm("o", EU, US, times=2)),
        late=True,
    ),
    "rivals-paid": World(
        "one id is held at two nodes until it is paid: before its holds end, or after",
        {EU: 1, US: 1},
        (place("o", 1, EU, US, when=ConfirmWhen.ON_CAPTURE, times=2), pay("o", 100, EU, US)),
        late=True,
    ),
    "rivals-sold": World(
        "one id is sold at two nodes at once, and cancelled at either",
        {EU: 1, US: 1},
        (sell("o", 1, EU, US, times=2), cancel("o", EU, US, times=2)),
    ),
    "customers": World(
        "two customers take one id, each of them at both nodes",
        {EU: 1, US: 2},
        (
            place("o", 1, EU, US, when=ConfirmWhen.BY_HAND, customer="ann"),
            place("o", 1, EU, US, when=ConfirmWhen.BY_HAND, customer="bob"),
            cancel("o", EU, US),
        ),
        late=True,
    ),
    "three-rivals": World(
        "one id is sold at three nodes",
        {EU: 1, US: 1, AP: 1},
        (sell("o", 1, EU, US, AP, times=3),),
        prompt=True,
    ),
    "shrinkage": World(
        "a node that is sold out finds units missing; others free theirs, and sell",
        {EU: 1, US: 2},
        (
            *(sell("a", 1, EU), sell("b", 1, US), missing(1, EU)),
            *(cancel("a", EU), cancel("b", US)),
        ),
    ),
    "overbooking": World(
        "overbooking is allowed, given away, and taken back",
        {EU: 1, US: 0},
        (
            *(overbook(1, EU, "more"), overbook(0, EU, "none")),
            *(sell("a", 2, EU), cancel("a", EU, US), grant(US, 1, EU)),
        ),
    ),
    "crashes": World(
        "a crash, two deeds in a commit, callers who try again, frames that overtake others",
        {EU: 2, US: 0},
        (hold("a", 1, EU, US, times=2), grant(US, 1, EU), cancel("a", EU, times=2)),
        crashes=1,
        commits=2,
        disorder=True,
        repeated=True,
    ),
    "relay": World(
        "three nodes: frames come before their causes, over whoever has them, and are held back",
        {EU: 1, US: 0, AP: 0},
        (grant(US, 1, EU), grant(AP, 1, US), hold("a", 1, AP), cancel("a", EU, US)),
        disorder=True,
        prompt=True,
        repeated=True,
    ),
    "rivals-all": World(
        "one id is held at two nodes, paid, confirmed and cancelled at either, and its holds may end",
        {EU: 1, US: 1},
        (hold("o", 1, EU, US, times=2), confirm("o", EU, US), cancel("o", EU, US), pay("o", 100, EU, US)),
        late=True,
        large=True,
    ),
    "rivals-and-stock": World(
        "one id is held at two nodes of which one has to get its unit from the other",
        {EU: 2, US: 0},
        (hold("o", 1, EU, US, times=2), cancel("o", EU, US), grant(US, 1, EU), sell("a", 1, EU, US)),
        late=True,
        large=True,
    ),
    "shrinkage-three": World(
        "units are missing where all is sold; two others free theirs, not knowing of each other",
        {EU: 1, US: 1, AP: 1},
        (
            *(sell("a", 1, EU), sell("b", 1, US), sell("c", 1, AP)),
            *(missing(1, EU), cancel("b", US), cancel("c", AP)),
        ),
        prompt=True,
        large=True,
    ),
    "transfers-repeated": World(
        "as transfers, but each grant may be asked for twice",
        {EU: 2, US: 1},
        (
            *(sell("a", 2, EU, US), hold("b", 1, US), cancel("b", US)),
            *(grant(US, 2, EU, times=2), grant(EU, 1, US, times=2)),
        ),
        large=True,
    ),
    "three-rivals-held": World(
        "one id is held at three nodes, and its holds may end",
        {EU: 1, US: 1, AP: 1},
        (hold("o", 1, EU, US, AP, times=3),),
        prompt=True,
        late=True,
        large=True,
    ),
}
