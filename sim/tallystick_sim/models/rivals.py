"""Rival claims: one order id placed at two or three replicas, every interleaving, searched breadth first.

A claim is in play until it yields (its owner writes that it is a duplicate). The lowest claim in play asks
each rival by name to yield, and yields itself to one that has come further. Who is asked yields, or answers
that he is kept if he has come further. Each sentence of the rule had a shorter one:

    expires beside rivals        a hold ends while a rival yields to it: a living one is lost to an ended one
    expires beside ended rivals  the same, when the ended one was held again meanwhile
    always yields                who is asked never answers that he is kept: he yields though the other ended
    asks all at once             a question that was meant for others is taken for one's own
    stays a duplicate            three who yield to each other in a ring: nobody is left

    python -m tallystick_sim.models.rivals
"""

from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from operator import gt
from typing import NamedTuple

STRENGTH = {"expired": 0, "cancelled": 0, "held": 1, "confirmed": 2}
LEADS_TO = {
    ("held", "confirm"): "confirmed",
    ("held", "expire"): "expired",
    ("expired", "again"): "held",
    ("expired", "cancel"): "cancelled",
    ("held", "cancel"): "cancelled",
    ("confirmed", "cancel"): "cancelled",
    **{(state, "yield"): "duplicate" for state in STRENGTH},
    ("duplicate", "return"): "expired",
}
SAID = ("ask", "kept", "decline", "confirm please", "cancel please", "paid")  # what leaves the claim as it is


class Event(NamedTuple):
    """What one replica wrote: about its own claim, or a fact for all. `knew` is its vector then."""

    kind: str
    about: int
    knew: tuple[int, ...]


class World(NamedTuple):
    """Each replica's log, and of each how many events of each other it has heard: what it can know."""

    logs: tuple[tuple[Event, ...], ...]
    heard: tuple[tuple[int, ...], ...]


class Scope(NamedTuple):
    """How much may happen: each of `facts` once. `prompt`: owners react in the step that gives them cause;
    `placed`: all claims are held already, nobody knows of the others."""

    replicas: int = 2
    facts: frozenset[str] = frozenset()
    prompt: bool = True
    placed: bool = False


class Claim(NamedTuple):
    """A claim as its log tells it. Tokens are taken while it is held or confirmed, else they are free."""

    state: str = ""
    asked: frozenset[int] = frozenset()
    answered: frozenset[int] = frozenset()
    decided: frozenset[int] = frozenset()  # whose wish to confirm is done or declined
    problem: str = ""


@lru_cache(maxsize=100_000)
def fold(log: tuple[Event, ...]) -> Claim:
    claim = Claim()
    for kind, about, _ in log:
        if kind in ("confirm", "decline"):
            claim = claim._replace(decided=claim.decided | {about})
        if kind in ("held", "confirmed"):
            claim = claim._replace(state=kind)
        elif kind == "ask":
            claim = claim._replace(asked=claim.asked | {about})
        elif kind == "kept":
            claim = claim._replace(answered=claim.answered | {about})
        elif kind not in SAID:
            after = LEADS_TO.get((claim.state, kind), "")
            problem = "" if after else f"{kind} of a claim that is {claim.state}"
            claim = claim._replace(state=after or claim.state, problem=claim.problem or problem)
    return claim


class Sight(NamedTuple):
    """What one replica knows: all claims, and the facts about the order."""

    claims: tuple[Claim, ...]
    confirm: tuple[int, ...]
    cancel: bool
    paid: bool

    @property
    def in_play(self) -> list[int]:
        return [at for at, claim in enumerate(self.claims) if claim.state not in ("", "duplicate")]


def look(world: World, i: int) -> Sight:
    logs = [log[: world.heard[i][j]] for j, log in enumerate(world.logs)]
    kinds = [{event.kind for event in log} for log in logs]
    confirm = tuple(j for j, said in enumerate(kinds) if "confirm please" in said)
    told = set[str]().union(*kinds)
    return Sight(tuple(map(fold, logs)), confirm, "cancel please" in told, "paid" in told)


