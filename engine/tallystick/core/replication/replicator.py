"""How one node's log reaches all others, and theirs this one.

Own frames are pushed to every peer as they are committed; others' are sent to who asks. A frame that comes
before its causes is held back, and what is missing is asked for: of its origin's link, or, if that is down
or stands still, of anybody who has it, so that a third node relays around a cut. What is on disk is
acknowledged, and nothing else. Any message may be lost, doubled or late.

The machine keeps no time and does no I/O: it is told (`connected`, `received`, `committed`, `log_read`,
`tick`), and what it wants done is collected by `take_effects`. Source of the shape: etcd's raft (`Ready`),
h11; of the exchange of vectors and ranges: Demers et al., *Epidemic Algorithms* (1987).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile

from tallystick.core.clock import EMPTY_HEAD, Head
from tallystick.core.frame import Frame, FrameError, decode_frame, follows, frame_span
from tallystick.core.members import node_name
from tallystick.core.replication.effects import Alarm, Close, Effect, ReadLog, Send
from tallystick.core.replication.forks import FORK, Fork, find_forks, fork_of, own_fork
from tallystick.core.replication.gaps import Gaps
from tallystick.core.replication.holdback import HoldBack
from tallystick.core.replication.link import READ_BYTES, Link
from tallystick.core.replication.messages import Ack, Frames, Goodbye, Hello, Me, Message, Want

MESSAGE_BYTES = 64 << 10
"""A peer hears nothing of us while one message is on its way, and takes a link for dead that is silent: over
a thin line small ones keep it alive."""
ACK_MS = 5
"""Acknowledgements of one link are at least this far apart."""
HEARTBEAT_MS = 1_000
SILENCE_MS = 2_500
"""A link that brings nothing for so long is dead, whatever its connection says: two heartbeats were lost."""
RESEND_MS = 3_000
"""What is under way is taken for lost when nothing of it was acknowledged for so long."""


class Replicator:
    """One node's side of the protocol. `vector` is what is on disk here.

    `admits` says why a peer that greets must be turned away, or None; see `Hello`.
    """

    def __init__(
        self,
        me: Me,
        vector: Mapping[int, Head],
        admits: Callable[[Hello], Goodbye | None] = lambda _: None,
        *,
        installing: bool = False,
    ) -> None:
        self.me = me
        self.vector: dict[int, Head] = dict(vector)
        self.installing = installing
        self.links: dict[int, Link] = {}
        self.held = HoldBack()
        self.stopped: dict[int, str] = {}
        """Origins whose frames are taken no more, and why."""
        self.acked: dict[int, int] = {}
        """Peer → our events that it has on disk, as far as it ever said."""
        self._admits = admits
        self._gaps = Gaps()
        self._may_lack = True
        """Whether somebody may have what is not here. While nobody has, there is no need to look."""
        self._effects: list[Effect] = []

    # ------------------------------------------------------------------------------------------ what comes in

    def connected(self, link: int, now_ms: int) -> None:
        """There is a new connection: greet."""
        self.links[link] = Link(link, began_ms=now_ms, heard_ms=now_ms, beat_ms=now_ms, progress_ms=now_ms)
        hello = self.me.greeting(dict(self.vector), installing=self.installing)
        self._send(self.links[link], hello)

    def closed(self, link: int) -> None:
        """The connection is gone."""
        self.links.pop(link, None)

    def received(self, link: int, message: Message, now_ms: int) -> None:
        """A message of one of the kinds Hello, Frames, Ack, Want, Goodbye; others are not about the log."""
        peer = self.links.get(link)
        if peer is None:
            return
        peer.heard_ms = now_ms
        if isinstance(message, Hello):
            self._greeted(peer, message, now_ms)
        elif isinstance(message, Goodbye):
            self._effects.append(Close(link, message.reason, message.message))
        elif peer.hello is None:
            return  # its Hello was lost: it will greet again on a new connection
        elif isinstance(message, Frames):
            self._take_frames(peer, message, now_ms)
        elif isinstance(message, Ack):
            self.heard_vector(peer, message.vector, now_ms)
        elif isinstance(message, Want):
            self._wanted(peer, message)

    def heard_vector(self, peer: Link, vector: Mapping[int, Head], now_ms: int) -> None:
        """The peer says what it has on disk."""
        me = self.me.replica
        for fork in find_forks(me, self.vector, peer.peer, vector):
            self.forked(fork)
        if me in self.stopped:
            return
        if peer.installing and vector:
            peer.installing = False
            self._begin(peer, vector.get(me, EMPTY_HEAD))
        peer.acknowledged(vector, now_ms)
        self._may_lack |= any(head.seq > self._reached(origin) for origin, head in vector.items())
        self._note_acked(peer)
        self._pump(peer)
        self._seek(now_ms)

    def committed(self, own: Sequence[Frame], applied: Sequence[Frame], now_ms: int) -> None:
        """These are on disk: push our own, acknowledge the others'."""
        for frame in (*own, *applied):
            self.vector[frame.origin] = frame.head
        self.held.applied(applied)
        for peer in self.links.values():
            if own and peer.ready:
                self._push(peer, own, now_ms)
            if applied:
                self._acknowledge(peer, now_ms)

    def adopted(self, vector: Mapping[int, Head], now_ms: int) -> None:
        """A snapshot was joined that has all up to `vector`."""
        self.vector.update(vector)
        self.installing = False
        self.held.rebase(self.vector)
        self._may_lack = True
        for peer in self.links.values():
            peer.forget_told()
            self._acknowledge(peer, now_ms)

    def log_read(self, link: int, origin: int, frames: Sequence[bytes], now_ms: int) -> None:
        """What ReadLog asked for."""
        peer = self.links.get(link)
        if peer is None:
            return
        peer.reading = 0
        if not frames:
            peer.wanted.pop(origin, None)
        if not self._goes_on(peer, origin, frames):
            return
        sent = peer.sent.get(origin, 0)
        spans = [(*frame_span(data), data) for data in frames]
        spans = [span for span in spans if span[1] > sent]
        # What doesn't follow what was sent was read before that was taken for lost: it will be read again.
        if spans and spans[0][0] == sent + 1 and (origin == self.me.replica or origin in peer.wanted):
            pairs = ((last, data) for _, last, data in spans)
            fitting = takewhile(lambda frame: peer.takes(origin, len(frame[1])), pairs)
            self._ship(peer, origin, fitting, now_ms)
            if peer.sent[origin] > sent:
                self._pump(peer)

    def tick(self, now_ms: int) -> None:
        """Time has passed. To be called every few tens of milliseconds while there are links."""
        for peer in self.links.values():
            if now_ms - peer.heard_ms >= SILENCE_MS and not (peer.installing or self.installing):
                peer.heard_ms = now_ms
                self._effects.append(Close(peer.number, "SILENT", "nothing comes from the peer any more"))
            if peer.hello is None:
                continue
            if peer.flight_bytes and now_ms - peer.progress_ms >= RESEND_MS:
                peer.rewind()
                peer.progress_ms = now_ms
            if now_ms - peer.beat_ms >= HEARTBEAT_MS:
                # All of it, since an acknowledgement may have been lost.
                peer.beat_ms = now_ms
                peer.forget_told()
                self._send_ack(peer, now_ms, always=True)
            elif peer.untold and now_ms - peer.acked_ms >= ACK_MS:
                self._send_ack(peer, now_ms, always=False)
            self._pump(peer)
        self._seek(now_ms)

    # -------------------------------------------------------------------------------------- what is asked for

    def ready(self, events_max: int, bytes_max: int) -> list[Frame]:
        """Peers' frames that can be applied now; they stay held until `committed` names them."""
        return self.held.ready(self.vector, events_max, bytes_max)

    def take_effects(self) -> list[Effect]:
        """What is to be done, in this order. The caller does it after its commit."""
        effects, self._effects = self._effects, []
        return effects

    def replicated(self, seq: int) -> int:
        """How many peers have our events up to `seq` on disk."""
        return sum(acked >= seq for acked in self.acked.values())

    def known(self, origin: int) -> int:
        """The highest event of an origin that anybody connected is known to have. For any thread."""
        heard = (peer.seq_of(origin) for peer in [*self.links.values()])
        return max(heard, default=0)

    def link_to(self, replica: int) -> Link | None:
        """The newest connection to a peer, if there is one."""
        return next((peer for peer in reversed(self.links.values()) if peer.peer == replica), None)

    def stop(self, origin: int, reason: str, message: str) -> None:
        """Take no more frames of an origin, and say so."""
        if origin not in self.stopped:
            self.stopped[origin] = reason
            self.held.drop(origin)
            self._effects.append(Alarm(reason, message, origin))

    # ----------------------------------------------------------------------------------------------- greeting

    def _greeted(self, peer: Link, hello: Hello, now_ms: int) -> None:
        if peer.hello is not None:
            return  # it came twice
        problem = self._turns_away(hello)
        if problem is not None:
            self._send(peer, problem)
            self._effects.append(Close(peer.number, problem.reason, problem.message))
            return
        for older in [each for each in self.links.values() if each.peer == hello.replica]:
            if self._replaces(older, hello):
                self._effects.append(Close(older.number, "REPLACED", "the peer connected again"))
                self.closed(older.number)
        peer.hello, peer.peer, peer.installing = hello, hello.replica, hello.installing
        self._begin(peer, hello.vector.get(self.me.replica, EMPTY_HEAD))
        peer.forget_told()
        self.heard_vector(peer, {} if hello.installing else hello.vector, now_ms)

    def _replaces(self, older: Link, hello: Hello) -> bool:
        """Whether a new link to a peer ends the older one. If both dialled at once, the lower id chooses, or
        each might end another."""
        assert older.hello is not None
        return self.me.replica < hello.replica or older.hello.boot != hello.boot

    def _turns_away(self, hello: Hello) -> Goodbye | None:
        me = self.me
        if hello.cluster != me.cluster:
            return Goodbye("WRONG_CLUSTER", f"this node is of cluster {me.cluster}, not {hello.cluster}")
        if hello.replica == me.replica:
            return Goodbye("SELF", "that is this very node, or a clone of its directory")
        if hello.protocol[0] > 1 or hello.protocol[1] < 1:
            return Goodbye("PROTOCOL", f"this node speaks version 1, the peer {hello.protocol}")
        if self.stopped.get(hello.replica) == FORK:
            return Goodbye(*fork_of(hello.replica, self._reached(hello.replica))[1:])
        return self._admits(hello)

    def _begin(self, peer: Link, theirs: Head) -> None:
        """Our own are sent from there on."""
        me = self.me.replica
        peer.sent[me] = theirs.seq
        peer.on_our_chain = theirs in (EMPTY_HEAD, self.vector.get(me, EMPTY_HEAD))

    def _note_acked(self, peer: Link) -> None:
        if peer.on_our_chain:
            seq = peer.seq_of(self.me.replica)
            self.acked[peer.peer] = max(self.acked.get(peer.peer, 0), seq)

    def _goes_on(self, peer: Link, origin: int, frames: Sequence[bytes]) -> bool:
        """Whether a chain goes on from what the peer has of it, as our log says; else it is another chain."""
        own, theirs = origin == self.me.replica, peer.has.get(origin, EMPTY_HEAD)
        beyond = next((data for data in frames if frame_span(data)[1] > theirs.seq), b"")
        later = frame_span(beyond)[0] > theirs.seq + 1 if beyond else bool(frames) or not own
        if later or (own and peer.on_our_chain):
            return True  # a read from further on tells nothing, nor one that was acknowledged meanwhile
        if not beyond or not follows(decode_frame(beyond), theirs):
            mine = self.vector.get(origin, EMPTY_HEAD)
            self.forked(own_fork(origin, mine, peer.peer, theirs) if own else fork_of(origin, theirs.seq))
            return False
        if own:
            peer.on_our_chain = True
            self._note_acked(peer)
        return True

    def forked(self, fork: Fork) -> None:
        """Stop it, and end the links that concern it: all of them, if it is this node."""
        self.stop(*fork)
        own = fork.origin == self.me.replica
        for peer in self.links.values():
            if own or peer.peer == fork.origin:
                self._send(peer, Goodbye(fork.reason, fork.message))
                self._effects.append(Close(peer.number, fork.reason, fork.message, own, peer.peer))

    # ---------------------------------------------------------------------------------------------- receiving

    def _take_frames(self, peer: Link, message: Frames, now_ms: int) -> None:
        for data in message.frames:
            try:
                frame = decode_frame(data)
            except FrameError as problem:
                text = f"a frame from {node_name(peer.peer)} is damaged: {problem}"
                self._effects += [Alarm("BAD_FRAME", text, peer.peer), Close(peer.number, "BAD_FRAME", text)]
                return
            self._take_frame(peer, frame, now_ms)
        self._seek(now_ms)

    def _take_frame(self, peer: Link, frame: Frame, now_ms: int) -> None:
        origin = frame.origin
        if origin in self.stopped or origin == self.me.replica or self.installing:
            return
        head = self.vector.get(origin, EMPTY_HEAD)
        tail = self.held.tail(origin, head)
        if frame.last <= tail.seq:
            peer.told.pop(origin, None)  # that it is here was not heard: say it again
            peer.untold = True
            if frame.last == head.seq and frame.digest != head.digest:
                self.forked(fork_of(origin, frame.last))
            return
        if frame.first <= tail.seq or (frame.first == tail.seq + 1 and not follows(frame, tail)):
            self.forked(fork_of(origin, frame.first))
            return
        if self.held.add(frame, head):
            self._gaps.narrowed(origin, now_ms)

    def _seek(self, now_ms: int) -> None:
        """Ask for what somebody has and nobody is bringing."""
        if self.installing or not self._may_lack:
            return
        besides = {self.me.replica, *self.stopped}
        for peer, want in self._gaps.seek(self.links.values(), besides, self._reached, now_ms):
            self._send(peer, want)
        self._may_lack = bool(self._gaps)

    def _reached(self, origin: int) -> int:
        return self.held.tail(origin, self.vector.get(origin, EMPTY_HEAD)).seq

    # ------------------------------------------------------------------------------------------------ sending

    def _push(self, peer: Link, own: Sequence[Frame], now_ms: int) -> None:
        """Send what was just committed, if the peer was sent all before it; else the log will be read."""
        me = self.me.replica
        size = sum(len(frame.data) for frame in own)
        if peer.sent.get(me) == own[0].first - 1 and peer.reading != me and peer.takes(me, size):
            self._ship(peer, me, [(frame.last, frame.data) for frame in own], now_ms)
        else:
            self._pump(peer)

    def _ship(self, peer: Link, origin: int, frames: Iterable[tuple[int, bytes]], now_ms: int) -> None:
        batch: list[bytes] = []
        size = 0
        for last, data in frames:
            if batch and size + len(data) > MESSAGE_BYTES:
                self._send(peer, Frames(tuple(batch)))
                batch, size = [], 0
            batch.append(data)
            size += len(data)
            if not peer.flight_bytes:
                peer.progress_ms = now_ms
            peer.shipped(origin, last, len(data))
        if batch:
            self._send(peer, Frames(tuple(batch)))

    def _wanted(self, peer: Link, want: Want) -> None:
        if want.origin not in self.stopped and want.origin != self.me.replica:
            # Our own are pushed, and pushed again while they are not acknowledged.
            until = min(want.until, self.vector.get(want.origin, EMPTY_HEAD).seq)
            if until > max(want.seq, peer.seq_of(want.origin)):
                peer.wants(want.origin, want.seq, until)
        self._pump(peer)

    def _pump(self, peer: Link) -> None:
        """Have the log read for what the peer is to get next, if there is room on the way. What it asked for
        comes first: ours may rest upon it, and would be acknowledged no sooner."""
        if not peer.ready or peer.reading:
            return
        me = self.me.replica
        ours = 0 if me in self.stopped else self.vector.get(me, EMPTY_HEAD).seq
        if peer.sent.get(me, 0) >= ours and not peer.wanted:
            return  # nearly always, and this is asked in every turn
        for origin, until in (*peer.wanted.items(), (me, ours)):
            sent = peer.sent.get(origin, 0)
            if sent < until and peer.takes(origin, READ_BYTES):
                peer.reading = origin
                self._effects.append(ReadLog(peer.number, origin, sent, until, READ_BYTES))
                return

    def _acknowledge(self, peer: Link, now_ms: int) -> None:
        """Something came to disk; if it is too early to say so, `tick` does."""
        peer.untold = True
        if peer.hello is not None and now_ms - peer.acked_ms >= ACK_MS:
            self._send_ack(peer, now_ms, always=False)

    def _send_ack(self, peer: Link, now_ms: int, *, always: bool) -> None:
        """Tell the peer what came to disk since the last time. Our own chain it knows from our frames."""
        if self.installing:
            return
        me = self.me.replica
        news = {o: head for o, head in self.vector.items() if o != me and peer.told.get(o) != head}
        peer.untold = False
        if news or always:
            peer.told.update(news)
            peer.acked_ms = now_ms
            self._send(peer, Ack(news))

    def _send(self, peer: Link, message: Message) -> None:
        self._effects.append(Send(peer.number, message))
