"""Probes: which rare paths of the engine a run has taken. A simulator that never gets there proves nothing.

Each is seen from outside: in what a node says, sends, alarms and decides. `KNOWN` is the one list of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tallystick.core.replication.effects import Effect, ReadLog, Send
from tallystick.core.replication.messages import AskAnswer, SnapshotRequest, Want

KNOWN: Mapping[str, str] = {
    "amendment": "part of an order was cancelled",
    "ask answered": "a peer gave tokens to one that asked",
    "ask in vain": "a peer was asked for tokens and had none to spare",
    "checkpoint finished": "lazy tables were written out while the node went on",
    "claim beside another body": "one id stands for orders of two customers",
    "decision elsewhere": "an answer said that the owner decides, who is another node",
    "deadline passed": "a request's time was over before its turn",
    "early cancel": "a cancellation came before the order",
    "fork found": "a chain was found to have two ends",
    "held again": "an expired order was paid, and held again",
    "held back": "a frame came before its causes, and waited for them",
    "hold expired": "nobody confirmed a hold in time",
    "installed": "a new node took a snapshot",
    "installation begun again": "a new node crashed while it took one",
    "kept": "a rival that had come further stood",
    "owed": "goods were missing that had been sold",
    "owed settled": "missing goods were paid for",
    "parked for tokens": "an order waited for tokens of others",
    "quarantine": "an origin's frames were not taken any more",
    "rebalanced": "tokens were moved by policy",
    "relay": "a node sent frames of another",
    "replayed": "a retry was answered as the first time",
    "rewind": "frames were sent again, taken for lost",
    "rival decided": "of two placings of one id one yielded",
    "shortage refused": "an order was refused for want of stock",
    "silence noticed": "a link that brought nothing was ended",
    "storage refused": "writes were refused for want of room",
    "want sent": "a node asked for what nobody was bringing",
    "waited for disks": "an answer waited for other nodes' disks",
}


class Probes:
    """Counts of one run."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def hit(self, name: str, times: int = 1) -> None:
        """A rare path was taken."""
        if name not in KNOWN:
            raise KeyError(f"{name} is no known probe")
        if times:
            self.counts[name] += times

    def effects(self, replica: int, effects: list[Effect]) -> None:
        """What a node wants done."""
        for effect in effects:
            match effect:
                case Send(_, Want()):
                    self.hit("want sent")
                case Send(_, SnapshotRequest()):
                    self.hit("installed")
                case Send(_, AskAnswer(_, granted, _)):
                    self.hit("ask answered" if granted else "ask in vain")
                case ReadLog(_, origin) if origin != replica:
                    self.hit("relay")

    def order(self, delta: Mapping[str, Any]) -> None:
        """What was written about an order."""
        for decision in delta.get("d", ()):
            name = _DECISIONS.get(decision["k"])
            if name:
                self.hit(name)


_DECISIONS = {4: "amendment", 5: "hold expired", 6: "held again", 8: "rival decided", 9: "kept"}
