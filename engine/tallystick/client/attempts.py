"""What several attempts at one write prove together. Pure.

An attempt that got no answer is *lost*: the write may have happened. Every later attempt carries the same
id, so a success, replayed or not, settles it: it happened, once. A refusal settles it only if

* it is a *verdict*: the node looked the id up, and would have replayed the write had it stored it. Turned
  away at the door (stopping, too busy, disk full, request malformed) says nothing of the attempt before; and
* every lost attempt has such a verdict, from the incarnation of the node that it went to. Another, in another
  region, does not know; and what came back from a backup, under the old address, is another.

Else the outcome stays unknown, and the refusal is its `__cause__`.
"""

from __future__ import annotations

from tallystick.client.errors import OutcomeUnknown, TallystickError, Unavailable
from tallystick.client.failures import Failure

_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 1.0


class Attempts:
    """The attempts at one write so far. `request_id` is the id that it carries each time."""

    __slots__ = ("breaks", "lost_at", "order_id", "request_id")

    def __init__(self, request_id: str, order_id: str = "") -> None:
        self.request_id = request_id
        self.order_id = order_id
        self.lost_at: frozenset[str] = frozenset()
        self.breaks = 0
        """Streams that broke under it."""

    def lose(self, node: str) -> None:
        """An attempt at `node` got no answer."""
        self.lost_at |= {node}

    def note(self, failure: Failure, node: str) -> None:
        """An attempt at `node` ended in `failure`."""
        if failure.indefinite:
            self.lose(node)
        elif failure.verdict:
            self.lost_at -= {node}

    def conclude(self, failure: Failure) -> TallystickError:
        """The error to raise if there is no further attempt, and `failure` tells most of why."""
        if not self.lost_at:
            return failure.error
        return self._unknown(
            f"an attempt was not answered with certainty; what was heard: {failure.error}", failure.error
        )

    def give_up(
        self, why: str, *, under_way: bool, if_never_sent: type[Unavailable] = Unavailable
    ) -> TallystickError:
        """The error to raise when waiting ends; `under_way`: an attempt still has no answer."""
        if under_way or self.lost_at:
            return self._unknown(why)
        return if_never_sent(f"{why}; nothing was sent")

    def _unknown(self, why: str, cause: TallystickError | None = None) -> OutcomeUnknown:
        error = OutcomeUnknown(
            f"it may have happened: {why}",
            reason=cause.reason if cause else "",
            metadata=cause.metadata if cause else None,
            request_id=self.request_id,
            order_id=self.order_id,
        )
        error.__cause__ = cause
        return error


def backoff_s(tries: int, retry_after_s: float, luck: float) -> float:
    """How long to wait before trying again, in seconds.

    Exponential, and half of it left to `luck` in [0, 1), so that clients which failed together don't come
    back together; never sooner than the node advised.
    """
    ceiling = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2.0 ** min(tries, 10))
    return max(retry_after_s, ceiling * (0.5 + luck / 2))
