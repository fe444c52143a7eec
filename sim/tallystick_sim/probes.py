"""Probes: which rare paths of the engine a run has taken. A simulator that never gets there proves nothing.

Each is seen from outside: in what a node says, sends, alarms and decides. `KNOWN` is the one list of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tallystick.core.replication.effects import Alarm, Close, Effect, ReadLog, Send
from tallystick.core.replication.messages import AskAnswer, Frames, Hello, Want
from tallystick_sim.oracle.events import RawFrame

KNOWN: Mapping[str, str] = {
    "amendment": "part of an order was cancelled",
    "ask answered": "a peer gave tokens to one that asked",
    "ask in vain": "a peer was asked for tokens and had none to spare",
    "checkpoint finished": "lazy tables were written out while the node went on",
    "deadline passed": "a request's time was over before its turn",
    "decision elsewhere": "an answer said that the owner decides, who is another node",
    "declined": "a wish could not be fulfilled when its owner heard of it",
    "divergence": "digests found records that differ",
    "early cancel": "a cancellation came before the order",
    "extended": "a hold was given more time",
    "fork found": "a chain was found to have two ends",
    "held again": "an expired order was paid, and held again",
    "held back": "a frame came before its causes, and waited for them",
    "hold expired": "nobody confirmed a hold in time",
    "id reused": "an id that stands for something else was refused",
    "installation begun again": "a process started with an installation that was not over",
    "installed": "a new node took a snapshot",
    "kept": "a rival that had come further stood",
    "link replaced": "a peer connected again before its old link was gone",
    "overbooked": "more was allowed to be sold than there is",
    "overbooking taken back": "it was not allowed any more",
    "owed": "goods were missing that had been sold",
    "owed settled": "missing goods were paid for",
    "own chain lost": "a node found out that its disk had been rolled back or cloned",
    "parked for tokens": "an order waited for tokens of others",
    "quarantine": "an origin's frames were not taken any more, or a record was rotten",
    "relay": "a node sent frames of another",
    "replayed": "a retry was answered as the first time",
    "rewind": "frames were sent again, taken for lost",
    "rival decided": "of two placings of one id one yielded",
    "rival placed": "an id that was placed elsewhere was placed again",
    "shortage refused": "an order was refused for want of stock",
    "silence noticed": "a link that brought nothing was ended",
    "storage refused": "writes were refused for want of room",
    "tokens alone": "a frame held nothing but tokens that went to others",
    "waited for disks": "an answer waited for other nodes' disks",
    "want sent": "a node asked for what nobody was bringing",
}


class Probes:
    """Counts of one run."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._sent: dict[tuple[int, int, bytes], int] = {}
        """By node, link and origin: the event from which frames were sent last."""

    def hit(self, name: str, times: int = 1) -> None:
        """A rare path was taken."""
        if name not in KNOWN:
            raise KeyError(f"{name} is no known probe")
        if times:
            self.counts[name] += times

    def effects(self, replica: int, effects: Sequence[Effect]) -> None:
        """What a node wants done."""
        for effect in effects:
            match effect:
                case Send(link, Hello()):
                    self._sent = {
                        key: first for key, first in self._sent.items() if key[:2] != (replica, link)
                    }
                case Send(link, Frames(frames)):
                    self._ship(replica, link, frames[0])
                case Send(_, Want()):
                    self.hit("want sent")
                case Send(_, AskAnswer(_, granted, _)):
                    self.hit("ask answered" if granted else "ask in vain")
                case ReadLog(_, origin) if origin != replica:
                    self.hit("relay")
                case Close(_, "SILENT"):
                    self.hit("silence noticed")
                case Close(_, "REPLACED"):
                    self.hit("link replaced")
                case Alarm(reason):
                    self.hit(_ALARMS.get(reason, "quarantine"))

    def _ship(self, replica: int, link: int, data: bytes) -> None:
        """A frame's header begins with its version, its origin and its first event."""
        key, first = (replica, link, data[1:9]), int.from_bytes(data[9:17])
        self.hit("rewind", first <= self._sent.get(key, 0))
        self._sent[key] = first

    def frame(self, frame: RawFrame, seen: Mapping[str, int]) -> None:
        """What was written, once for each frame. `seen`: how many placings each order had before."""
        moved = False
        named = set()
        for entries in frame.events:
            for kind, name, delta in entries:
                named.add(kind)
                if kind == _ORDER:
                    self._order(name, delta, seen)
                elif kind == _STOCK:
                    moved |= bool(delta.get("mo"))
                    for cell, probe in _CELLS.items():
                        self.hit(probe, cell in delta)
        self.hit("tokens alone", moved and named == {_STOCK})

    def _order(self, name: str, delta: Mapping[str, Any], seen: Mapping[str, int]) -> None:
        for decision in delta.get("d", ()):
            probe = _DECISIONS.get(decision["k"])
            if probe:
                self.hit(probe)
        self.hit("rival placed", bool(delta.get("c")) and seen.get(name, 0) > 0)
        unplaced = not delta.get("c") and not seen.get(name)
        self.hit("early cancel", unplaced and any(each["k"] == _CANCEL for each in delta.get("i", ())))


_ORDER, _STOCK, _CANCEL = 1, 2, 2
_DECISIONS = {
    2: "extended",
    4: "amendment",
    5: "hold expired",
    6: "held again",
    7: "declined",
    8: "rival decided",
    9: "kept",
}
_CELLS = {"ow": "owed", "se": "owed settled", "mi": "overbooked", "um": "overbooking taken back"}
_ALARMS = {"FORK": "fork found", "OWN_CHAIN_LOST": "own chain lost", "DIVERGENCE": "divergence"}