def stronger(sight: Sight, i: int, j: int) -> bool:
    return STRENGTH[sight.claims[i].state] > STRENGTH[sight.claims[j].state]


def reaction(world: World, i: int, rule: str) -> tuple[str, int] | None:
    """What the owner of claim `i` has to write next, as far as it knows."""
    sight = look(world, i)
    mine, in_play = sight.claims[i], sight.in_play
    if mine.state == "duplicate" and not in_play and rule != "stays a duplicate":
        first = next(at for at, claim in enumerate(sight.claims) if claim.state)
        return ("return", i) if first == i else None
    if mine.state in ("", "duplicate"):
        return None
    lower, higher = [j for j in in_play if j < i], [j for j in in_play if j > i]
    for j in lower:
        asked = sight.claims[j].asked
        if (i in asked or (asked and rule == "asks all at once")) and j not in mine.answered:
            return ("kept" if stronger(sight, i, j) and rule != "always yields" else "yield"), j
    for j in higher:
        if i in sight.claims[j].answered:
            return "yield", j
    for j in higher if not lower else []:
        if j not in mine.asked:
            return ("yield" if stronger(sight, j, i) else "ask"), j
    alive = [j for j in in_play if j != i and STRENGTH[sight.claims[j].state]]
    for wish in sorted({*sight.confirm} - mine.decided):
        if mine.state == "held" and not alive:
            return "confirm", wish
        if mine.state != "held" and in_play == [i]:
            return "decline", wish
    if sight.cancel and (mine.state, "cancel") in LEADS_TO:
        return "cancel", i
    if mine.state == "expired" and sight.paid and not knew_of_payment(world, i):
        return ("again", i) if not lower and not alive else None
    return None


def knew_of_payment(world: World, i: int) -> bool:
    """Whether the money was there already when the hold ended: then it asks for no other."""
    ended = [event for event in world.logs[i] if event.kind == "expire"][-1:]
    return any(
        event.kind == "paid" for end in ended for j, n in enumerate(end.knew) for event in world.logs[j][:n]
    )


def write(world: World, i: int, kind: str, about: int) -> World:
    knew = world.heard[i]
    log = (*world.logs[i], Event(kind, about, knew))
    heard = (*knew[:i], len(log), *knew[i + 1 :])
    return World(
        (*world.logs[:i], log, *world.logs[i + 1 :]), (*world.heard[:i], heard, *world.heard[i + 1 :])
    )


def settled(world: World, i: int, rule: str) -> World:
    """After all that replica `i` has to write."""
    while (next_one := reaction(world, i, rule)) is not None:
        world = write(world, i, *next_one)
    return world


def steps(world: World, rule: str, scope: Scope) -> Iterator[tuple[str, World]]:
    """Everything that can happen next. A frame that comes twice is nothing: what is heard is a prefix."""

    def done(i: int, after: World) -> World:
        return settled(after, i, rule) if scope.prompt else after

    for i in range(len(world.logs)):
        for kind in asked_for(world, i, rule, scope.facts):
            yield f"{kind} at {i}", done(i, write(world, i, kind, i))
        if not scope.prompt and (next_one := reaction(world, i, rule)) is not None:
            yield f"{next_one[0]} {next_one[1]} at {i}", write(world, i, *next_one)
        for j, log in enumerate(world.logs):
            n = world.heard[i][j]
            if j != i and n < len(log) and not any(map(gt, log[n].knew, world.heard[i])):
                heard = (*world.heard[i][:j], n + 1, *world.heard[i][j + 1 :])
                after = world._replace(heard=(*world.heard[:i], heard, *world.heard[i + 1 :]))
                yield f"{i} hears {j}'s {log[n].kind}", done(i, after)


def asked_for(world: World, i: int, rule: str, facts: frozenset[str]) -> Iterator[str]:
    """What callers and time may ask of replica `i` now."""
    sight = look(world, i)
    mine, rivals = sight.claims[i], [j for j in sight.in_play if j != i]
    alive = [j for j in rivals if STRENGTH[sight.claims[j].state]]
    if not any(claim.state for claim in sight.claims):
        yield from ("held", "confirmed")
    told = {event.kind for log in world.logs for event in log}
    if any(claim.state for claim in sight.claims):
        yield from sorted(facts - told)
    elif "cancel please" not in told:
        yield from facts & {"cancel please"}
    if mine.state == "held":
        beside = {"expires beside rivals": [], "expires beside ended rivals": alive}.get(rule, rivals)
        if not beside:
            yield "expire"


