"""What must hold, worked out from what is stored, by code that shares nothing with the engine's rules.

It reads the engine's records, as data. Sums, states and refusals it works out in its own way, so that a
mistake in a table of the engine is not repeated here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

import msgspec

from tallystick.core import errors
from tallystick.core.frame import decode_events
from tallystick.core.order.facts import Body, Claim, Decision, DecisionKind, IntentKind, OrderRecord
from tallystick.core.replica.commands import Command, OrderWrite, PlaceOrder, Settle, SettleStock
from tallystick.core.stock.rights import Row, Stock
from tallystick_sim.exhaustive.node import Node, State
from tallystick_sim.exhaustive.worlds import REGIONS

Rows = Mapping[bytes, Mapping[int, Row]]
"""By item and replica."""

_STOCK_ENTRY = 2
_ENDS = {
    DecisionKind.CANCEL: "cancelled",
    DecisionKind.EXPIRE: "expired",
    DecisionKind.DUPLICATE: "duplicate",
}
_LIVING = ("held", "confirmed")


# --------------------------------------------------------------------------------------------------- stock


def rights_of(rows: Mapping[int, Row], replica: int) -> int:
    """What a replica may still sell."""
    row = rows.get(replica, Row())
    units = row.received + row.minted + row.freed - row.burned - row.unminted - row.taken
    units -= sum(count for _, count in row.moved)
    return units + sum(count for other in rows.values() for to, count in other.moved if to == replica)


def check_stock(rows: Rows) -> Iterator[str]:
    """P1, item by item."""
    for key, by_replica in rows.items():
        item = key.decode().partition("\0")[0]
        for replica in sorted({*by_replica, *(to for row in by_replica.values() for to, _ in row.moved)}):
            rights = rights_of(by_replica, replica)
            if rights < 0:
                yield f"the rights of {REGIONS[replica]} to {item} are {rights}"
        total = Counter[str]()
        for row in by_replica.values():
            total.update({cell: getattr(row, cell) for cell in Row.__struct_fields__[:-1]})
        used = total["taken"] - total["freed"] + total["burned"] + total["unminted"]
        may = total["received"] + total["minted"]
        if used > may:
            yield f"{item} is oversold: {used} units are held, sold, burned or taken back, of {may}"
        for small, large in (("freed", "taken"), ("settled", "owed"), ("unminted", "lowered")):
            if total[small] > total[large]:
                yield f"{item}: {total[small]} {small} of {total[large]} {large}"


def rows_of(state: State) -> Rows:
    """All rows that a node has."""
    found: dict[bytes, Stock] = dict(state.tables.rows["stock"])
    return {key: dict(stock.rows) for key, stock in found.items()}


def said_rows(state: State) -> dict[bytes, dict[int, Row]]:
    """The same, as the writers' own frames say it: of each the latest."""
    said: dict[bytes, dict[int, Row]] = {}
    for frame in state.log:
        for kind, name, delta in (entry for event in decode_events(frame) for entry in map(_entry, event)):
            if kind == _STOCK_ENTRY:
                row = msgspec.msgpack.decode(delta, type=Row)
                said.setdefault(name.encode(), {})[frame.origin] = row
    return said


def _entry(data: msgspec.Raw) -> tuple[int, str, msgspec.Raw]:
    return msgspec.msgpack.decode(data, type=tuple[int, str, msgspec.Raw])


# -------------------------------------------------------------------------------------------------- orders


class Tale(NamedTuple):
    """What became of a claim: its states one after the other, and what it did to the items' cells."""

    states: tuple[str, ...]
    cells: Counter[tuple[bytes, str]]


