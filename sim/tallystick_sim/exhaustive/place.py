"""One node of a walk: every state that it was ever in, by number, and what it does in each.

What a node does depends on its own state and on nothing else. So whatever a node may do is done once, by the
engine, and looked up from then on; and what must hold at one node is checked once for each of its states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from tallystick.core.errors import Refused
from tallystick.core.frame import Frame
from tallystick.core.replica.commands import Command, ExpireHold, Settle, SettleStock
from tallystick.core.stock.rights import Row
from tallystick_sim.exhaustive import oracle
from tallystick_sim.exhaustive.node import Broken, Node, State
from tallystick_sim.exhaustive.worlds import World

ROUNDS_MAX = 50
"""An owner who is still deciding after so many rounds never comes to an end."""
SAME = -1
_OWN = {Settle: "decides on", SettleStock: "pays what is owed of", ExpireHold: "lets the hold end of"}


class Move(NamedTuple):
    """Something that a node may do: in words, its state after, and what is left to be asked then. All by
    their numbers; `left` is SAME if nobody asked for it."""

    words: int
    after: int
    left: int = SAME


class Asked(NamedTuple):
    """Deeds for one commit, and what is left to be asked after them."""

    words: str
    commands: Sequence[Command]
    left: int


class Ledger(Protocol):
    """What the walk keeps for all its places."""

    world: World
    frames: list[Frame]

    def words(self, words: str) -> int: ...

    def frame(self, frame: Frame) -> int: ...

    def name_frame(self, frame: Frame, words: str) -> None: ...

    def told(self, frame: Frame) -> str: ...

    def vector(self, state: State) -> int: ...

    def rows(self, rows: dict[bytes, Row]) -> int: ...

    def askable(self, node: int, left: int) -> Sequence[Asked]: ...

    def crashable(self, left: int) -> int | None: ...


@contextmanager
def telling(words: str) -> Iterator[None]:
    """Whatever goes wrong within goes wrong by what `words` tell; a bug of the engine's is no end either."""
    try:
        yield
    except Broken as broken:
        broken.words = broken.words or words
        raise
    except Exception as bug:
        raise Broken(f"the engine fails: {bug!r}", words) from bug