def broken(world: World, rule: str) -> str:
    """The first promise that does not hold; empty if all do."""
    claims = [fold(log) for log in world.logs]
    if any(claim.problem for claim in claims):
        return next(claim.problem for claim in claims if claim.problem)
    heard_all = all(vector == tuple(map(len, world.logs)) for vector in world.heard)
    if not heard_all or any(reaction(world, i, rule) for i in range(len(claims))):
        return ""
    kinds = [event.kind for log in world.logs for event in log]
    kept = [i for i, claim in enumerate(claims) if claim.state not in ("", "duplicate")]
    if not any(claim.state for claim in claims):
        return ""
    if len(kept) != 1:
        return f"{len(kept)} claims are kept"
    state = claims[kept[0]].state
    if ("cancel please" in kinds) != (state == "cancelled"):
        return f"asked to cancel: {'cancel please' in kinds}, and it is {state}"
    if state not in ("confirmed", "cancelled") and {"confirm", "confirmed"} & set(kinds):
        return f"a sale was made, and the order is {state}"
    return lost_to_an_ended_one(world)


def lost_to_an_ended_one(world: World) -> str:
    """Whom a living claim yields to may end after that: knowing that nobody else is left, not before."""
    for j, log in enumerate(world.logs):
        for n, event in enumerate(log):
            if event.kind == "yield" and STRENGTH[fold(log[:n]).state]:
                kept = world.logs[event.about]
                if not STRENGTH.get(fold(kept[: event.knew[event.about]]).state, 1):
                    return "a living claim yields to an ended one"
                ends = [e for e in kept if e.kind == "expire"][-1:]
                state = fold(kept).state
                if state == "duplicate":
                    state = fold(kept[: [e.kind for e in kept].index("yield")]).state
                if state == "expired" and any(end.knew[j] <= n for end in ends):
                    return "an ended claim is kept over a living one"
    return ""


def search(rule: str, scope: Scope) -> tuple[int, str, list[str]]:
    """(worlds visited, the broken promise or nothing, the shortest story that breaks it)."""
    n = scope.replicas
    start = World(((),) * n, ((0,) * n,) * n)
    for i in range(n) if scope.placed else ():
        start = write(start, i, "held", i)
    came: dict[World, tuple[str, World | None]] = {start: ("", None)}
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        problem = broken(world, rule)
        if problem:
            story: list[str] = []
            at = world
            while (origin := came[at][1]) is not None:
                story.append(came[at][0])
                at = origin
            return len(came), problem, story[::-1]
        for name, after in steps(world, rule, scope):
            if after not in came:
                came[after] = (name, world)
                waiting.append(after)
    return len(came), "", []


TWO = Scope(facts=frozenset({"paid"}))
THREE = Scope(replicas=3, placed=True)
RULES = {
    "expires beside rivals": TWO,
    "expires beside ended rivals": TWO,
    "always yields": TWO._replace(prompt=False),
    "asks all at once": THREE,
    "stays a duplicate": THREE,
}
SCOPES = (
    Scope(facts=frozenset({"confirm please"}), prompt=False),
    Scope(facts=frozenset({"cancel please"}), prompt=False),
    Scope(facts=frozenset({"paid", "confirm please"})),
    Scope(facts=frozenset({"cancel please", "confirm please"})),
    THREE,
)

if __name__ == "__main__":
    for scope in SCOPES:
        visited, problem, story = search("", scope)
        told = f"{problem}: {', '.join(story)}" if problem else "every promise holds"
        print(f"the rule, {scope.replicas} replicas: {visited} worlds visited, {told}")
    for rule, scope in RULES.items():
        visited, problem, story = search(rule, scope)
        print(f"{rule}: {visited} worlds visited, {problem or 'unbroken'}: {', '.join(story)}")
