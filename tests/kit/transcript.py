"""Plain words to commands, and what came back to plain words: the language of the transcripts.

    receive b1: 5 x, 2 y@north            adjust a1: -2 x because broken        overbook p1: 3 x
    place o1 by ann for ada: 2 x at 20.00, 1 post untracked at 3.00; confirm by hand; hold 60 s; partial
    confirm o1 as r1     extend o1 as r2 by 60 s     cancel o1 as r3: 1 of line 1 because too big
    pay o1 p1 captured 20.00              edit o1 as e1: note = call first; tags. cleared
    wait 15 min      sweep      commit      crash      show o1
    meet      settle

All happens at node 7 unless another is named; when nodes meet each hears all frames of the others, and to
settle is to decide what those called for, everywhere, until nothing is open.

An order may also have `; discount 4.00` and `; note some words`. Between nodes:

    at 8, receive b1: 5 x      (any line may begin so: at node 8, instead of at 7)
    found      receive b1: 5 x; split 1 to 7, 2 to 8      move m1: 3 x to 8
    grant 2 x to 8      rebalance 2 x to 8, 1 y to 9      settle x      meet

Below each line comes what was answered, what went into the frame, how the order stands, and each stock item
that changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

from tallystick.core.clock import EMPTY_HEAD
from tallystick.core.errors import Refused
from tallystick.core.members import node_name
from tallystick.core.order.document import EMPTY_DOCUMENT, show
from tallystick.core.order.facts import Adjustment, AdjustmentKind, Body, ConfirmWhen, Line, PaymentKind
from tallystick.core.order.others import OrderName, fold_named
from tallystick.core.order.status import fold
from tallystick.core.replica import commands
from tallystick.core.replica.commands import Command
from tallystick.core.replica.keys import split_stock_key
from tallystick.core.stock.rights import totals
from tests.kit.describe import clock, describe, entry_lines, item, tokens
from tests.kit.node import Node

ME = 7
MIDNIGHT = 1_700_006_400_000
UNITS = {"s": 1_000, "min": 60_000, "h": 3_600_000}
INDENT = "  "


class Transcript:
    """One node, and others once they are spoken of, from ten in the morning."""

    def __init__(self) -> None:
        self.node = Node(ME)
        self.nodes = {ME: self.node}
        self.now = MIDNIGHT + 10 * 3_600_000

    def run(self, text: str) -> str:
        """The transcript with the answers that are given now."""
        lines = []
        for line in text.splitlines():
            if line.startswith(INDENT):
                continue
            lines.append(line)
            if line and not line.startswith("#"):
                lines += [INDENT + answer for answer in self.answers(line)]
        return "\n".join(lines) + "\n"

    def answers(self, line: str) -> Iterator[str]:
        elsewhere = re.match(r"at (\w+), ", line)
        here = int(elsewhere[1], 16) if elsewhere else ME
        self.node = self.nodes.setdefault(here, Node(here))
        line = line[elsewhere.end() :] if elsewhere else line
        verb = line.split()[0].rstrip(":")
        if verb in _EVENTS:
            yield from _EVENTS[verb](self, line)
        else:
            command = _COMMANDS[verb](line)
            named: dict[str, Any] = {"node": node_name(here)} if "node" in command._fields else {}
            yield from self.step(command._replace(**named))

    def step(self, command: Command) -> Iterator[str]:
        before = dict(self.node.view.stock)
        try:
            outcome = self.node.step(command, self.now)
        except Refused as refused:
            yield describe(refused)
            return
        yield describe(outcome)
        for entry in outcome.entries:
            yield from entry_lines(entry)
        if outcome.order_id:
            yield f"{outcome.order_id} is {describe(fold(outcome.record))}"
        for key, stock in sorted(self.node.view.stock.items()):
            if stock != before.get(key, self.node.tables.stock(key)):
                yield f"stock {item(*split_stock_key(key))}: {describe(totals(stock))}{tokens(stock)}"

    def wait(self, line: str) -> Iterator[str]:
        for node in self.nodes.values():
            node.commit()
        self.now += duration(line.removeprefix("wait "))
        yield f"it is {clock(self.now)}"

    def sweep(self, line: str) -> Iterator[str]:
        """Expire what is due, as the sweeper does."""
        for key in list(self.node.dump()["expiry"]):
            if int.from_bytes(key[:8]) <= self.now:
                yield from self.step(commands.ExpireHold(key[8:].decode()))

    def commit(self, line: str) -> Iterator[str]:
        self.node.commit()
        yield f"{len(self.node.frames)} frames"

    def meet(self, line: str) -> Iterator[str]:
        """Every node hears every frame."""
        for node in self.nodes.values():
            node.commit()
        before = {node.id: dict(node.tables.rows["stock"]) for node in self.nodes.values()}
        heard = 0
        for _ in self.nodes:
            for node, peer in permutations(self.nodes.values(), 2):
                for frame in peer.frames:
                    if frame.last > node.vector.get(peer.id, EMPTY_HEAD).seq:
                        assert node.hear(frame.data) == []
                        heard += 1
        yield f"{heard} frames are heard"
        told = self.node.tables.rows["stock"]
        assert all(node.tables.rows["stock"] == told for node in self.nodes.values())
        for key, stock in sorted(told.items()):
            if any(known.get(key) != stock for known in before.values()):
                yield f"stock {item(*split_stock_key(key))}: {describe(totals(stock))}{tokens(stock)}"

    def settle(self, line: str) -> Iterator[str]:
        """Every owner decides, and hears of the others' decisions, until nothing is open. Of a stock item:
        what came in pays what is missing."""
        if line != "settle":
            yield from self.step(_settle(line))
            return
        while any(node.unsettled for node in self.nodes.values()):
            for number, node in sorted(self.nodes.items()):
                self.node = node
                orders, node.unsettled = node.unsettled, {}
                for order_id in orders:
                    for answer in self.step(commands.Settle(order_id)):
                        if answer != "as before: nothing was written":
                            yield f"{number:x} {answer}"
            self.node = self.nodes[ME]
            yield from self.meet(line)

    def crash(self, line: str) -> Iterator[str]:
        lost = len(self.node.events)
        self.node.crash()
        yield f"{lost} events are lost"

    def show(self, line: str) -> Iterator[str]:
        text = line.split()[1]
        name = OrderName.parse(text)
        key = name.order_id.encode()
        status = fold_named(self.node.view.order(key), name.dot)
        assert status is not None
        yield f"{text} is {describe(status)}"
        document = EMPTY_DOCUMENT if name.dot else self.node.view.document(key)
        details = show(document, status.counts.body.details if status.counts else {})
        yield from (f"{name} = {value}" for name, value in details.items())


# ------------------------------------------------------------------------------------------------ the grammar


def match(pattern: str, text: str) -> re.Match[str]:
    found = re.fullmatch(pattern, text)
    assert found, f"not in the language of transcripts: {text!r}"
    return found


def duration(text: str) -> int:
    number, unit = text.split()
    return int(number) * UNITS[unit]


def cents(text: str) -> int:
    return round(float(text) * 100)


def located(text: str) -> tuple[str, str]:
    sku, _, location = text.partition("@")
    return sku, location


def because(text: str) -> tuple[str, str]:
    rest, _, reason = text.partition(" because ")
    return rest, reason


def counted(text: str) -> tuple[tuple[str, str, int], ...]:
    parts = (match(r"([+-]?\d+) (\S+)", part) for part in text.split(", "))
    return tuple((*located(part[2]), int(part[1])) for part in parts)


def _receive(line: str) -> Command:
    found = match(r"receive (\S+): ([^;]+)(?:; split (.+))?", line)
    parts = [match(r"(\d+) to (\w+)", part) for part in found[3].split(", ")] if found[3] else []
    split = tuple((int(part[2], 16), int(part[1])) for part in parts)
    return commands.ReceiveStock(found[1], node_name(ME), counted(found[2]), split=split)


def _move(line: str) -> Command:
    found = match(r"move (\S+): (.+) to (\w+)", line)
    return commands.MoveTokens(found[1], node_name(ME), int(found[3], 16), counted(found[2]))


def _grant(line: str) -> Command:
    found = match(r"grant (\d+) (\S+) to (\w+)", line)
    return commands.GrantTokens(int(found[3], 16), *located(found[2]), asked=int(found[1]))


def _rebalance(line: str) -> Command:
    parts = [match(r"(\d+) (\S+) to (\w+)", part) for part in line.removeprefix("rebalance ").split(", ")]
    return commands.Rebalance(tuple((*located(part[2]), int(part[3], 16), int(part[1])) for part in parts))


def _settle(line: str) -> Command:
    return commands.SettleStock(*located(line.removeprefix("settle ")))


def _adjust(line: str) -> Command:
    said, reason = because(line)
    found = match(r"adjust (\S+): (.+)", said)
    return commands.AdjustStock(found[1], node_name(ME), counted(found[2]), reason)


def _overbook(line: str) -> Command:
    found = match(r"overbook (\S+): (\d+) (\S+)", line)
    return commands.SetOverbooking(found[1], node_name(ME), *located(found[3]), limit=int(found[2]))


def _place(line: str) -> Command:
    found = match(r"place (\S+?)(?: by (\S+))?(?: for (\S+))?: (.+)", line)
    first, *clauses = found[4].split("; ")
    options = {clause.split()[0]: clause.split(" ", 1)[-1] for clause in clauses}
    lines = []
    for number, part in enumerate(first.split(", "), 1):
        piece = match(r"(\d+) (\S+)( untracked)?(?: at ([\d.]+))?", part)
        sku, location = located(piece[2])
        amount = cents(piece[4] or "0")
        lines.append(Line(str(number), sku, int(piece[1]), location, bool(piece[3]), 0, amount))
    discount = cents(options.get("discount", "0"))
    confirm = options.get("confirm", "on placing").replace(" ", "_").upper()
    body = Body(
        "EUR",
        tuple(lines),
        found[3] or "",
        (Adjustment("d", int(AdjustmentKind.DISCOUNT), -discount),) if discount else (),
        int(ConfirmWhen[confirm]) if "confirm" in options else 0,
        duration(options["hold"]) if "hold" in options else 0,
        2 if "partial" in options else 0,
        {"note": options["note"]} if "note" in options else {},
    )
    return commands.PlaceOrder(found[1], body, found[2] or "")


def _confirm(line: str) -> Command:
    found = match(r"confirm (\S+) as (\S+)", line)
    return commands.ConfirmOrder(found[1], found[2])


def _extend(line: str) -> Command:
    found = match(r"extend (\S+) as (\S+)(?: by (.+))?", line)
    return commands.ExtendHold(found[1], found[2], duration(found[3]) if found[3] else 0)


def _pay(line: str) -> Command:
    found = match(r"pay (\S+) (\S+) (\S+) ([\d.]+)", line)
    return commands.RecordPayment(found[1], found[2], int(PaymentKind[found[3].upper()]), cents(found[4]))


def _cancel(line: str) -> Command:
    said, reason = because(line)
    found = match(r"cancel (\S+) as ([^\s:]+)(?:: (.+))?", said)
    parts = [match(r"(\d+|all) of line (\S+)", part) for part in found[3].split(", ")] if found[3] else []
    lines = tuple((part[2], 0 if part[1] == "all" else int(part[1])) for part in parts)
    return commands.CancelOrder(found[1], found[2], lines, reason)


def _edit(line: str) -> Command:
    found = match(r"edit (\S+) as (\S+): (.+)", line)
    changes: dict[str, str | None] = {}
    replaced = []
    for part in found[3].split("; "):
        key, assigned, value = part.partition(" = ")
        if assigned:
            changes[key] = value
        elif key.removesuffix(" cleared").endswith("."):
            replaced.append(key.removesuffix(" cleared"))
        else:
            changes[key.removesuffix(" cleared")] = None
    return commands.EditOrder(found[1], found[2], changes, tuple(replaced))


_COMMANDS: dict[str, Callable[[str], Command]] = {
    "receive": _receive,
    "adjust": _adjust,
    "overbook": _overbook,
    "place": _place,
    "confirm": _confirm,
    "extend": _extend,
    "pay": _pay,
    "cancel": _cancel,
    "edit": _edit,
    "found": lambda line: commands.Found("eu"),
    "move": _move,
    "grant": _grant,
    "rebalance": _rebalance,
}
_EVENTS: dict[str, Callable[[Transcript, str], Iterator[str]]] = {
    "wait": Transcript.wait,
    "sweep": Transcript.sweep,
    "commit": Transcript.commit,
    "crash": Transcript.crash,
    "meet": Transcript.meet,
    "settle": Transcript.settle,
    "show": Transcript.show,
}
