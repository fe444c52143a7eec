"""Verifying: everything that this node has is read and compared, with its own sums and with its peers'.

It happens when somebody asks for it, one at a time; and by itself, but for some buckets alone, when a round
of gossip finds that they differ: the records are named in the log, and not more often than now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from tallystick.core.digest import BUCKETS
from tallystick.core.members import node_name
from tallystick.core.replication.effects import Alarm, Effect, Send, Survey
from tallystick.core.replication.link import Link
from tallystick.core.replication.messages import Digest, DigestRequest, Inspect, Inspected
from tallystick.node.comparing import LOOK_BUCKETS, Comparison, answer_look, prepare_look
from tallystick.node.gossiping import Gossip, alarm
from tallystick.node.surveying import Difference, Here, Verdict, Wanted, verify_here
from tallystick.store.reader import Reader

NAME_AGAIN_S = 60.0
"""What gossip finds is named at most this often: it reads everything here and at the peer."""
ALARMS_MAX = 20
"""Records that are named in the log at once."""

Done = Callable[[Verdict], None]
Question = DigestRequest | Inspect | Inspected


class Verifier:
    """One node's. `links` answers those to peers that can be reached, `peers` names all peers."""

    def __init__(
        self,
        gossip: Gossip,
        links: Callable[[], Iterable[Link]],
        peers: Callable[[], Iterable[int]],
    ) -> None:
        self._gossip = gossip
        self._proof = gossip.proof
        self._ready = links
        self._peers = peers
        self._asked: list[Done] = []
        self._run: _Run | None = None
        self._suspect: dict[int, dict[int, None]] = {}
        self._naming: Comparison | None = None
        self._name_next_s = 0.0
        self.now_s = 0.0
        """On the clock of `tick`; to be set before anything is told."""
        self._effects: list[Effect] = []
        self._surveys: list[Wanted] = []

    @property
    def under_way(self) -> bool:
        """Whether something is being verified for somebody."""
        return self._run is not None

    # ------------------------------------------------------------------------------------------ what comes in

    def ask(self, done: Done) -> None:
        """Verify everything as it is from now on."""
        self._asked.append(done)

    def heard(self, link: int, peer: int, digest: Digest, wall_ms: int) -> None:
        """A peer tells sums. What is new and wrong is an alarm, and its records are named when it is time."""
        found = self._gossip.heard(link, peer, digest, round(self.now_s * 1000), wall_ms)
        if found:
            self._effects.append(alarm(peer, found))
            self._suspect.setdefault(peer, {}).update(dict.fromkeys(each.bucket for each in found))
        for each in self._comparisons(link):
            each.heard(digest, self.now_s)

    def received(self, link: int, message: Question) -> None:
        """A peer asks what is here, or names what it has."""
        match message:
            case DigestRequest(first, count):
                pairs = self._proof.pairs(first, min(count, BUCKETS))
                self._effects.append(Send(link, Digest({}, first, pairs)))
            case Inspect(buckets):
                asked = buckets[:LOOK_BUCKETS]
                self._surveys.append(
                    Wanted(
                        partial(prepare_look, self._proof, asked),
                        lambda looked: self._effects.append(Send(link, answer_look(asked, looked))),
                    )
                )
            case Inspected():
                for each in self._comparisons(link):
                    each.inspected(message, self.now_s)

    def closed(self, link: int) -> None:
        """A link is gone."""
        for each in self._comparisons(link):
            each.lose()

    def tick(self, now_s: float) -> None:
        """Time has passed."""
        self.now_s = now_s
        for each in self._comparisons():
            each.tick(now_s)
        self._begin()
        if self._naming is None and self._suspect and now_s >= self._name_next_s:
            self._name()
        self._conclude()

    def take_effects(self) -> list[Effect]:
        """What is to be done outside."""
        for each in self._comparisons():
            self._effects += each.take_effects()
        effects, self._effects = self._effects, []
        return effects

    def begin_surveys(self, read: Callable[[], AbstractContextManager[Reader]]) -> None:
        """Let what is waited for be read, of the state at this very moment."""
        if self._gossip.wants_count:
            self._surveys.append(self._gossip.count())
        for each in self._comparisons():
            self._surveys += each.take_surveys()
        surveys, self._surveys = self._surveys, []
        for prepare, then in surveys:
            reading = ExitStack()
            reader = reading.enter_context(read())
            self._effects.append(Survey(prepare(), then, reader, reading.close))

    # ------------------------------------------------------------------------------------------- what follows

    def _comparisons(self, link: int = 0) -> list[Comparison]:
        """Those under way, over one link or all."""
        if self._run is None and self._naming is None:
            return []
        run = self._run.comparisons if self._run else []
        return [each for each in (*run, self._naming) if each and link in (0, each.link)]

    def _links(self) -> dict[int, int]:
        return {link.peer: link.number for link in self._ready()}

    def _begin(self) -> None:
        """Somebody has asked, and nothing is under way: read what is here."""
        if self._run is not None or not self._asked or (self._proof.active and not self._proof.counted):
            return
        run = self._run = _Run(self._asked)
        self._asked = []
        self._surveys.append(Wanted(self._prepare, partial(self._read, run)))

    def _prepare(self) -> Callable[[Reader], Here]:
        return partial(verify_here, self._proof.kept())

    def _read(self, run: _Run, here: Here) -> None:
        """Everything here was read: compare it with whoever can be reached."""
        links = self._links()
        run.here = here
        for peer in self._peers():
            if peer in links:
                each = Comparison(peer, links[peer], self._proof, self.now_s, unknown=range(BUCKETS))
                run.comparisons.append(each)
            else:
                run.unreachable.append(peer)

    def _name(self) -> None:
        """Look into the buckets that gossip has found, at a peer that can be reached."""
        links = self._links()
        peer = next((peer for peer in self._suspect if peer in links), None)
        if peer is not None:
            self._name_next_s = self.now_s + NAME_AGAIN_S
            wrong = self._suspect.pop(peer)
            self._naming = Comparison(peer, links[peer], self._proof, self.now_s, wrong=wrong)

    def _conclude(self) -> None:
        naming, run = self._naming, self._run
        if naming is not None and naming.ended:
            self._naming = None
            self._effects += alarms(naming.peer, naming.differences)
        if run is not None and run.ended:
            self._run = None
            verdict = run.verdict()
            for done in run.callers:
                done(verdict)


