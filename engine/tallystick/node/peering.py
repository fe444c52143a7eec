"""The node's dealings with its peers, in the engine thread: what messages mean, and what follows from them.

The log is the replicator's, tokens the ask desk's, a new node's beginning the installer's; here they meet the
members, the store and each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from tallystick.core.clock import EMPTY_HEAD, Vector
from tallystick.core.codec import decode
from tallystick.core.errors import InsufficientStock, Refused, Shortage
from tallystick.core.frame import Frame, FrameError, decode_events
from tallystick.core.invitations import Invitation, is_signed, read_invitation
from tallystick.core.members import Member, MemberState, node_name
from tallystick.core.replica.apply import UnknownKind, apply_entries
from tallystick.core.replica.commands import Admit, SettleIn
from tallystick.core.replica.view import View
from tallystick.core.replication.effects import (
    Alarm,
    Close,
    Effect,
    Linked,
    ReadChunk,
    Roster,
    Send,
    Settled,
)
from tallystick.core.replication.messages import (
    Ask,
    AskAnswer,
    Goodbye,
    Hello,
    Message,
    SnapshotChunk,
    SnapshotRequest,
)
from tallystick.core.replication.replicator import Me, Replicator
from tallystick.node.asking import AskDesk, StockOf
from tallystick.node.chores import Chore
from tallystick.node.inputs import ChunkRead, Closed, Connected, LogRead, PeerInput, Received
from tallystick.node.installing import Installer, Step
from tallystick.node.jobs import Job
from tallystick.store.port import StoreBroken

log = structlog.get_logger("peers")

FINAL = frozenset(
    {
        *("WRONG_CLUSTER", "SELF", "PROTOCOL", "ENDED", "OWN_CHAIN_LOST"),
        *("INVITATION_BAD", "INVITATION_USED", "INVITATION_EXPIRED"),
    }
)
"""Reasons of a Goodbye that trying again does not mend."""


class Peering:
    """All of it, for one node."""

    def __init__(
        self,
        me: Me,
        vector: Vector,
        members: Mapping[int, Member],
        stock_of: StockOf,
        installer: Installer | None = None,
    ) -> None:
        self.members = dict(members)
        self.installer = installer
        self.replicator = Replicator(me, vector, self._admits, installing=_reads_rows(installer))
        self.desk = AskDesk(me.replica, stock_of, self._linked_peers)
        self.heard: dict[int, int] = {}
        """When something last came over a link of each peer, in milliseconds since 1970."""
        self.ahead: dict[int, int] = {}
        """Members whose clock was last seen too far ahead, and by how many milliseconds."""
        self._effects: list[Effect] = []
        self._chores: list[Job] = []
        self._wall_ms = 0
        self._roster()

    # ---------------------------------------------------------------------------------------- what comes in

    def take(self, each: PeerInput, now: float, wall_ms: int) -> None:
        """Something came of a link. `now` in seconds that only rise."""
        self._wall_ms = wall_ms
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
            case Received(link, message):
                self._received(link, message, now_ms)
                self.heard[self._peer(link)] = wall_ms

    def _received(self, link: int, message: Message, now_ms: int) -> None:
        match message:
            case Hello():
                self._greeted(link, message, now_ms)
            case Ask():
                self._asked(link, message)
            case AskAnswer(number, granted, seq):
                self.desk.answered(self._peer(link), number, granted, seq, now_ms)
                self.desk.reached(self._peer(link), self.seq_of(self._peer(link)))
            case SnapshotRequest(table, after):
                if self.installer is None:
                    self._effects.append(ReadChunk(link, table, after))
            case SnapshotChunk():
                if self.installer is not None:
                    self.installer.received(message)
            case Goodbye(reason, text):
                log.warning("a peer ends the link", reason=reason, message=text)
                self._effects.append(Close(link, reason, text, final=reason in FINAL))
            case _:
                self.replicator.received(link, message, now_ms)

    def tick(self, now: float) -> None:
        """Time has passed."""
        now_ms = round(now * 1000)
        self.replicator.tick(now_ms)
        self.desk.tick(now_ms)
        self._seek_rows(now_ms)
        if self.installer is not None and self._may_settle(self.installer):
            self._settle_in()

    @property
    def linked(self) -> bool:
        """Whether there is any link."""
        return bool(self.replicator.links)

    # ---------------------------------------------------------------------------------------- peers' frames

    @property
    def busy(self) -> bool:
        """Whether there is something to do at once."""
        return bool(self._chores) or self.has_ready() or self._installs

    def has_ready(self, may: bool = True) -> bool:
        """Whether frames of peers can be applied."""
        return may and bool(self.replicator.ready(1, 1))

    def apply_ready(self, view: View, events_max: int, bytes_max: int) -> list[Frame] | None:
        """Join frames that are ready into `view`. None: one of them can't be; its origin is stopped, and the
        view is worth nothing."""
        frames = self.replicator.ready(events_max, bytes_max)
        for frame in frames:
            problem = self._apply(frame, view)
            if problem is not None:
                self.replicator.stop(frame.origin, *problem)
                return None
        return frames

    def _apply(self, frame: Frame, view: View) -> tuple[str, str] | None:
        """Answers a reason and a sentence if it can't be joined."""
        try:
            for place, entries in enumerate(decode_events(frame)):
                for skipped in apply_entries(frame.dot(place), entries, view):
                    log.error("an entry was skipped", event=str(frame.dot(place)), problem=skipped.problem)
        except FrameError as problem:
            # Judged from the frame's bytes alone, so everybody passes over the same.
            log.error("a frame says nothing", event=str(frame.dot(0)), problem=str(problem))
        except UnknownKind as problem:
            return "UPGRADE_REQUIRED", f"{problem}: upgrade this node"
        except StoreBroken:
            raise
        except Exception as bug:
            log.exception("a frame could not be applied", event=str(frame.dot(0)))
            return "QUARANTINED", f"applying event {frame.dot(0)} failed: {bug!r}; the log says more"
        return None

    def committed(self, own: Sequence[Frame], applied: Sequence[Frame], view: View, now: float) -> None:
        """These are on disk, with `view`."""
        now_ms = round(now * 1000)
        self.replicator.committed(own, applied, now_ms)
        for frame in applied:
            self.desk.reached(frame.origin, frame.last)
        if view.members:
            self._note_members(view)

    def note_ahead(self, origin: int, ms: int) -> None:
        """A member's clock is too far ahead of ours."""
        if origin not in self.ahead:
            log.warning("a peer's clock is ahead", node=node_name(origin), ms=ms)
        self.ahead[origin] = ms

    # -------------------------------------------------------------------------------------------- questions

    def replicated(self, seq: int) -> int:
        """How many peers have our events up to `seq` on disk."""
        return self.replicator.replicated(seq)

    def seq_of(self, replica: int) -> int:
        """A member's last event that is on disk here."""
        return self.replicator.vector.get(replica, EMPTY_HEAD).seq

    def region_of(self, replica: int) -> str:
        """A member's region; "" if it is not known."""
        member = self.members.get(replica)
        return member.region if member else ""

    def ask_for(self, shortages: Sequence[Shortage], now: float) -> dict[bytes, int]:
        """Ask peers for what is short. Answers the units by stock key; nothing if that would be in vain."""
        return self.desk.ask_for(shortages, round(now * 1000))

    def explain(self, refusal: InsufficientStock) -> Refused:
        """The refusal, with what is known of other regions."""
        linked = set(self._linked_peers())
        away = [m.region for r, m in self.members.items() if r not in linked and self._counts(r, m)]
        return self.desk.explain(refusal, tuple(sorted(set(away))), self.region_of, self._wall_ms)

    # --------------------------------------------------------------------------------------- what goes out

    def take_chores(self) -> list[Job]:
        """Jobs that the node gives itself."""
        chores, self._chores = self._chores, []
        return chores

    def take_effects(self) -> list[Effect]:
        """What is to be done outside, after the commit."""
        self._effects += self.replicator.take_effects()
        for peer, ask in self.desk.take_sends():
            link = self.replicator.link_to(peer)
            if link is not None:
                self._effects.append(Send(link.number, ask))
        effects, self._effects = self._effects, []
        return effects

    # ------------------------------------------------------------------------------------------ installing

    @property
    def _installs(self) -> bool:
        return self.installer is not None and self.installer.step({}) is not None

    def install_step(self, vector: Vector) -> Step | None:
        """What of a snapshot is to be committed next."""
        return self.installer.step(vector) if self.installer else None

    def installed(self, step: Step, view: View, now: float) -> None:
        """It is on disk, with `view`."""
        assert self.installer is not None
        if view.members:
            self._note_members(view)
        self.installer.done(step)
        self._seek_rows(round(now * 1000))
        if step.adopts:
            self.replicator.adopted(step.vector, round(now * 1000))

    def _seek_rows(self, now_ms: int) -> None:
        if self.installer is None:
            return
        links = [link.number for link in self.replicator.links.values() if link.ready]
        request = self.installer.ask(links, now_ms)
        if request is not None:
            self._effects.append(Send(*request))

    def install_failed(self, why: str) -> None:
        """It found no room; it is tried again."""
        log.warning("the snapshot waits for room", reason=why)

    def _may_settle(self, installer: Installer) -> bool:
        """Whether all is here, our own admission too: who gave us the rows may not have known of it yet."""
        return self.replicator.me.replica in self.members and installer.caught_up(self.replicator.vector)

    def _settle_in(self) -> None:
        self.installer = None

        def settled(result: object) -> None:
            if isinstance(result, Refused):
                self._effects.append(Alarm(result.reason, result.message, self.replicator.me.replica))
            else:
                self.replicator.me = self.replicator.me._replace(invitation="")
                self._effects.append(Settled())

        self._chores.append(Chore(SettleIn(self.replicator.me.address), settled))

    # --------------------------------------------------------------------------------------------- members

    def _greeted(self, link: int, hello: Hello, now_ms: int) -> None:
        if hello.replica not in self.members and hello.invitation and not self.installer:
            self._invited(link, hello, now_ms)
            return
        self.replicator.received(link, hello, now_ms)
        peer = self.replicator.links.get(link)
        if peer is None or peer.hello is None:
            return
        self._effects.append(Linked(link, peer.peer))

    def _invited(self, link: int, hello: Hello, now_ms: int) -> None:
        """A stranger with an invitation: admit it, then greet."""
        problem = self._problem_of(hello)
        if isinstance(problem, Goodbye):
            self._effects += [Send(link, problem), Close(link, problem.reason, problem.message)]
            return

        def admitted(result: object) -> None:
            if not isinstance(result, Refused):
                self._greeted(link, hello, now_ms)

        command = Admit(hello.replica, hello.region, hello.address, problem.nonce)
        self._chores.append(Chore(command, admitted))

    def _problem_of(self, hello: Hello) -> Invitation | Goodbye:
        try:
            invitation = read_invitation(hello.invitation)
        except ValueError as problem:
            return Goodbye("INVITATION_BAD", str(problem))
        secrets = [member.secret for member in self.members.values() if member.secret]
        if not any(is_signed(invitation, secret) for secret in secrets):
            return Goodbye("INVITATION_BAD", "no member of this cluster gave that invitation")
        if invitation.expires_s * 1000 < self._wall_ms:
            return Goodbye("INVITATION_EXPIRED", "the invitation has expired: ask for another")
        if any(member.invitation == invitation.nonce for member in self.members.values()):
            return Goodbye("INVITATION_USED", "another node has joined with this invitation: ask for another")
        return invitation

    def _admits(self, hello: Hello) -> Goodbye | None:
        member = self.members.get(hello.replica)
        if member is None:
            if self.installer is not None and not hello.invitation:
                return None  # we know nobody yet: whoever we were told to join
            return Goodbye("NOT_A_MEMBER", f"node {node_name(hello.replica)} is not known here (yet)")
        if member.state == MemberState.ENDED:
            return Goodbye("ENDED", f"node {node_name(hello.replica)} is a member no more")
        return None

    def _note_members(self, view: View) -> None:
        for key, data in view.members.items():
            self.members[int.from_bytes(key)] = decode(data, Member)
        self._roster()

    def _roster(self) -> None:
        peers = [(r, m.region, m.address) for r, m in sorted(self.members.items()) if self._counts(r, m)]
        self._effects.append(Roster(tuple(peers)))

    def _counts(self, replica: int, member: Member) -> bool:
        return replica != self.replicator.me.replica and member.state != MemberState.ENDED

    # ----------------------------------------------------------------------------------------------- links

    def _closed(self, link: int, now_ms: int) -> None:
        peer = self._peer(link)
        self.replicator.closed(link)
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

    def _linked_peers(self) -> list[int]:
        return [link.peer for link in self.replicator.links.values() if link.ready]


def _reads_rows(installer: Installer | None) -> bool:
    return installer is not None and installer.reads_rows
