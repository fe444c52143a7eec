"""Rival claims: one order id, placed at several nodes. One of them stands in the end, by owners' decisions.

A claim is *in play* until it yields: its owner writes DUPLICATE and names the claim that he keeps instead.
The lowest claim in play, by (HLC, dot), asks each rival by name: a DUPLICATE that keeps itself and cites the
rival. Who is asked yields, or answers KEPT if he has come further; the lowest one yields to him then, and at
once to a rival that it sees to have come further. Claims with other bodies are no rivals: two customers took
one id, and each keeps an order of his own (`others`).

`python -m tallystick_sim.models.rivals` walks every interleaving, and shows what breaks without each clause.
"""

from __future__ import annotations

from collections.abc import Iterable

from tallystick.core.order.decisions import Draft
from tallystick.core.order.facts import DecisionKind
from tallystick.core.order.status import LIVE, ClaimStatus

_ENDS = frozenset({DecisionKind.EXPIRE, DecisionKind.DECLINE, DecisionKind.HOLD_AGAIN})
_ENDS_OR_SELLS = _ENDS | {DecisionKind.CONFIRM}
_NOTHING: frozenset[DecisionKind] = frozenset()


def rivals_in_play(claim: ClaimStatus, claims: Iterable[ClaimStatus]) -> list[ClaimStatus]:
    """The other claims with its body that have not yielded, the lowest first."""
    body = bytes(claim.claim.placed.body)
    rivals = [c for c in claims if c.in_play and c.dot != claim.dot and bytes(c.claim.placed.body) == body]
    return sorted(rivals, key=lambda rival: rival.claim.rank)


def held_back(rivals: list[ClaimStatus]) -> frozenset[DecisionKind]:
    """What a claim must not decide beside these rivals.

    Beside a living one it is no sale. A hold does not end beside an ended one either: that may be held again
    meanwhile, and yield to this one for being alive.
    """
    if not rivals:
        return _NOTHING
    return _ENDS_OR_SELLS if any(rival.state in LIVE for rival in rivals) else _ENDS


def decide_rivals(claim: ClaimStatus, claims: Iterable[ClaimStatus]) -> Draft | None:
    """What the owner of `claim` has to say to its rivals before any other decision."""
    claims = tuple(claims)
    rivals = rivals_in_play(claim, claims)
    if not claim.in_play:
        return _come_back(claim, claims) if not rivals else None
    me = str(claim.dot)
    lower = [rival for rival in rivals if rival.claim.rank < claim.claim.rank]
    higher = rivals[len(lower) :]
    for rival in lower:
        if me in rival.cited and str(rival.dot) not in claim.cited:
            return _keep_me(rival) if claim.strength > rival.strength else _yield_to(rival)
    for rival in higher:
        if me in rival.cited:
            return _yield_to(rival)
    unasked = [rival for rival in higher if str(rival.dot) not in claim.cited] if not lower else []
    if not unasked:
        return None
    strongest = max(unasked, key=lambda rival: rival.strength)
    if strongest.strength > claim.strength:
        return _yield_to(strongest)
    return Draft(DecisionKind.DUPLICATE, str(unasked[0].dot), keep=me)


def _come_back(claim: ClaimStatus, claims: tuple[ClaimStatus, ...]) -> Draft | None:
    """Three or more may yield to each other in a ring, all of them ended. The lowest is an order again."""
    body = bytes(claim.claim.placed.body)
    ranks = (other.claim.rank for other in claims if bytes(other.claim.placed.body) == body)
    return Draft(DecisionKind.KEPT) if claim.claim.rank == min(ranks) else None


def _yield_to(rival: ClaimStatus) -> Draft:
    return Draft(DecisionKind.DUPLICATE, str(rival.dot), keep=str(rival.dot))


def _keep_me(rival: ClaimStatus) -> Draft:
    return Draft(DecisionKind.KEPT, str(rival.dot))
