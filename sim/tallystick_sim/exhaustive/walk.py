"""The walk: breadth first from one beginning through everything that may happen, each state once.

A state of the world is what may still be asked, and the state of each node, all by number (`place`). The
shortest story that breaks a promise is the first that is found.

Source: explicit-state model checking (Holzmann's SPIN, Lamport's TLC), on the implementation itself
(Musuvathi et al., *CMC*, 2002; Yang et al., *MODIST*, 2009).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

from tallystick.core.frame import Frame
from tallystick.core.stock.rights import Row
from tallystick_sim.exhaustive import oracle
from tallystick_sim.exhaustive.node import Broken, Node, State
from tallystick_sim.exhaustive.place import SAME, Asked, Place
from tallystick_sim.exhaustive.worlds import REGIONS, World, founding

STATES_MAX = 2_000_000
PROGRESS_STATES = 10_000


class Walked(NamedTuple):
    """What a walk came to. `complete`: it has been everywhere. `endings` are states in which all know all and
    have nothing to do; `node_states` those of single nodes. `story` leads to what is `broken`, and `scene`
    tells how it stands there."""

    states: int
    transitions: int
    depth: int
    complete: bool
    endings: int
    node_states: int
    broken: str = ""
    story: tuple[str, ...] = ()
    scene: tuple[str, ...] = ()


Progress = Callable[[int, int, int], None]
"""Told now and then: states visited, transitions, depth."""
Key = tuple[int, ...]
"""What is left to be asked, and each node's state."""


def walk(
    world: World, states_max: int = STATES_MAX, progress: Progress = lambda states, transitions, depth: None
) -> Walked:
    """Be everywhere, or in `states_max` states."""
    return _Walk(world).run(states_max, progress)


