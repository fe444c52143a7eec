"""One peer, compared with: first the sums of all buckets, then the records of those that differ.

Both are compared where both nodes were touched by the same, which is hardly ever a whole state under load: a
bucket in motion is asked for again, a few times. Nothing is held up meanwhile, on either side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from tallystick.core.digest import BUCKETS, PAIR_BYTES, bucket_of, differing
from tallystick.core.members import node_name
from tallystick.core.replication.effects import Effect, Send
from tallystick.core.replication.messages import Digest, DigestRequest, Inspect, Inspected, Message
from tallystick.node.proving import Proof
from tallystick.node.surveying import KINDS, Difference, Looked, Name, Wanted, describe, look_into, name_of
from tallystick.store.reader import Reader

PIECE = 512
"""Buckets of one question: neither side hashes much at once for it."""
PASSES = 6
PAUSE_S = 0.2
"""Between passes, and looks: what was in motion comes to rest meanwhile."""
LOOK_BUCKETS = 16
LOOKS = 6
"""How often one bucket's records are compared before it is given up as being in motion."""
LOOKED_MAX = 64
"""Buckets of which records are named: more say the same."""
REPEAT_S = 10.0
"""A question that is not answered for so long is asked again: it may have been lost."""
PATIENCE_S = 60.0
"""A peer that answers nothing for so long is taken for lost."""
_KINDS = {table.value: kind for table, kind in KINDS.items()}