def tell(claim: Claim, decisions: Iterable[Decision]) -> Tale:
    """Follow a claim through its decisions."""
    body = msgspec.msgpack.decode(claim.placed.body, type=Body)
    live = {line.line_id: line.quantity for line in body.lines if not line.untracked}
    for line_id, units in claim.placed.short:
        live[line_id] -= units
    items = {line.line_id: f"{line.sku}\0{line.location}".encode() for line in body.lines}
    cells = Counter[tuple[bytes, str]]()

    def add(*names: str, units: Mapping[str, int] = live) -> None:
        for line_id, count in units.items():
            cells.update({(items[line_id], name): count for name in names})

    states = ["held" if claim.placed.hold_until_ms else "confirmed"]
    add("taken", *(("sold",) if states[0] == "confirmed" else ()))
    mine = [d for d in decisions if (d.claim_replica, d.claim_seq) == (claim.replica, claim.seq)]
    for decision in sorted(mine, key=lambda d: d.number):
        state, kind = states[-1], DecisionKind(decision.kind)
        undone = ("freed", "unsold") if state == "confirmed" else ("freed",)
        if kind is DecisionKind.CONFIRM and state == "held":
            states.append("confirmed")
            add("sold")
        elif kind is DecisionKind.HOLD_AGAIN and state == "expired":
            states.append("held")
            add("taken")
        elif kind is DecisionKind.KEPT and state == "duplicate":
            states.append("expired")
        elif kind is DecisionKind.REDUCE and state in _LIVING:
            add(*undone, units=dict(decision.lines))
            for line_id, units in decision.lines:
                live[line_id] -= units
        elif kind in _ENDS and not _keeps_itself(claim, decision):
            if state in _LIVING:
                add(*undone)
            states.append(_ENDS[kind])
    return Tale(tuple(states), cells)


def _keeps_itself(claim: Claim, decision: Decision) -> bool:
    return decision.keep == f"{claim.replica:012x}:{claim.seq}"


def records_of(state: State) -> dict[str, OrderRecord]:
    """All orders that a node has."""
    return {
        key.decode(): msgspec.msgpack.decode(data, type=OrderRecord)
        for key, data in state.tables.rows["orders"].items()
    }


def check_ledger(state: State) -> Iterator[str]:
    """Rows tell what the orders tell: each unit taken once for each claim, and freed once."""
    expected: dict[int, Counter[tuple[bytes, str]]] = {}
    for record in records_of(state).values():
        for claim in record.claims:
            expected.setdefault(claim.replica, Counter()).update(tell(claim, record.decisions).cells)
    for key, by_replica in rows_of(state).items():
        for replica, row in by_replica.items():
            for cell in ("taken", "freed", "sold", "unsold"):
                told, there = expected.get(replica, Counter())[key, cell], getattr(row, cell)
                if told != there:
                    yield f"{REGIONS[replica]}'s row says {there} {cell}, its orders say {told}"


def check_ending(order_id: str, record: OrderRecord) -> Iterator[str]:
    """What an order must be when everybody knows everything: one that stands, as its callers wished."""
    tales = {claim.dot: tell(claim, record.decisions).states for claim in record.claims}
    bodies: dict[bytes, list[Claim]] = {}
    for claim in record.claims:
        bodies.setdefault(bytes(claim.placed.body), []).append(claim)
    for body, claims in bodies.items():
        standing = [claim for claim in claims if tales[claim.dot][-1] != "duplicate"]
        if len(standing) != 1:
            yield f"{len(standing)} orders stand under the id {order_id}"
            continue
        yield from _check_wishes(order_id, record, body, tales[standing[0].dot][-1])
        sold = any("confirmed" in tales[claim.dot] for claim in claims)
        if sold and tales[standing[0].dot][-1] not in ("confirmed", "cancelled"):
            yield f"order {order_id} was sold, and is {tales[standing[0].dot][-1]}"


def _check_wishes(order_id: str, record: OrderRecord, body: bytes, state: str) -> Iterator[str]:
    names = (b"", blake2b(body, digest_size=16).digest())
    cancels = [
        i for i in record.intents if i.kind == IntentKind.CANCEL and i.body_hash in names and not i.lines
    ]
    if bool(cancels) != (state == "cancelled"):
        yield f"order {order_id} was {'' if cancels else 'never '}asked to be cancelled, and is {state}"


# ------------------------------------------------------------------------------------------------ one node