class _Ledger:
    """What all places share: frames, words, rows and vectors by number, and what may still be asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.frames: list[Frame] = []
        self.told_words: list[str] = []
        self.lefts: list[tuple[int, ...]] = []
        self.all_rows: list[dict[bytes, Row]] = []
        self._frame_numbers: dict[bytes, int] = {}
        self._frame_words: dict[bytes, str] = {}
        self._word_numbers: dict[str, int] = {}
        self._left_numbers: dict[tuple[int, ...], int] = {}
        self._row_numbers: dict[tuple[tuple[bytes, Row], ...], int] = {}
        self._vector_numbers: dict[tuple[tuple[int, object], ...], int] = {}
        self._asked: dict[tuple[int, int], tuple[Asked, ...]] = {}

    def words(self, words: str) -> int:
        number = self._word_numbers.setdefault(words, len(self.told_words))
        if number == len(self.told_words):
            self.told_words.append(words)
        return number

    def frame(self, frame: Frame) -> int:
        number = self._frame_numbers.setdefault(frame.digest, len(self.frames))
        if number == len(self.frames):
            self.frames.append(frame)
        return number

    def name_frame(self, frame: Frame, words: str) -> None:
        self._frame_words.setdefault(frame.digest, words)

    def told(self, frame: Frame) -> str:
        """A frame as a story names it."""
        return (
            f"{REGIONS[frame.origin]}'s frame {frame.first} ({self._frame_words.get(frame.digest, 'stock')})"
        )

    def vector(self, state: State) -> int:
        key = tuple(sorted(state.vector.items()))
        return self._vector_numbers.setdefault(key, len(self._vector_numbers))

    def rows(self, rows: dict[bytes, Row]) -> int:
        number = self._row_numbers.setdefault(tuple(sorted(rows.items())), len(self.all_rows))
        if number == len(self.all_rows):
            self.all_rows.append(rows)
        return number

    # ---------------------------------------------------------------------------------- what may be asked

    def left(self, counts: tuple[int, ...]) -> int:
        """How often each deed may still be asked, and crashes that are left, as a number."""
        number = self._left_numbers.setdefault(counts, len(self.lefts))
        if number == len(self.lefts):
            self.lefts.append(counts)
        return number

    def askable(self, node: int, left: int) -> Sequence[Asked]:
        found = self._asked.get((node, left))
        if found is None:
            found = self._asked[node, left] = tuple(self._choices(node, self.lefts[left]))
        return found

    def crashable(self, left: int) -> int | None:
        *counts, crashes = self.lefts[left]
        return self.left((*counts, crashes - 1)) if crashes else None

    def _choices(self, node: int, counts: tuple[int, ...]) -> Iterator[Asked]:
        deeds = self.world.deeds
        open_ones = [place for place, deed in enumerate(deeds) if counts[place] and node in deed.at]
        for size in range(1, self.world.commits + 1):
            for places in permutations(open_ones, size):
                after = tuple(count - (place in places) for place, count in enumerate(counts))
                words = ", and in the same commit ".join(deeds[place].name for place in places)
                yield Asked(words, [deeds[place].command for place in places], self.left(after))


class _Walk:
    """One walk. The lists are by the number of a state of the world: states in the order of their finding."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ledger = _Ledger(world)
        self._places = [Place(Node(replica, REGIONS[replica]), self._ledger) for replica in world.nodes]
        self._known: dict[Key, None] = {}
        self._keys: list[Key] = []
        self._came = array("l")
        self._words = array("l")
        self._depth = array("H")
        self._transitions = 0
        self._endings = 0
        self._sound_rows: set[Key] = set()
        self._sound_ends: set[Key] = set()

    def run(self, states_max: int, progress: Progress) -> Walked:
        """Until all is seen, or enough, or a promise breaks."""
        at = 0
        try:
            self._found(self._beginning(), 0, -1)
            while at < len(self._keys) and len(self._keys) < states_max:
                self._visit(at)
                at += 1
                if at % PROGRESS_STATES == 0:
                    progress(len(self._keys), self._transitions, self._depth[at - 1])
        except Broken as broken:
            return self._walked(at, broken)
        return self._walked(at, None)

    def _beginning(self) -> Key:
        """After the founding, of which all have heard."""
        states = [State() for _ in self._places]
        for replica, command in founding(self._world):
            i = self._world.nodes.index(replica)
            states[i], _ = self._places[i].node.commit(states[i], [command])
            frame = states[i].log[-1]
            for j, place in enumerate(self._places):
                if j != i:
                    states[j] = place.node.hear(states[j], frame)
        counts = (*(deed.times for deed in self._world.deeds), self._world.crashes)
        numbers = (place.number(state) for place, state in zip(self._places, states, strict=True))
        return self._ledger.left(counts), *numbers

    def _visit(self, at: int) -> None:
        """Find all that can come next."""
        key, moved = self._keys[at], False
        for i, words, number, left in self._moves(key):
            after = (key[0] if left == SAME else left, *key[1 : i + 1], number, *key[i + 2 :])
            self._transitions += 1
            moved = True
            if after not in self._known:
                self._found(after, at, words)
        if not moved and not self._is_ending(key):
            raise Broken("something is still open then", "nothing more can happen")

    def _moves(self, key: Key) -> Iterator[tuple[int, int, int, int]]:
        """(place, words, its state after, what is left to be asked)."""
        left, *states = key
        frames, anyhow = self._ledger.frames, self._world.disorder
        for i, place in enumerate(self._places):
            at = states[i]
            for words, number, then in place.offers(at, left):
                yield i, words, number, then
            others = (other.log[states[j]] for j, other in enumerate(self._places) if j != i)
            tails = place.tails[at]
            for number in sorted(frozenset().union(*others) - place.known[at]):
                frame = frames[number]
                if anyhow or frame.first == tails.get(frame.origin, 0) + 1:
                    move = place.hear(at, number)
                    if move.after != at:
                        yield i, move.words, move.after, SAME

    def _found(self, key: Key, came: int, words: int) -> None:
        """A state that was never seen before. Raises Broken if it is not as it must be."""
        self._known[key] = None
        self._keys.append(key)
        self._came.append(came)
        self._words.append(words)
        self._depth.append(self._depth[came] + 1 if words >= 0 else 0)
        rows = tuple(place.rows[at] for place, at in zip(self._places, key[1:], strict=True))
        if rows not in self._sound_rows:
            self._check_rows(rows)
            self._sound_rows.add(rows)
        if self._is_ending(key):
            self._endings += 1
            if key[1:] not in self._sound_ends:
                for problem in oracle.check_end([place.node for place in self._places], self._states(key)):
                    raise Broken(problem)
                self._sound_ends.add(key[1:])

    def _check_rows(self, numbers: Key) -> None:
        """The sums over what each node has written by now, whoever has heard of it."""
        latest: dict[bytes, dict[int, Row]] = {}
        for place, number in zip(self._places, numbers, strict=True):
            for key, row in self._ledger.all_rows[number].items():
                latest.setdefault(key, {})[place.node.id] = row
        for problem in oracle.check_stock(latest):
            raise Broken(problem)

    def _is_ending(self, key: Key) -> bool:
        pairs = list(zip(self._places, key[1:], strict=True))
        same = len({place.vectors[at] for place, at in pairs}) == 1
        return same and all(place.idle(at) for place, at in pairs)

    def _states(self, key: Key) -> list[State]:
        return [place.states[at] for place, at in zip(self._places, key[1:], strict=True)]

    # ------------------------------------------------------------------------------------------------ telling

    def _walked(self, at: int, broken: Broken | None) -> Walked:
        told = (broken.problem, *self._story(at, broken)) if broken else ()
        complete = broken is None and at == len(self._keys)
        return Walked(
            len(self._keys),
            self._transitions,
            max(self._depth, default=0),
            complete,
            self._endings,
            sum(len(place.states) for place in self._places),
            *told,
        )

    def _story(self, at: int, broken: Broken) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """How it came to that, and how it stands then."""
        if not self._keys:
            return (broken.words,), ()
        last = at if broken.words else len(self._keys) - 1
        steps, scene = [broken.words] if broken.words else [], last
        while self._words[last] >= 0:
            steps.append(self._ledger.told_words[self._words[last]])
            last = self._came[last]
        states = {p.node: s for p, s in zip(self._places, self._states(self._keys[scene]), strict=True)}
        if broken.node and broken.state:
            states[broken.node] = broken.state
        return tuple(reversed(steps)), tuple(oracle.tell_node(node, state) for node, state in states.items())
