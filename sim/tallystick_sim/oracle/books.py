"""The books: all that was ever written by anybody, read from frames as they first come to a disk.

Each frame is audited by itself: what it did to its writer's rows must be what its orders and bookings call
for, to the unit. So a token that is freed twice, taken for nothing or sold from nowhere is found in the frame
that did it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tallystick_sim.oracle.claims import ClaimBook, open_claim
from tallystick_sim.oracle.events import Fact, Head, Item, RawFrame, Vector

ORDER, STOCK, BOOKING, _DOCUMENT, _MEMBER = 1, 2, 3, 4, 5
RECEIVE, ADJUST, POLICY, MOVE = 1, 2, 3, 4
_GROWING = ["bu", "fr", "lo", "mi", "ow", "re", "rs", "se", "sh", "so", "ta", "um", "un"]
_AUDITED = {"taken": "ta", "freed": "fr", "sold": "so", "unsold": "un", "received": "re"}
Row = Mapping[str, Any]
Complaint = tuple[str, str]
"""(the promise that is broken, how)."""


class Books:
    """Everything written so far, by everybody."""

    def __init__(self) -> None:
        self.heads: dict[int, dict[int, bytes]] = {}
        """Origin → the last event of each frame → the frame's hash."""
        self.claims: dict[str, dict[tuple[int, int], ClaimBook]] = {}
        self.facts: dict[Fact, list[tuple[int, int]]] = {}
        """The dots under which each fact was recorded."""
        self._about: dict[str, list[Fact]] = {}
        self.rows: dict[Item, dict[int, list[tuple[int, Row]]]] = {}
        """Item → writer → (event, row), oldest first."""
        self._limits: dict[tuple[Item, int], int] = {}
        """By item and writer: the overbooking that was last told."""

    # ----------------------------------------------------------------------------------------------- writing

    def take(self, frame: RawFrame, seen: Vector) -> Iterator[Complaint]:
        """A frame that came to a disk for the first time. `seen`: what its writer had of others then."""
        yield from self._note_dots(frame)
        due: Counter[tuple[str, Item]] = Counter()
        written: dict[Item, Row] = {}
        for at, entries in enumerate(frame.events):
            dot = frame.origin, frame.first + at
            for kind, name, delta in entries:
                if kind == ORDER:
                    yield from self._order(name, delta, dot, due)
                elif kind == BOOKING:
                    yield from self._booking(name, delta, dot, due)
                elif kind == STOCK:
                    sku, _, place = name.partition("\0")
                    if (sku, place) in written:
                        yield "conservation", f"{dot} writes the row of {sku} twice"
                    written[sku, place] = delta
        for item in {*written, *(item for _, item in due)}:
            yield from self._audit(frame, item, written.get(item), due, seen)

    def _note_dots(self, frame: RawFrame) -> Iterator[Complaint]:
        chain = self.heads.setdefault(frame.origin, {})
        known = chain.setdefault(frame.last, frame.digest)
        if known != frame.digest:
            yield "one hash a dot", f"{frame.origin}:{frame.last} is two frames"

    def _order(
        self, name: str, delta: Row, dot: tuple[int, int], due: Counter[tuple[str, Item]]
    ) -> Iterator[Complaint]:
        for claim in delta.get("c", ()):
            if (claim["r"], claim["q"]) != dot:
                yield "writers", f"{dot} writes a claim of {claim['r']}:{claim['q']}"
            book = open_claim(name, claim)
            self.claims.setdefault(name, {})[book.dot] = book
            self._note(("order", name), dot)
            due.update(book.placing())
        for intent in delta.get("i", ()):
            if (intent["r"], intent["q"]) != dot:
                yield "writers", f"{dot} writes an intent of {intent['r']}:{intent['q']}"
            self._note(("wish", name, intent["i"]), dot)
        for decision in delta.get("d", ()):
            if (decision["r"], decision["q"]) != dot or decision["x"] != dot[0]:
                yield "writers", f"{dot} decides on a claim of {decision['x']}"
            claim_book = self.claims.get(name, {}).get((decision["x"], decision["y"]))
            if claim_book is None:
                yield "status", f"{dot} decides on a claim of {name} that is nowhere"
                continue
            wrong, effects = claim_book.decide(decision)
            yield from (("status", text) for text in wrong)
            due.update(effects)

    def _booking(
        self, name: str, delta: Row, dot: tuple[int, int], due: Counter[tuple[str, Item]]
    ) -> Iterator[Complaint]:
        for booking in delta.get("b", ()):
            if (booking["r"], booking["q"]) != dot:
                yield "writers", f"{dot} writes a booking of {booking['r']}:{booking['q']}"
            if any(writer == dot[0] for writer, _ in self.facts.get(("booking", name), ())):
                yield "counted once", f"{dot} books {name} again"
            self._note(("booking", name), dot)
            if booking["k"] == POLICY:
                self._limits |= {((sku, place), dot[0]): limit for sku, place, limit in booking["i"]}
            if booking["k"] in (RECEIVE, ADJUST):
                for sku, place, units in booking["i"]:
                    due["received" if units > 0 else "missing", (sku, place)] += abs(units)

    def _note(self, fact: Fact, dot: tuple[int, int]) -> None:
        if fact not in self.facts:
            self._about.setdefault(fact[1], []).append(fact)
        self.facts.setdefault(fact, []).append(dot)

    def _audit(
        self,
        frame: RawFrame,
        item: Item,
        after: Row | None,
        due: Counter[tuple[str, Item]],
        seen: Vector,
    ) -> Iterator[Complaint]:
        """What one frame did to one row."""
        history = self.rows.setdefault(item, {}).setdefault(frame.origin, [])
        before: Row = history[-1][1] if history else {}
        row = before if after is None else after
        where = f"{frame.origin}:{frame.last} {item[0]}"
        for what, cell in _AUDITED.items():
            did, owed = row.get(cell, 0) - before.get(cell, 0), due[what, item]
            if did != owed:
                promise = "freed once" if what == "freed" and did > owed else "conservation"
                yield promise, f"{where}: {did} units {what}, where its orders and bookings say {owed}"
        lost = sum(
            sign * (row.get(c, 0) - before.get(c, 0)) for c, sign in (("bu", 1), ("ow", 1), ("se", -1))
        )
        if lost != due["missing", item]:
            yield (
                "conservation",
                f"{where}: {lost} units went missing, where bookings say {due['missing', item]}",
            )
        if row.get("mi", 0) - row.get("lo", 0) != self._limits.get((item, frame.origin), 0):
            yield "conservation", f"{where}: overbooking is not what was told"
        if frame.origin in dict(row.get("mo", ())):
            yield "rights", f"{where}: tokens went from the writer to itself, and are nobody's"
        yield from self._check_growth(where, before, row)
        history.append((frame.last, row))
        if self.rights(item, frame.origin, seen) < 0:
            yield "rights", f"{where}: the writer's rights are {self.rights(item, frame.origin, seen)}"
        if self.free(item) < 0:
            yield "no oversell", f"{where}: {-self.free(item)} units more than there are"

    def _check_growth(self, where: str, before: Row, row: Row) -> Iterator[Complaint]:
        moved, was_moved = dict(row.get("mo", ())), dict(before.get("mo", ()))
        shrunk = [cell for cell in _GROWING if row.get(cell, 0) < before.get(cell, 0)]
        shrunk += [f"moved to {to}" for to, units in was_moved.items() if moved.get(to, 0) < units]
        if shrunk:
            yield "never shrinks", f"{where}: {', '.join(shrunk)}"
        if row.get("se", 0) > row.get("ow", 0) or row.get("um", 0) > row.get("lo", 0):
            yield "conservation", f"{where}: more was made good than was missing"

    # ----------------------------------------------------------------------------------------------- reading

    def free(self, item: Item) -> int:
        """Units that all together may sell."""
        return sum(_own(history[-1][1]) for history in self.rows.get(item, {}).values() if history)

    def rights(self, item: Item, replica: int, seen: Vector) -> int:
        """Units that one may sell, by its own row and what it had seen of the others'."""
        total = 0
        for writer, history in self.rows.get(item, {}).items():
            if writer == replica:
                row = history[-1][1] if history else {}
                total += _own(row) - sum(units for _, units in row.get("mo", ()))
            else:
                total += dict(_at(history, seen.get(writer, (0, b""))).get("mo", ())).get(replica, 0)
        return total

    def facts_of(self, name: str) -> list[Fact]:
        """All facts about an order."""
        return self._about.get(name, [])

    def knows(self, origin: int, head: Head) -> bool:
        """Whether that is a place in the origin's chain."""
        return head[0] == 0 or self.heads.get(origin, {}).get(head[0]) == head[1]

    def is_there(self, fact: Fact, vector: Vector) -> bool:
        """Whether a disk that has all this has the fact."""
        return any(vector.get(replica, (0, b""))[0] >= seq for replica, seq in self.facts.get(fact, ()))


def _lost(row: Row) -> int:
    """Units that were found to be missing: burned at once, or owed."""
    return int(row.get("bu", 0) + row.get("ow", 0) - row.get("se", 0))


def _own(row: Row) -> int:
    """What a row made and did not use, moves aside."""
    plus, minus = ("re", "mi", "fr"), ("bu", "um", "ta")
    return sum(int(row.get(cell, 0)) for cell in plus) - sum(int(row.get(cell, 0)) for cell in minus)


def _at(history: list[tuple[int, Row]], head: Head) -> Row:
    at = bisect_right(history, head[0], key=lambda entry: entry[0])
    return history[at - 1][1] if at else {}