def check_node(node: Node, state: State) -> Iterator[str]:
    """What must hold at a node, whatever happens elsewhere."""
    rows, who = rows_of(state), node.region
    yield from (f"as {who} sees it, {problem}" for problem in check_stock(rows))
    said = said_rows(state)
    if rows != said:
        yield f"{who} has rows that their writers did not write: {rows} for {said}"
    yield from (f"at {who}, {problem}" for problem in check_ledger(state))
    held = set()
    for order_id, record in records_of(state).items():
        if any(tell(claim, record.decisions).states[-1] == "held" for claim in record.claims):
            held.add(order_id)
    listed = {key[8:].decode() for key in state.tables.rows["expiry"]}
    if held != listed:
        yield f"{who} lists {sorted(listed)} to expire, and holds {sorted(held)}"


def check_growth(earlier: State, later: State) -> Iterator[str]:
    """Rows only grow."""
    for key, by_replica in rows_of(earlier).items():
        for replica, row in by_replica.items():
            now = rows_of(later)[key][replica]
            if any(getattr(now, cell) < getattr(row, cell) for cell in Row.__struct_fields__[:-1]):
                yield f"{REGIONS[replica]}'s row shrinks: {row} to {now}"


def check_refusal(node: Node, state: State, command: Command, refusal: errors.Refused) -> Iterator[str]:
    """A refusal is right: it could not be done, here and now."""
    who, record = node.region, records_of(state).get(getattr(command, "order_id", ""), OrderRecord())
    states = [tell(claim, record.decisions).states[-1] for claim in record.claims]
    right = False
    match refusal:
        case errors.InsufficientStock():
            right = all(_is_short(node, state, short) for short in refusal.shortages)
        case errors.NotFound():
            right = not record.claims
        case errors.WrongState():
            # A cancel that came first is decided first, in the step that would decide this.
            cancelled = any(intent.kind == IntentKind.CANCEL for intent in record.intents)
            right = isinstance(command, OrderWrite) and (cancelled or "held" not in states)
        case errors.IdReused():
            bodies = [msgspec.msgpack.decode(claim.placed.body, type=Body) for claim in record.claims]
            right = isinstance(command, PlaceOrder) and bool(bodies) and command.body not in bodies
    if not right:
        yield f"{who} refuses {type(command).__name__}, and need not: {refusal.message}"


def _is_short(node: Node, state: State, short: errors.Shortage) -> bool:
    rows = rows_of(state).get(f"{short.sku}\0{short.location}".encode(), {})
    return short.available_here == rights_of(rows, node.id) < short.asked


def tell_node(node: Node, state: State) -> str:
    """How it stands at a node, in a line."""
    told = []
    for key, rows in rows_of(state).items():
        told.append(f"{rights_of(rows, node.id)} of {key.decode().partition(chr(0))[0]} free")
    for order_id, record in records_of(state).items():
        claims = (
            f"{tell(claim, record.decisions).states[-1]} ({REGIONS[claim.replica]}'s)"
            for claim in record.claims
        )
        told.append(f"{order_id} is {' and '.join(claims) or 'not placed'}")
    return f"{node.region}: {'; '.join(told)}"


def chores(state: State) -> list[Command]:
    """All that an owner may find to do of itself."""
    orders = [Settle(key.decode()) for key in state.tables.rows["orders"]]
    items = (key.decode().partition("\0") for key in state.tables.rows["stock"])
    return [*orders, *(SettleStock(sku, place) for sku, _, place in items)]


# --------------------------------------------------------------------------------------------- at the end


def check_end(nodes: Iterable[Node], states: Iterable[State]) -> Iterator[str]:
    """When all have all, and nobody has anything to do: equal to the byte, and nothing open."""
    states = list(states)
    for (one, here), (other, there) in pairwise(zip(nodes, states, strict=True)):
        if here.tables.digest != there.tables.digest:
            yield f"{one.region} and {other.region} have the same frames and not the same state"
    for order_id, record in records_of(states[0]).items():
        if record.claims:
            yield from check_ending(order_id, record)
            if order_id.encode() in states[0].tables.rows["intents"]:
                yield f"order {order_id} waits for a decision, and nobody has any to make"
