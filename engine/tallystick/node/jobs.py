"""Work for the engine, and what becomes of it.

A job carries commands out of a request and makes an answer out of what became of them. It is read and
answered in the engine thread; its answer is delivered on the loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog

from tallystick.core.errors import Refused
from tallystick.core.replica.commands import (
    Command,
    ExpireHold,
    GrantTokens,
    Rebalance,
    Settle,
    SettleIn,
    SettleStock,
)
from tallystick.core.replica.outcome import Outcome
from tallystick.store.port import CorruptRecord

log = structlog.get_logger("engine")

Result = Outcome | Refused
Commands = Sequence[Command | Refused]
USES_RESERVE = (ExpireHold, Settle, GrantTokens, Rebalance, SettleIn, SettleStock)
"""Written below the reserve too: what makes room, keeps a promise, or lets another node sell."""


class Receipt(NamedTuple):
    """Proof of a commit, for the answers that it lets go."""

    token: bytes
    """Consistency token: the head after the commit, and peers' heads that no frame of ours depends on yet."""
    hlc: int
    replicated_to: int


class Job(ABC):
    """One hand-over from the loop to the engine."""

    __slots__ = ()

    @property
    def deadline(self) -> float | None:
        """On time.monotonic(); nothing is begun after it."""
        return None

    @property
    def replicas(self) -> int:
        """How many other members must have it on disk before it is answered, time permitting."""
        return 0

    @property
    def waits_for_decision(self) -> bool:
        """Whether an answer that says "recorded, its owner decides" may wait for the decision."""
        return False

    @property
    def waits_for_tokens(self) -> bool:
        """Whether a shortage may wait for tokens of other nodes."""
        return False

    @abstractmethod
    def commands(self) -> Commands:
        """Read the request. Runs in the engine thread, once."""

    @abstractmethod
    def answer(self, results: Sequence[Result], receipt: Receipt) -> Any:
        """Make the answer. Runs in the engine thread, after the commit. If it fails, `deliver` gets a
        Refused."""

    @abstractmethod
    def deliver(self, answer: Any) -> None:
        """Hand the answer over. Runs in the loop thread."""

    def part(self, places: Sequence[int]) -> Job:
        """A job of some of the commands alone, by their places, to be answered by itself. Only asked of jobs
        of which `waits_for_tokens`; one command is its own part."""
        return self


class Closed(Refused):
    """Writes are refused, all or some."""

    def spares(self, command: Command) -> bool:
        """Whether this one is carried out all the same."""
        return False


class StorageFull(Closed):
    """There is no room: writes come back when there is."""

    def __init__(self, why: str) -> None:
        super().__init__("STORAGE_FULL", f"{why}; nothing was written, reads go on")

    def spares(self, command: Command) -> bool:
        return isinstance(command, USES_RESERVE)


class NotStarted(Refused):
    """The deadline passed while the request waited: it was never begun."""

    def __init__(self) -> None:
        super().__init__("NOT_STARTED", "the deadline passed before the request's turn; nothing was written")


class Internal(Refused):
    """A bug in handling one request. `definite`: whether it is certain that nothing was written."""

    def __init__(self, *, definite: bool) -> None:
        super().__init__("INTERNAL", "handling this request failed; the node's log says how")
        self.definite = definite


class Rotten(Refused):
    """A record that the request needs does not fit its checksum."""

    def __init__(self, rot: CorruptRecord) -> None:
        super().__init__(
            "CORRUPT_RECORD",
            f"{rot}: nothing was written; the disk needs looking after",
            {"table": rot.table.value, "key": rot.key.hex()},
        )


class Stopping(Refused):
    """The node is going down."""

    def __init__(self) -> None:
        super().__init__("NODE_STOPPING", "the node is stopping; try again, here or elsewhere")


class Starting(Refused):
    """The node is about to ask its peers what they have of it: it may have been rolled back."""

    def __init__(self) -> None:
        super().__init__("NODE_STARTING", "the node is starting; try again in a moment, or ask another node")


class Installing(Refused):
    """The node has joined and is reading in what the others have."""

    def __init__(self) -> None:
        super().__init__(
            "INSTALLING", "the node is reading in the cluster's state; try again, or ask another node"
        )


class OwnChainLost(Closed):
    """A peer has events of this node that it has not, or others: its directory was rolled back or cloned."""

    def __init__(self) -> None:
        super().__init__(
            "OWN_CHAIN_LOST",
            "this node's disk was rolled back or cloned: it writes nothing any more. Stop it, and let "
            "a new one join in its place",
        )


def answer_of(job: Job, results: Sequence[Result], receipt: Receipt) -> Any:
    """The job's answer; Internal, which may have happened, if making it fails."""
    try:
        return job.answer(results, receipt)
    except Exception:
        log.exception("an answer failed by a bug", job=type(job).__name__)
        return Internal(definite=False)


class Poisoned(Exception):
    """Stepping a command failed: the overlay may be half written and goes away."""

    def __init__(self, job: Job, refusal: Refused) -> None:
        super().__init__()
        self.job = job
        self.refusal = refusal
