"""What an order is and which tokens it has, by the design's own words: the oracle's second opinion.

Numbers are those of the stored format. States are those of the public contract.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tallystick_sim.oracle.events import Item

HELD, CONFIRMED, CANCELLED, EXPIRED, DUPLICATE = 2, 3, 4, 5, 10
CONFIRM, EXTEND, CANCEL, REDUCE, EXPIRE, HOLD_AGAIN, DECLINE, YIELD, KEPT, HAND_OVER = range(1, 11)

_NEXT = {
    (HELD, CONFIRM): CONFIRMED,
    (HELD, EXTEND): HELD,
    (HELD, REDUCE): HELD,
    (HELD, CANCEL): CANCELLED,
    (HELD, EXPIRE): EXPIRED,
    (HELD, YIELD): DUPLICATE,
    (CONFIRMED, REDUCE): CONFIRMED,
    (CONFIRMED, CANCEL): CANCELLED,
    (CONFIRMED, YIELD): DUPLICATE,
    (EXPIRED, HOLD_AGAIN): HELD,
    (EXPIRED, CANCEL): CANCELLED,
    (EXPIRED, YIELD): DUPLICATE,
    (CANCELLED, YIELD): DUPLICATE,
    (DUPLICATE, KEPT): EXPIRED,
}
_ANYWHERE = {DECLINE, KEPT, HAND_OVER}
LIVE = {HELD, CONFIRMED}

Effect = tuple[str, Item]
"""What happens to an item: "taken", "freed", "sold" or "unsold"."""


@dataclass
class ClaimBook:
    """One placing, as its owner's decisions go on."""

    order_id: str
    dot: tuple[int, int]
    state: int
    lines: Mapping[str, tuple[Item, int]]
    """Tracked lines by id: the item, and the units that were asked for."""
    gone: Counter[str] = field(default_factory=Counter)
    """Units of each line that do not stand any more, or never did."""
    number: int = 0
    until_ms: int = 0
    """When its hold ends, on its owner's clock."""
    has_ended: bool = False
    """Whether its hold ever was over: it may be held again where nobody has heard of it yet."""
    body: str = ""
    """What was ordered, as text: equal bodies are one order."""

    def standing(self) -> dict[str, int]:
        """Units of each tracked line that stand."""
        return {line_id: max(0, units - self.gone[line_id]) for line_id, (_, units) in self.lines.items()}

    def decide(self, decision: Mapping[str, Any]) -> tuple[list[str], Counter[Effect]]:
        """Take one decision. Answers what is wrong with it, and what it does to tokens."""
        kind, number, wrong = decision["k"], decision["n"], []
        if number != self.number + 1:
            wrong.append(f"decision {number} of {self.order_id} comes after {self.number}")
        self.number = number
        keeps_itself = kind == YIELD and decision.get("p") == "{:012x}:{}".format(*self.dot)
        if keeps_itself:
            return wrong, Counter()
        before, after = self.state, _NEXT.get((self.state, kind))
        if after is None:
            if kind not in _ANYWHERE:
                wrong.append(f"decision of kind {kind} on {self.order_id}, which is in state {before}")
            return wrong, Counter()
        self.state = after
        self.has_ended |= after not in LIVE
        self.until_ms = decision.get("h", 0) or self.until_ms
        effects: Counter[Effect] = Counter()
        units = dict(decision.get("l", ())) if kind == REDUCE else self.standing()
        if kind == REDUCE:
            self.gone.update(units)
        if kind == CONFIRM:
            self._count(effects, "sold", units)
        elif kind == HOLD_AGAIN:
            self._count(effects, "taken", units)
        elif before in LIVE and kind in (REDUCE, CANCEL, EXPIRE, YIELD):
            self._count(effects, "freed", units)
            if before == CONFIRMED:
                self._count(effects, "unsold", units)
        return wrong, effects

    def placing(self) -> Counter[Effect]:
        """What placing did to tokens."""
        effects: Counter[Effect] = Counter()
        for what in ("taken", "sold") if self.state == CONFIRMED else ("taken",):
            self._count(effects, what, self.standing())
        return effects

    def _count(self, effects: Counter[Effect], what: str, units: Mapping[str, int]) -> None:
        for line_id, count in units.items():
            if line_id in self.lines:
                effects[what, self.lines[line_id][0]] += count


def open_claim(order_id: str, claim: Mapping[str, Any]) -> ClaimBook:
    """A claim as its `placed` fact has it."""
    placed = claim["p"]
    lines = {
        line["i"]: ((line["s"], line.get("l", "")), line["q"])
        for line in placed["b"].get("l", ())
        if not line.get("x")
    }
    state = HELD if placed.get("h") else CONFIRMED
    gone = Counter(dict(placed.get("s", ())))
    dot, until = (claim["r"], claim["q"]), placed.get("h", 0)
    return ClaimBook(order_id, dot, state, lines, gone, until_ms=until, body=repr(placed["b"]))