class Place:
    """One node, and all that is known of it. The lists are by the number of a state."""

    def __init__(self, node: Node, ledger: Ledger) -> None:
        self.node = node
        self.states: list[State] = []
        self.log: list[frozenset[int]] = []
        """Frames on disk."""
        self.known: list[frozenset[int]] = []
        """Those, and the ones that are held back."""
        self.tails: list[dict[int, int]] = []
        """Up to where each chain is known without a gap."""
        self.vectors: list[int] = []
        self.rows: list[int] = []
        """The node's own rows."""
        self._ledger = ledger
        self._numbers: dict[tuple[object, ...], int] = {}
        self._by_frames: dict[frozenset[int], bytes] = {}
        self._own: dict[int, tuple[Move, ...]] = {}
        self._deciding: set[int] = set()
        self._done: dict[tuple[int, str], int] = {}
        self._offers: dict[tuple[int, int], tuple[Move, ...]] = {}
        self._heard: dict[tuple[int, int], Move] = {}

    def number(self, state: State) -> int:
        """A state's number. Raises Broken if it is new, and not as it must be."""
        found = self._numbers.get(state.key)
        if found is not None:
            return found
        ledger = self._ledger
        log = frozenset(map(ledger.frame, state.log))
        if self._by_frames.setdefault(log, state.tables.digest) != state.tables.digest:
            raise Broken(f"{self.node.region} has two states from the same frames", "", self.node, state)
        for problem in oracle.check_node(self.node, state):
            raise Broken(problem, "", self.node, state)
        number = self._numbers[state.key] = len(self.states)
        self.states.append(state)
        self.log.append(log)
        self.known.append(log | frozenset(map(ledger.frame, state.held)))
        self.tails.append(_tails(state))
        self.vectors.append(ledger.vector(state))
        own = ((key, rows.get(self.node.id)) for key, rows in oracle.rows_of(state).items())
        self.rows.append(ledger.rows({key: row for key, row in own if row is not None}))
        return number

    # ----------------------------------------------------------------------------------- what it may do next

    def offers(self, at: int, left: int) -> tuple[Move, ...]:
        """What callers ask, a crash, and what the node does by itself."""
        found = self._offers.get((at, left))
        if found is None:
            moves = (*self._asked(at, left), *self._crash(at, left), *self.own(at))
            found = self._offers[at, left] = moves
        return found

    def own(self, at: int) -> tuple[Move, ...]:
        """What it finds to do by itself."""
        found = self._own.get(at)
        if found is None:
            if self._ledger.world.repeated:
                self._repeat(at)
            found = self._own[at] = tuple(self._by_itself(at))
        return found

    def hear(self, at: int, number: int) -> Move:
        """A frame comes."""
        found = self._heard.get((at, number))
        if found is None:
            ledger = self._ledger
            words = f"{self.node.region} hears {ledger.told(ledger.frames[number])}"
            with telling(words):
                after = self._settled(self.node.hear(self.states[at], ledger.frames[number]))
            found = self._heard[at, number] = Move(ledger.words(words), after)
        return found

    def idle(self, at: int) -> bool:
        """Whether nothing is held back and nothing is left to decide."""
        self.own(at)
        return not self.states[at].held and at not in self._deciding

    # ---------------------------------------------------------------------------------------------- workings

    def _asked(self, at: int, left: int) -> Iterator[Move]:
        for asked in self._ledger.askable(self.node.id, left):
            words = f"{self.node.region}: {asked.words}"
            found = self._done.get((at, words))
            if found is None:
                with telling(words):
                    found = self._done[at, words] = self._do(at, words, asked.commands)
            if found != at:
                yield Move(self._ledger.words(words), found, asked.left)

    def _do(self, at: int, words: str, commands: Sequence[Command]) -> int:
        """The state after a commit that was asked for; the same if all of it was refused or done before."""
        state = self.states[at]
        if self._ledger.world.crashes:
            self.node.lose(state, commands)
        after, results = self.node.commit(state, commands)
        if isinstance(results[0], Refused):
            for problem in oracle.check_refusal(self.node, state, commands[0], results[0]):
                raise Broken(problem)
        return at if after is state else self._committed(state, after, words)

    def _by_itself(self, at: int) -> Iterator[Move]:
        state, world = self.states[at], self._ledger.world
        commands = [] if world.prompt else oracle.chores(state)
        if world.late:
            commands += [ExpireHold(key[8:].decode()) for key in sorted(state.tables.rows["expiry"])]
        for command in commands:
            words = f"{self.node.region} {_OWN[type(command)]} {command[0]}"
            with telling(words):
                after, _ = self.node.commit(state, [command])
                if after is state:
                    continue
                waits = state.tables.rows["intents"]
                if isinstance(command, Settle) and command.order_id.encode() not in waits:
                    raise Broken(f"{self.node.region} has to decide on {command.order_id}: no index says so")
                if not isinstance(command, ExpireHold):
                    self._deciding.add(at)
                yield Move(self._ledger.words(words), self._committed(state, after, words))

    def _crash(self, at: int, left: int) -> Iterator[Move]:
        then = self._ledger.crashable(left)
        if then is not None:
            words = f"{self.node.region} crashes"
            with telling(words):
                after = self._settled(self.node.crash(self.states[at]))
            if after != at:
                yield Move(self._ledger.words(words), after, then)

    def _repeat(self, at: int) -> None:
        """Every frame that it knows comes again."""
        state = self.states[at]
        with telling(f"{self.node.region} hears again all that it has heard"):
            if self.node.hear(state, *(self._ledger.frames[n] for n in sorted(self.known[at]))) is not state:
                raise Broken("a frame that comes twice changes something")

    def _committed(self, before: State, after: State, words: str) -> int:
        for problem in oracle.check_growth(before, after):
            raise Broken(problem)
        self._ledger.name_frame(after.log[-1], words.partition(" ")[2])
        return self._settled(after)

    def _settled(self, state: State) -> int:
        """The state's number; where owners are prompt, that of the one after all that they decide now."""
        if not self._ledger.world.prompt:
            return self.number(state)
        for _ in range(ROUNDS_MAX):
            before = state
            for command in oracle.chores(state):
                after, _ = self.node.commit(state, [command])
                if after is not state:
                    self._ledger.name_frame(after.log[-1], f"{_OWN[type(command)]} {command[0]}")
                state = after
            if state is before:
                return self.number(state)
        raise Broken(f"{self.node.region} never comes to an end with deciding")


def _tails(state: State) -> dict[int, int]:
    tails = {origin: head.seq for origin, head in state.vector.items()}
    for frame in sorted(state.held, key=lambda frame: frame.first):
        if frame.first == tails.get(frame.origin, 0) + 1:
            tails[frame.origin] = frame.last
    return tails