class _Run:
    """One verification."""

    def __init__(self, callers: list[Done]) -> None:
        self.callers = callers
        self.here: Here | None = None
        self.comparisons: list[Comparison] = []
        self.unreachable: list[int] = []

    @property
    def ended(self) -> bool:
        return self.here is not None and all(each.ended for each in self.comparisons)

    def verdict(self) -> Verdict:
        assert self.here is not None
        compared = [each for each in self.comparisons if not each.lost]
        lost = [each.peer for each in self.comparisons if each.lost]
        return Verdict(
            self.here.records,
            (*self.here.differences, *(found for each in self.comparisons for found in each.differences)),
            tuple(each.peer for each in compared),
            tuple(sorted((*self.unreachable, *lost))),
            max((each.in_motion for each in compared), default=0),
        )


def alarms(peer: int, differences: Sequence[Difference]) -> list[Effect]:
    """The names of records that differ, for the log."""
    found = [
        Alarm("DIVERGENCE", f"{each.table} {each.record}: {each.problem}".strip(), peer)
        for each in differences[:ALARMS_MAX]
    ]
    if len(differences) > ALARMS_MAX:
        text = f"{len(differences) - ALARMS_MAX} more records are not what node {node_name(peer)} has"
        found.append(Alarm("DIVERGENCE", text, peer))
    return [*found]