class Comparison:
    """With one peer, over one link. `unknown` are the buckets whose sums are to be compared, `wrong` those
    that are known to differ."""

    def __init__(
        self,
        peer: int,
        link: int,
        proof: Proof,
        now_s: float,
        *,
        unknown: Iterable[int] = (),
        wrong: Iterable[int] = (),
    ) -> None:
        self.peer = peer
        self.link = link
        self.ended = False
        self.lost = False
        """It ended because the peer is gone, or says nothing."""
        self.in_motion = 0
        self.differences: list[Difference] = []
        self._proof = proof
        self._unknown = set(unknown)
        self._wrong: dict[int, int] = dict.fromkeys(wrong, 0)
        self._looked = 0
        self._at = 0
        self._passes = 1
        self._asked: DigestRequest | Inspect | None = None
        self._ours: Looked | None = None
        self._theirs: Inspected | None = None
        self._said_s = self._asked_s = self._resume_s = now_s
        self._effects: list[Effect] = []
        self._surveys: list[Wanted] = []

    # ------------------------------------------------------------------------------------------ what comes in

    def tick(self, now_s: float) -> None:
        """Time has passed: go on after a pause, or give the peer up."""
        if self.ended:
            return
        if self._ours is not None and self._theirs is not None:
            self._compare(self._ours, self._theirs, now_s)
        if now_s - self._said_s > PATIENCE_S:
            self.lose()
        elif self._asked is None:
            if now_s >= self._resume_s:
                self._go_on(now_s)
        elif now_s - self._asked_s >= REPEAT_S and self._theirs is None:
            self._ask(self._asked, now_s)

    def lose(self) -> None:
        """The peer is gone."""
        self.ended = self.lost = True

    def heard(self, digest: Digest, now_s: float) -> None:
        """The peer tells sums: because they were asked for, or in a round of gossip."""
        ours = self._proof.pairs(digest.first_bucket, len(digest.buckets) // PAIR_BYTES)
        for place, differs in differing(ours, digest.buckets):
            bucket = digest.first_bucket + place
            if bucket in self._unknown:
                self._unknown.discard(bucket)
                if differs:
                    self._wrong[bucket] = 0
        asked = self._asked
        if not isinstance(asked, DigestRequest) or digest.first_bucket != asked.first_bucket:
            return
        if len(digest.buckets) == asked.buckets * PAIR_BYTES:
            self._at = asked.first_bucket + PIECE
        elif digest.buckets:
            return  # a round of gossip
        else:
            self._resume_s = now_s + PAUSE_S  # it counts them still: ask for the same again
        self._asked, self._said_s = None, now_s

    def inspected(self, message: Inspected, now_s: float) -> None:
        """The peer names records."""
        if isinstance(self._asked, Inspect) and message.buckets == self._asked.buckets:
            self._theirs, self._said_s = message, now_s

    def take_effects(self) -> list[Effect]:
        """What is to be sent."""
        effects, self._effects = self._effects, []
        return effects

    def take_surveys(self) -> list[Wanted]:
        """What is to be read, as soon as can be."""
        surveys, self._surveys = self._surveys, []
        return surveys

    # --------------------------------------------------------------------------------------------------- sums

    def _go_on(self, now_s: float) -> None:
        first = next((at for at in range(self._at, BUCKETS, PIECE) if self._is_open(at)), None)
        if first is not None:
            self._ask(DigestRequest(first, PIECE), now_s)
        elif self._unknown and self._passes < PASSES:
            self._passes += 1
            self._at, self._resume_s = 0, now_s + PAUSE_S
        else:
            self._look(now_s)

    def _is_open(self, at: int) -> bool:
        return not self._unknown.isdisjoint(range(at, at + PIECE))

    def _ask(self, question: DigestRequest | Inspect, now_s: float) -> None:
        self._asked, self._asked_s = question, now_s
        self._effects.append(Send(self.link, question))

    # ------------------------------------------------------------------------------------------------ records

    def _look(self, now_s: float) -> None:
        """Look into some of the buckets that differ, both at about the same moment."""
        batch = tuple([*self._wrong][: min(LOOK_BUCKETS, max(0, LOOKED_MAX - self._looked))])
        if not batch:
            self._end()
            return
        self._ours = self._theirs = None
        self._ask(Inspect(batch), now_s)
        self._surveys.append(Wanted(partial(prepare_look, self._proof, batch), self._looked_into))

    def _looked_into(self, ours: Looked) -> None:
        self._ours = ours

    def _compare(self, ours: Looked, theirs: Inspected, now_s: float) -> None:
        """Both have looked: name what differs in buckets that stood still, look again into the others."""
        self._asked = self._ours = self._theirs = None
        self._said_s = now_s
        here, there = _by_bucket(ours.records), _by_bucket({(t, k): d for t, k, d in theirs.records})
        told = dict(zip(theirs.buckets, _split(theirs.touched), strict=False))
        for bucket, touched in ours.touched.items():
            if told.get(bucket) == touched:
                self._name(
                    bucket, here.get(bucket, {}), there.get(bucket, {}), ours.truncated, theirs.truncated
                )
            elif self._wrong[bucket] + 1 < LOOKS:
                self._wrong[bucket] += 1
                self._resume_s = now_s + PAUSE_S
            else:
                self._tell(bucket, "it differs, but changed each time that its records were to be compared")

    def _name(
        self, bucket: int, here: Mapping[Name, bytes], there: Mapping[Name, bytes], *truncated: bool
    ) -> None:
        found = [*_differences(self.peer, here, there, *truncated)]
        if found:
            self._close(bucket)
            self.differences += found
        else:
            self._tell(
                bucket, f"its sums are not those of node {node_name(self.peer)}, though its records are"
            )

    def _tell(self, bucket: int, problem: str) -> None:
        self._close(bucket)
        self.differences.append(Difference(self.peer, "", f"bucket {bucket}", problem))

    def _close(self, bucket: int) -> None:
        del self._wrong[bucket]
        self._looked += 1

    def _end(self) -> None:
        self.ended = True
        self.in_motion = len(self._unknown)
        if self._wrong:
            more = f"{len(self._wrong)} more buckets"
            self.differences.append(Difference(self.peer, "", more, "they differ too: mend the others first"))


def prepare_look(proof: Proof, buckets: Iterable[int]) -> Callable[[Reader], Looked]:
    """Look into these buckets; to be called at the moment of the snapshot."""
    touched = {bucket: proof.digests.touched_in(bucket) for bucket in buckets if 0 <= bucket < BUCKETS}
    return partial(look_into, touched)


def answer_look(buckets: tuple[int, ...], looked: Looked) -> Message:
    """What was found, for a peer that has asked."""
    records = tuple((table, key, hashed) for (table, key), hashed in looked.records.items())
    return Inspected(buckets, b"".join(looked.touched.values()), records, looked.truncated)


def _differences(
    peer: int, here: Mapping[Name, bytes], there: Mapping[Name, bytes], cut_here: bool, cut_there: bool
) -> Iterator[Difference]:
    name = node_name(peer)
    for table, key in sorted(here.keys() | there.keys()):
        ours, theirs = here.get((table, key)), there.get((table, key))
        if ours == theirs:
            continue
        if ours is None and not cut_here:
            problem = f"it is missing here, and node {name} has it"
        elif theirs is None and not cut_there:
            problem = f"node {name} has it not"
        elif ours == b"" or theirs == b"":
            problem = "it does not fit its checksum " + ("here" if ours == b"" else f"at node {name}")
        elif ours is not None and theirs is not None:
            problem = f"it has other contents at node {name}"
        else:
            continue  # one side's answer does not go so far
        yield Difference(peer, table, describe(table, key), problem)


def _by_bucket(records: Mapping[Name, bytes]) -> dict[int, dict[Name, bytes]]:
    found: dict[int, dict[Name, bytes]] = {}
    for (table, key), hashed in records.items():
        kind = _KINDS.get(table)
        if kind is not None:
            found.setdefault(bucket_of(kind, name_of(kind, key)), {})[table, key] = hashed
    return found


def _split(touched: bytes) -> Iterator[bytes]:
    return (touched[at : at + 16] for at in range(0, len(touched), 16))
