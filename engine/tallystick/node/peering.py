"""The node's dealings with its peers, in the engine thread: what messages mean, and what follows from them.

The log is the replicator's, tokens are the ask desk's, agreement is the proof's, a new node's beginning the
installer's; here they meet the members and each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from tallystick.core.clock import EMPTY_HEAD, Vector
from tallystick.core.errors import InsufficientStock, Refused, Shortage
from tallystick.core.frame import Frame
from tallystick.core.members import Member
from tallystick.core.replica.commands import Admit, Settle, SettleIn, SettleStock
from tallystick.core.replica.keys import split_stock_key
from tallystick.core.replica.view import View
from tallystick.core.replication.effects import Alarm, Close, Effect, Linked, ReadChunk, Send, Settled
from tallystick.core.replication.forks import FORK, told_fork
from tallystick.core.replication.link import Link
from tallystick.core.replication.messages import (
    Ack,
    Ask,
    AskAnswer,
    Digest,
    DigestRequest,
    Goodbye,
    Hello,
    Inspect,
    Inspected,
    Me,
    Message,
    SnapshotChunk,
    SnapshotRequest,
)
from tallystick.core.replication.replicator import Replicator
from tallystick.core.stock.owing import settled
from tallystick.node.admission import FINAL, read_hello, turn_away
from tallystick.node.asking import AskDesk
from tallystick.node.balancing import OFF, Balancer
from tallystick.node.chores import Chore
from tallystick.node.clearing import Clear
from tallystick.node.gossiping import ROUND_S, Gossip
from tallystick.node.inputs import (
    ChunkRead,
    Closed,
    Connected,
    LogRead,
    PeerInput,
    Received,
    Surveyed,
    VerifyAsked,
)
from tallystick.node.installing import BadRows, Installer, Step
from tallystick.node.jobs import Job, OwnChainLost
from tallystick.node.joining import join_frame
from tallystick.node.proving import Before, Changes, Proof
from tallystick.node.roster import Members
from tallystick.node.source import StoreSource
from tallystick.node.verifying import Verifier

log = structlog.get_logger("peers")


class Peering:
    """All of it, for one node."""

    def __init__(
        self,
        me: Me,
        vector: Vector,
        members: Mapping[int, Member],
        source: StoreSource,
        *,
        touched: bytes = b"",
        installer: Installer | None = None,
        rebalance: str = OFF,
        weights: Mapping[str, int] | None = None,
    ) -> None:
        self._members = Members(me.replica, members)
        self.members = self._members.records
        self.region_of = self._members.region_of
        self.installer = installer
        installing = installer is not None and installer.reads_rows
        self.replicator = Replicator(me, vector, self._admits, installing=installing)
        self.replicated = self.replicator.replicated
        self.desk = AskDesk(me.replica, source.stock, self._linked_peers)
        self.proof = Proof(Before(source.booking, source.document, source.member, source.stock), touched)
        self.balancer = Balancer(me.replica, source.stock, rebalance, weights)
        self.gossip = Gossip(self.proof, self.balancer)
        self.verifier = Verifier(self.gossip, self._links, self._members.peers)
        self.heard: dict[int, int] = {}
        """When something last came over a link of each peer, in milliseconds since 1970."""
        self._source = source
        self._effects: list[Effect] = []
        self._chores: list[Job] = []
        self._fresh: dict[bytes, None] = {}
        self._openings: list[int] = []
        self._admitting: dict[str, int] = {}
        self._wall_ms = 0
        self._round_s = 0.0
        self._show_members()

    # ---------------------------------------------------------------------------------------- what comes in

    def take(self, each: PeerInput, now: float, wall_ms: int) -> None:
        """Something came of a link. `now` in seconds that only rise."""
        self._wall_ms, self.verifier.now_s = wall_ms, now
        now_ms = round(now * 1000)
        match each:
            case Connected(link):
                self.replicator.connected(link, now_ms)
            case Closed(link):
                self._closed(link, now_ms)
            case LogRead(link, origin, frames):
                self.replicator.log_read(link, origin, frames, now_ms)
            case ChunkRead(link, chunk):
                self._effects.append(Send(link, chunk))
            case Surveyed(then, found):
                then(found)
            case VerifyAsked(done):
                self.verifier.ask(done)
            case Received(link, message):
                self._received(link, message, now_ms)
                peer = self._peer(link)
                self.heard[peer] = wall_ms
                self.desk.heard(peer, now_ms)

    def _received(self, link: int, message: Message, now_ms: int) -> None:
        match message:
            case Hello():
                self._greeted(link, message, now_ms)
            case Goodbye(reason, text):
                log.warning("a peer ends the link", reason=reason, message=text)
                self._effects.append(Close(link, reason, text, reason in FINAL, self._peer(link)))
                if reason == FORK and self._peer(link):
                    self.replicator.forked(told_fork(self.replicator.me.replica, text))
            case _ if not self._peer(link):
                pass  # it has not greeted, or was turned away: it is told nothing, and nothing is taken of it
            case Digest():
                self.verifier.heard(link, self._peer(link), message, self._wall_ms)
                self.replicator.received(link, Ack(message.vector), now_ms)
            case DigestRequest() | Inspect() | Inspected():
                self.verifier.received(link, message)
            case Ask():
                self._asked(link, message)
            case AskAnswer(number, granted, seq):
                self.desk.answered(self._peer(link), number, granted, seq, now_ms)
                self.desk.reached(self._peer(link), self.seq_of(self._peer(link)))
            case SnapshotRequest() if self.installer is None:
                self._requested(link, message)
            case SnapshotChunk() if self.installer is not None:
                self.installer.received(link, message, now_ms)
            case _:
                self.replicator.received(link, message, now_ms)

    def tick(self, now: float) -> None:
        """Time has passed."""
        now_ms = round(now * 1000)
        self.replicator.tick(now_ms)
        self.desk.tick(now_ms)
        self.verifier.tick(now)
        self._seek_rows(now_ms)
        self._settle()
        if self.installer is None:
            if now >= self._round_s:
                self._round_s = now + ROUND_S
                self._effects += self.gossip.round(now_ms, self._links(), self.replicator.vector)
            if moves := self.balancer.plan(self.members, self._linked_peers, now_ms):
                self._chores.append(Chore(moves))

    # ---------------------------------------------------------------------------------------- peers' frames

    def busy(self, may_apply: bool) -> bool:
        """Whether there is something to do at once; what peers send is not while it finds no room."""
        if self._chores or self._fresh or self._openings:
            return True
        return may_apply and (self.has_ready() or (self.installer is not None and self.installer.has_rows))

    def has_ready(self) -> bool:
        """Whether frames of peers can be applied."""
        return bool(self.replicator.held.bytes) and bool(self.replicator.ready(1, 1))

    def apply_ready(self, view: View, events_max: int, bytes_max: int) -> list[Frame] | None:
        """Join frames that are ready into `view`. None: one of them can't be; its origin is stopped, and the
        view is worth nothing."""
        frames = self.replicator.ready(events_max, bytes_max)
        for frame in frames:
            problem = join_frame(frame, view, self.replicator.me.replica, self.installer)
            if problem is not None:
                self.replicator.stop(frame.origin, *problem)
                return None
        return frames

    def committed(
        self, own: Sequence[Frame], applied: Sequence[Frame], view: View, changes: Changes, now: float
    ) -> None:
        """These are on disk, with `view`."""
        self.proof.committed(changes)
        self.replicator.committed(own, applied, round(now * 1000))
        for frame in applied:
            self.desk.reached(frame.origin, frame.last)
        if view.members:
            self._note_members(view)
        self.balancer.sold(changes.stock, round(now * 1000))
        self._chores += [Chore(Settle(order_id)) for order_id in view.unsettled]
        for key in view.arrived:
            self._arrived(key)

    def _arrived(self, key: bytes) -> None:
        """A peer sent us tokens of an item: pay with them what is missing, then serve who waits for some."""
        stock = self._source.stock(key)
        if settled(stock, self.replicator.me.replica) is not stock:
            self._chores.append(Chore(SettleStock(*split_stock_key(key))))
        self._fresh[key] = None

    # -------------------------------------------------------------------------------------------- questions

    @property
    def own_chain_lost(self) -> OwnChainLost | None:
        """Why this node must write nothing any more."""
        return OwnChainLost() if self.replicator.me.replica in self.replicator.stopped else None

    @property
    def others(self) -> int:
        """How many other members there are."""
        return len(self._members.peers())

    def seq_of(self, replica: int) -> int:
        """A member's last event that is on disk here."""
        return self.replicator.vector.get(replica, EMPTY_HEAD).seq

    def ask_for(self, shortages: Sequence[Shortage], now: float) -> dict[bytes, int] | None:
        """Ask peers for what is short. Answers the wanted units by stock key; None if it would be in vain."""
        return self.desk.ask_for(shortages, round(now * 1000))

    def explain(self, refusal: InsufficientStock) -> Refused:
        """The refusal, with what is known of other regions."""
        away = self._members.regions_beside(self._linked_peers())
        return self.desk.explain(refusal, away, self.region_of, self._wall_ms)

    # --------------------------------------------------------------------------------------- what goes out

    def take_chores(self) -> list[Job]:
        """Jobs that the node gives itself."""
        chores, self._chores = self._chores, []
        return chores

    def take_fresh(self) -> list[bytes]:
        """Items of which tokens came, or that were asked for in vain: who waits for some is to be tried."""
        keys = dict.fromkeys((*self._fresh, *self.desk.take_settled()))
        self._fresh.clear()
        return [*keys]

    def take_effects(self) -> list[Effect]:
        """What is to be done outside, after the commit."""
        self._effects += [*self.replicator.take_effects(), *self.verifier.take_effects()]
        for peer, ask in self.desk.take_sends():
            if link := self.replicator.link_to(peer):
                self._effects.append(Send(link.number, ask))
        effects, self._effects = self._effects, []
        return effects

    # ------------------------------------------------------------------------------------------ snapshots

    def _requested(self, link: int, request: SnapshotRequest) -> None:
        if request.table:
            self._effects.append(ReadChunk(link, *request))
        else:
            self._openings.append(link)

    def take_openings(self) -> list[int]:
        """Links whose snapshot is to be opened: its first piece says what touched the digests by then."""
        openings, self._openings = self._openings, []
        return openings

    def open_snapshot(self, link: int, chunk: SnapshotChunk) -> None:
        """The first piece, read at this very moment."""
        self._effects.append(Send(link, chunk._replace(touched=self.proof.digests.pack_touched())))

    def install_step(self, vector: Vector) -> Step | Clear | None:
        """What of a snapshot is to be committed next."""
        return self.installer.step(vector) if self.installer else None

    def installed(self, step: Step | Clear, view: View, now: float) -> None:
        """It is on disk, with `view`."""
        assert self.installer is not None
        if view.members:
            self._note_members(view)
        self.installer.done(step)
        self._seek_rows(round(now * 1000))
        if isinstance(step, Step) and step.adopts:
            self.proof.restart(step.touched)
            self.replicator.adopted(step.vector, round(now * 1000))

    def refuse_rows(self, problem: BadRows) -> None:
        """What came of a snapshot can't be joined."""
        if self.installer is not None:
            self._effects += self.installer.refuse(problem, self.replicator.me.replica, self._peer)

    def _seek_rows(self, now_ms: int) -> None:
        if self.installer is None:
            return
        links = {each.number: (each.peer, each.hello.boot) for each in self._links() if each.hello}
        if request := self.installer.ask(links, now_ms):
            self._effects.append(Send(*request))

    def _settle(self) -> None:
        vector, me, member = self.replicator.vector, self.replicator.me.replica, self._source.member
        try:
            if self.installer is not None and self.installer.may_settle(vector, me, member):
                self._settle_in()
        except BadRows as problem:
            self.refuse_rows(problem)

    def _settle_in(self) -> None:
        self.installer = None
        self._show_members()

        def done(result: object) -> None:
            if isinstance(result, Refused):
                self._effects.append(Alarm(result.reason, result.message, self.replicator.me.replica))
            else:
                self.replicator.me = self.replicator.me._replace(invitation="")
                self._effects.append(Settled())

        self._chores.append(Chore(SettleIn(self.replicator.me.address), done))

    # --------------------------------------------------------------------------------------------- members

    def _greeted(self, link: int, hello: Hello, now_ms: int) -> None:
        if hello.replica not in self.members and hello.invitation and not self.installer:
            self._invited(link, hello, now_ms)
            return
        self.replicator.received(link, hello, now_ms)
        if (peer := self.replicator.links.get(link)) and peer.hello is not None:
            self.balancer.demands.greeted(link, peer.peer, hello.boot, peer.began_ms, now_ms)
            self._effects.append(Linked(link, peer.peer))

    def _invited(self, link: int, hello: Hello, now_ms: int) -> None:
        """A stranger with an invitation: admit it, then greet."""
        shown = read_hello(hello, self.members, self._admitting, self._wall_ms)
        if isinstance(shown, Goodbye):
            self._effects += [Send(link, shown), Close(link, shown.reason, shown.message)]
            return

        def admitted(result: object) -> None:
            self._admitting.pop(shown.nonce, None)
            if isinstance(result, Refused):
                self._effects.append(Close(link, result.reason, result.message))
            else:
                self._greeted(link, hello, now_ms)

        command = Admit(hello.replica, hello.region, hello.address, shown.nonce)
        self._chores.append(Chore(command, admitted))

    def _admits(self, hello: Hello) -> Goodbye | None:
        return turn_away(hello, self.members, installing=self.installer is not None)

    def _note_members(self, view: View) -> None:
        self._members.note(view)
        self._show_members()

    def _show_members(self) -> None:
        self.proof.active = len(self.members) > 1 and self.installer is None
        self._effects.append(self._members.roster())

    # ----------------------------------------------------------------------------------------------- links

    def _closed(self, link: int, now_ms: int) -> None:
        peer = self._peer(link)
        self.verifier.closed(link)
        self.replicator.closed(link)
        self.balancer.demands.closed(link)
        if peer and self.replicator.link_to(peer) is None:
            self.desk.lost(peer, now_ms)

    def _asked(self, link: int, ask: Ask) -> None:
        """A peer asks for tokens: its answer follows the commit of the grant."""
        peer = self._peer(link)
        if not peer or self.installer is not None:
            return

        def granted(units: int) -> None:
            seq = self.seq_of(self.replicator.me.replica)
            self._effects.append(Send(link, AskAnswer(ask.number, units, seq)))

        self._chores.append(self.desk.grant(peer, ask, granted))

    def _peer(self, link: int) -> int:
        found = self.replicator.links.get(link)
        return found.peer if found else 0

    def _links(self) -> list[Link]:
        return [link for link in self.replicator.links.values() if link.ready]

    def _linked_peers(self) -> list[int]:
        return [link.peer for link in self._links()]
