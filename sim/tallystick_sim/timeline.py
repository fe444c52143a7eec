"""A run as a story that a person can read: what happened when, of an order, an item, a node, or all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

from tallystick.core.replica import commands
from tallystick_sim.oracle.events import RawFrame
from tallystick_sim.plan import Plan, Read, Request
from tallystick_sim.run import Patch, Result, run_plan

ORDER, STOCK, BOOKING, DOCUMENT = 1, 2, 3, 4
_DECIDES = [
    "confirm",
    "extend",
    "cancel",
    "reduce",
    "expire",
    "hold-again",
    "decline",
    "duplicate",
    "kept",
    "hand-over",
]
_WISHES = ["payment", "cancel", "confirm", "extend", "edit"]


class Focus(NamedTuple):
    """What the story is about; empty for all."""

    order: str = ""
    item: str = ""
    node: int | None = None

    @property
    def on_records(self) -> bool:
        """Whether it is about something that frames write."""
        return bool(self.order or self.item)


class Story(NamedTuple):
    """A run, told. Lines are (milliseconds, text)."""

    lines: list[tuple[float, str]]
    result: Result


def tell(plan: Plan, focus: Focus = Focus(), *, patch: Patch = nullcontext) -> Story:  # noqa: B008
    """Run it, and tell what happened."""
    notes: list[tuple[float, tuple[Any, ...]]] = []
    frames: dict[bytes, RawFrame] = {}
    result = run_plan(plan, patch=patch, listener=lambda at, what: notes.append((at, what)), frames=frames)
    teller = _Teller(plan, focus, frames)
    lines = [(at, text) for at, what in notes for text in teller.tell(what)]
    lines += [(each.at_ms, f"!!! {each.checker}: {each.message}") for each in result.violations]
    return Story(sorted(lines, key=lambda line: line[0]), result)


class _Teller:
    """Puts notes into words, if they are about the focus."""

    def __init__(self, plan: Plan, focus: Focus, frames: Mapping[bytes, RawFrame]) -> None:
        self._focus = focus
        self._requests = {request.number: request for request in plan.requests}
        self._frames = {digest.hex()[:8]: frame for digest, frame in frames.items()}

    def tell(self, what: tuple[Any, ...]) -> Iterator[str]:
        """The lines of one note."""
        kind, *rest = what
        teller = _TELLERS.get(kind)
        if teller is not None:
            yield from teller(self, rest)

    # ------------------------------------------------------------------------------------------ what happened

    def life(self, text: str) -> Callable[[list[Any]], Iterator[str]]:
        """Something that concerns one node, always worth a line."""

        def line(rest: list[Any]) -> Iterator[str]:
            if self._focus.node in (None, rest[0]):
                more = " ".join(str(each) for each in rest[1:])
                yield f"node {rest[0]} {text} {more}".rstrip()

        return line

    def fault(self, rest: list[Any]) -> Iterator[str]:
        _, kind, nodes, ms, amount = rest
        if self._focus.node is None or self._focus.node in nodes:
            lasts = f" for {ms:,.0f} ms" if ms else ""
            much = f" ({amount:,.0f})" if amount else ""
            yield f"*** {kind} of {', '.join(map(str, nodes))}{lasts}{much}"

    def asks(self, rest: list[Any]) -> Iterator[str]:
        number, node = rest[:2]
        request = self._requests[number]
        if self._about(request):
            yield f"call {number} asks node {node}: {_words(request)}"

    def done(self, rest: list[Any]) -> Iterator[str]:
        number, node, replayed, copies = rest
        if self._about(self._requests[number]):
            again = ", as before" if replayed else ""
            yield f"call {number} is answered by node {node}: done{again}, copies elsewhere: {copies}"

    def refused(self, rest: list[Any]) -> Iterator[str]:
        number, node, reason = rest
        if self._about(self._requests[number]):
            yield f"call {number} is refused by node {node}: {reason}"

    def disk(self, rest: list[Any]) -> Iterator[str]:
        node, replica, *names = rest
        if self._focus.node in (None, node):
            for name in names:
                frame = self._frames[name]
                text = self._entries(frame)
                verb = "writes" if frame.origin == replica else "takes"
                if text or (self._focus.node is not None and not self._focus.on_records):
                    yield f"node {node} {verb} {frame.origin}:{frame.first} {text}".rstrip()

    def arrives(self, rest: list[Any]) -> Iterator[str]:
        left, right, text = rest
        if self._focus.node in (left, right) and not self._focus.on_records:
            yield f"{left} → {right} {text}"

    # ---------------------------------------------------------------------------------------------- the focus

    def _about(self, request: Request) -> bool:
        focus = self._focus
        if focus.node is not None and request.node != focus.node:
            return False
        about = not focus.on_records or (focus.order and focus.order in _names(request))
        return bool(about or (focus.item and focus.item in _names(request)))

    def _entries(self, frame: RawFrame) -> str:
        """What a frame says about the focus."""
        texts = []
        for entries in frame.events:
            for kind, name, delta in entries:
                if kind in (ORDER, DOCUMENT) and name == self._focus.order:
                    texts.append(_facts(delta) if kind == ORDER else "an edit")
                elif kind == STOCK and self._focus.item and name.split("\0")[0] == self._focus.item:
                    texts.append(" ".join(f"{cell}={value}" for cell, value in delta.items()))
        return "; ".join(texts)


_Tell = Callable[[_Teller, list[Any]], Iterator[str]]


def _life(text: str) -> _Tell:
    return lambda teller, rest: teller.life(text)(rest)


_TELLERS: Mapping[str, _Tell] = {
    "alarm": _life("raises"),
    "arrives": _Teller.arrives,
    "asks": _Teller.asks,
    "can't start": _life("can't start:"),
    "closes": _life("ends a link:"),
    "crashed": _life("crashes"),
    "disk": _Teller.disk,
    "done": _Teller.done,
    "failed": _life("fails by a bug:"),
    "fault": _Teller.fault,
    "frozen": _life("stands still for ms:"),
    "healed": lambda _teller, _rest: iter(("*** all faults end",)),
    "refused": _Teller.refused,
    "rotten": _life("reads something rotten:"),
    "settled": _life("has all that the others have"),
    "sick": _life("is ill:"),
    "started": lambda teller, rest: teller.life("starts, its chain at")([rest[0], rest[1].seq]),
    "stopped": _life("stops"),
}


def _words(request: Request) -> str:
    """A request in a few words."""
    command = request.command
    match command:
        case commands.PlaceOrder(order_id, body):
            lines = ", ".join(f"{line.quantity} {line.sku}" for line in body.lines)
            return f"place {order_id}: {lines}"
        case Read(order_id):
            return f"read {order_id}"
    name = "".join(f" {sign.lower()}" if sign.isupper() else sign for sign in type(command).__name__).strip()
    return f"{name} {' '.join(str(value) for value in command if value)}"


def _names(request: Request) -> set[str]:
    """Orders and items that a request is about."""
    command = request.command
    if isinstance(command, commands.PlaceOrder):
        return {command.order_id, *(line.sku for line in command.body.lines)}
    if isinstance(command, commands.ReceiveStock | commands.AdjustStock | commands.MoveTokens):
        return {sku for sku, _, _ in command.items}
    found = {getattr(command, "order_id", ""), getattr(command, "sku", "")}
    return found - {""}


def _facts(delta: Mapping[str, Any]) -> str:
    """What an event says about an order."""
    texts = [f"a claim {each['r']}:{each['q']}" for each in delta.get("c", ())]
    texts += [f"a wish: {_WISHES[each['k'] - 1]} {each['i']}" for each in delta.get("i", ())]
    for each in delta.get("d", ()):
        cites = f" (for {each['c']})" if each.get("c") else ""
        texts.append(f"decision {each['n']} on {each['x']}:{each['y']}: {_DECIDES[each['k'] - 1]}{cites}")
    return ", ".join(texts)
