"""One node's side of the protocol, driven by hand: the test passes messages on, or loses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tallystick.core.clock import EMPTY_HEAD, Head
from tallystick.core.frame import Frame, encode_frame, frame_span
from tallystick.core.replication.effects import Alarm, Close, Effect, ReadLog, Send
from tallystick.core.replication.gaps import STALL_MS
from tallystick.core.replication.link import WINDOW_BYTES, Link
from tallystick.core.replication.messages import Ack, Frames, Goodbye, Hello, Me, Message, Want
from tallystick.core.replication.replicator import HEARTBEAT_MS, MESSAGE_BYTES, RESEND_MS, Replicator

Lost = Callable[["Hand", "Hand", Message], bool]


class Hand:
    """A node in the test's hands: a machine, and a disk that is a dict."""

    def __init__(self, replica: int, *, installing: bool = False, cluster: str = "c") -> None:
        me = Me(cluster, replica, replica, "eu")
        self.machine = Replicator(me, {}, installing=installing)
        self.replica = replica
        self.disk: dict[int, list[Frame]] = {}
        self.wires: dict[int, Hand] = {}
        self.alarms: list[Alarm] = []
        self.closed: list[Close] = []
        self.sent: list[Message] = []
        self.most_bytes = 0

    def write(self, now: int, *, size: int = 10, events: int = 1) -> Frame:
        """A frame of its own."""
        vector = self.machine.vector
        deps = tuple((o, *h) for o, h in sorted(vector.items()) if o != self.replica)
        head = vector.get(self.replica, EMPTY_HEAD)
        frame = encode_frame(self.replica, head, 1, [["x" * size]] * events, deps)
        self._keep([frame])
        self.machine.committed([frame], [], now)
        return frame

    def apply(self, now: int) -> None:
        """Bring to disk what is ready."""
        frames = self.machine.ready(100, 1 << 20)
        self._keep(frames)
        if frames:
            self.machine.committed([], frames, now)

    def _keep(self, frames: list[Frame]) -> None:
        for frame in frames:
            self.disk.setdefault(frame.origin, []).append(frame)

    def read(self, wanted: ReadLog, now: int) -> None:
        chain = [frame.data for frame in self.disk.get(wanted.origin, ())]
        found, size = list[bytes](), 0
        for data in chain:
            first, last = frame_span(data)
            if first == (frame_span(found[-1])[1] if found else wanted.seq) + 1 <= wanted.until:
                if found and size + len(data) > wanted.bytes_max:
                    break
                found, size = [*found, data], size + len(data)
            assert last >= first
        self.machine.log_read(wanted.link, wanted.origin, found, now)

    def seq_of(self, origin: int) -> int:
        return self.machine.vector.get(origin, EMPTY_HEAD).seq


def nothing_lost(sender: Hand, receiver: Hand, message: Message) -> bool:
    return False


class Table:
    """Some hands around a table; a link is numbered by its other end."""

    def __init__(self, *hands: Hand) -> None:
        self.hands = hands
        self.now = 0

    def connect(self, one: Hand, other: Hand) -> None:
        for hand, peer in ((one, other), (other, one)):
            hand.wires[peer.replica] = peer
            hand.machine.connected(peer.replica, self.now)

    def carry(self, lost: Lost = nothing_lost) -> None:
        """Pass messages on until nobody has anything to say."""
        moved = True
        while moved:
            moved = False
            for hand in self.hands:
                for effect in hand.machine.take_effects():
                    moved = True
                    self._carry_out(hand, effect, lost)
                hand.apply(self.now)
                hand.most_bytes = max(
                    [hand.most_bytes, *(link.flight_bytes for link in hand.machine.links.values())]
                )

    def _carry_out(self, hand: Hand, effect: Effect, lost: Lost) -> None:
        match effect:
            case Send(link, message):
                hand.sent.append(message)
                other = hand.wires[link]
                if not lost(hand, other, message):
                    other.machine.received(hand.replica, message, self.now)
            case ReadLog():
                hand.read(effect, self.now)
            case Close(link):
                hand.closed.append(effect)
                hand.machine.closed(link)
            case Alarm():
                hand.alarms.append(effect)

    def wait(self, ms: int, lost: Lost = nothing_lost) -> None:
        """Let time pass, in ticks."""
        for _ in range(ms // 50):
            self.now += 50
            for hand in self.hands:
                hand.machine.tick(self.now)
            self.carry(lost)


def linked(*replicas: int) -> tuple[Table, list[Hand]]:
    hands = [Hand(replica) for replica in replicas]
    table = Table(*hands)
    for place, one in enumerate(hands):
        for other in hands[place + 1 :]:
            table.connect(one, other)
    table.carry()
    return table, hands


def frames_lost(origin: int, to: int) -> Lost:
    """Whatever carries the origin's frames to one of the others, from itself, is lost."""
    return lambda sender, receiver, message: (
        isinstance(message, Frames) and (sender.replica, receiver.replica) == (origin, to)
    )


def test_what_is_committed_is_pushed_and_acknowledged():
    table, (a, b) = linked(1, 2)
    a.write(table.now)
    table.wait(100)
    assert b.seq_of(1) == 1
    assert a.machine.replicated(1) == 1
    assert a.machine.replicated(2) == 0
    assert a.machine.known(1) == 1


def test_a_third_relays_around_a_cut():
    table, (a, b, c) = linked(1, 2, 3)
    cut = frames_lost(1, 2)
    a.write(table.now)
    table.carry(cut)
    assert (b.seq_of(1), c.seq_of(1)) == (0, 1)
    table.wait(STALL_MS + 200, cut)
    assert b.seq_of(1) == 1
    assert Want(1, 0, 1) in b.sent
    assert b.seq_of(1) == c.seq_of(1)


def test_a_backlog_that_rests_upon_what_is_relayed():
    """It remembers a window full of frames that waited at the peer for those that were to come after them."""
    a, b, c = Hand(1), Hand(2), Hand(3)
    table = Table(a, b, c)
    table.connect(a, c)
    for _ in range(100):
        c.write(table.now, size=20_000)
        table.carry()
        a.write(table.now, size=60_000)
        table.carry()
        table.wait(50)
    table.connect(a, b)
    table.wait(5_000)
    assert (b.seq_of(1), b.seq_of(3)) == (100, 100)


def test_a_cut_is_seen_while_others_write():
    """It remembers that any news passed for progress, and a lost frame was never sent again."""
    table, (a, b, c) = linked(1, 2, 3)
    lost = frames_lost(1, 2)
    a.write(table.now)
    table.carry(lambda *args: lost(*args) or isinstance(args[2], Want))
    for _ in range(RESEND_MS // 100 + 5):
        c.write(table.now)
        table.wait(100, lambda *args: isinstance(args[2], Want))
    assert b.seq_of(1) == 1


def test_an_acknowledgement_that_was_lost_is_said_again():
    table, (a, _b) = linked(1, 2)
    a.write(table.now)
    table.wait(500, lambda *args: isinstance(args[2], Ack))
    assert a.machine.replicated(1) == 0
    table.wait(HEARTBEAT_MS + 100)
    assert a.machine.replicated(1) == 1
    assert a.machine.links[2].flight_bytes == 0


def test_a_frame_that_comes_again_is_acknowledged_again():
    table, (a, b) = linked(1, 2)
    frame = a.write(table.now)
    table.wait(100)
    b.sent.clear()
    b.machine.received(1, Frames((frame.data,)), table.now)
    table.wait(100)
    assert Ack({1: frame.head}) in b.sent


def test_a_peer_that_lags_costs_no_more_than_its_window():
    table, (a, b) = linked(1, 2)
    for _ in range(40):
        a.write(table.now, size=200 << 10)
    table.carry(lambda *args: isinstance(args[2], Ack))
    assert WINDOW_BYTES // 2 < a.most_bytes <= WINDOW_BYTES
    table.wait(2_000)
    assert b.seq_of(1) == 40
    assert a.most_bytes <= WINDOW_BYTES
    sizes = [sum(map(len, message.frames)) for message in a.sent if isinstance(message, Frames)]
    assert max(sizes) <= MESSAGE_BYTES + (201 << 10)


def test_a_read_that_a_rewind_overtook_leaves_no_gap():
    """It remembers frames that were read from further on than what was taken for lost in between."""
    table, (a, _b) = linked(1, 2)
    for _ in range(30):
        a.write(table.now, size=200 << 10)
    table.carry(lambda *args: isinstance(args[2], Ack))
    link = a.machine.links[2]
    late = ReadLog(2, 1, link.sent[1], 30, 1 << 20)
    link.rewind()
    link.has.clear()
    a.read(late, table.now)
    assert link.sent[1] == 0
    assert link.flight_bytes == 0


def test_a_wish_that_comes_late_or_twice_winds_nothing_back():
    table, (a, _b) = linked(1, 2)
    a.write(table.now)
    table.wait(100)
    a.sent.clear()
    for want in (Want(1, 0, 1), Want(9, 0, 5), Want(2, 0, 1)):
        a.machine.received(2, want, table.now)
    table.carry()
    assert a.sent == []


def test_a_greeting_that_comes_twice_changes_nothing():
    table, (a, _b) = linked(1, 2)
    a.write(table.now)
    table.wait(100)
    a.machine.received(2, Me("c", 2, 2, "eu").greeting({}, installing=False), table.now)
    assert a.machine.links[2].sent[1] == 1


def test_who_is_new_gets_frames_when_it_has_rows():
    a, b = Hand(1), Hand(2, installing=True)
    table = Table(a, b)
    first = a.write(0)
    table.connect(a, b)
    table.wait(500)
    assert not any(isinstance(message, Frames) for message in a.sent)
    b.machine.received(1, Frames((first.data,)), table.now)
    assert b.machine.held.bytes == 0
    b.machine.adopted({1: first.head}, table.now)
    second = a.write(table.now)
    table.wait(500)
    assert b.seq_of(1) == 2
    assert [m.frames for m in a.sent if isinstance(m, Frames)] == [(second.data,)]


def test_a_damaged_frame_ends_the_link():
    table, (a, b) = linked(1, 2)
    data = bytearray(a.write(table.now).data)
    data[-1] ^= 1
    b.machine.received(1, Frames((bytes(data),)), table.now)
    table.carry()
    assert [alarm.reason for alarm in b.alarms] == ["BAD_FRAME"]
    assert [close.reason for close in b.closed] == ["BAD_FRAME"]


def hello(**fields: Any) -> Hello:
    return Me("c", 2, 2, "us").greeting({}, installing=False)._replace(**fields)


def test_who_does_not_belong_is_turned_away():
    cases = [
        (hello(cluster="d"), "WRONG_CLUSTER"),
        (hello(replica=1), "SELF"),
        (hello(protocol=(2, 3)), "PROTOCOL"),
        (hello(protocol=(0, 0)), "PROTOCOL"),
        (hello(), "NO"),
    ]
    for greeting, reason in cases:
        machine = Replicator(Me("c", 1, 1, "eu"), {}, lambda _: Goodbye("NO", "no"))
        machine.connected(7, 0)
        machine.received(7, Ack({}), 0)
        machine.received(7, greeting, 0)
        effects = machine.take_effects()
        assert [
            e.message.reason for e in effects if isinstance(e, Send) and isinstance(e.message, Goodbye)
        ] == [reason]
        assert [e.reason for e in effects if isinstance(e, Close)] == [reason]
        machine.received(8, greeting, 0)  # a link that is gone
        machine.log_read(8, 1, (), 0)
        assert machine.take_effects() == []


def test_a_goodbye_ends_the_link():
    _, (a, _) = linked(1, 2)
    a.machine.received(2, Goodbye("STOPPING", "bye"), 0)
    assert Close(2, "STOPPING", "bye") in a.machine.take_effects()


def test_a_peer_that_connects_again_replaces_its_link():
    machine = Replicator(Me("c", 1, 1, "eu"), {})
    for link in (1, 2):
        machine.connected(link, 0)
        machine.received(link, hello(), 0)
    assert [e.link for e in machine.take_effects() if isinstance(e, Close)] == [1]
    assert [*machine.links] == [2]


def branch(origin: int, *names: str) -> list[Frame]:
    frames, head = list[Frame](), EMPTY_HEAD
    for name in names:
        frames.append(encode_frame(origin, head, 1, [[name]]))
        head = frames[-1].head
    return frames


def test_another_branch_of_a_third_stops_it_wherever_it_shows():
    ours, theirs = branch(9, "a", "b", "c"), branch(9, "a", "x", "y")
    longer = encode_frame(9, ours[0].head, 1, [["b"], ["c"], ["d"], ["e"]])
    for odd in (theirs[2], theirs[1], longer):
        table, (a, _b) = linked(1, 2)
        for frame in ours if odd is not theirs[1] else ours[:2]:
            a.machine.received(2, Frames((frame.data,)), 0)
        table.carry()
        a.machine.received(2, Frames((odd.data,)), 0)
        table.carry()
        assert [(alarm.reason, alarm.replica) for alarm in a.alarms] == [("FORK", 9)]
        before = a.seq_of(9)
        a.machine.received(2, Frames((encode_frame(9, a.machine.vector[9], 1, [["z"]]).data,)), 0)
        table.carry()
        assert a.seq_of(9) == before


def test_a_relay_sees_that_the_asker_has_another_branch():
    ours, theirs = branch(9, "a", "b"), branch(9, "x")
    table, (a, _b) = linked(1, 2)
    for frame in ours:
        a.machine.received(2, Frames((frame.data,)), 0)
    table.carry()
    a.machine.received(2, Ack({9: theirs[0].head}), 0)
    a.machine.received(2, Want(9, 1, 2), 0)
    table.carry()
    assert ("FORK", 9) in [(alarm.reason, alarm.replica) for alarm in a.alarms]


def test_heads_of_our_own_that_we_do_not_have_stop_us():
    for theirs in (Head(2, bytes(32)), Head(1, bytes(32)), Head(3, bytes(32))):
        table, (a, _b) = linked(1, 2)
        a.write(table.now)
        a.write(table.now)
        a.machine.closed(2)
        a.machine.connected(2, table.now)
        a.machine.received(2, hello(vector={1: theirs}), table.now)
        table.carry()
        assert [alarm.reason for alarm in a.alarms] == ["OWN_CHAIN_LOST"], theirs
        assert a.closed[-1].final
        assert a.machine.replicated(1) == 0, "what is on another branch is no copy"


def test_who_forked_is_turned_away_from_then_on():
    table, (a, _b) = linked(1, 2)
    ours, theirs = branch(2, "a"), branch(2, "x")
    a.machine.received(2, Frames((ours[0].data,)), 0)
    table.carry()
    a.machine.received(2, Frames((theirs[0].data,)), 0)
    table.carry()
    assert a.closed[-1].reason == "FORK"
    a.machine.connected(5, 0)
    a.machine.received(5, hello(vector={2: theirs[0].head}), 0)
    assert [e.reason for e in a.machine.take_effects() if isinstance(e, Close)] == ["FORK"]


def test_links_may_come_and_go_while_somebody_asks_what_is_known():
    """A status is answered in another thread than the machine's."""

    class Meddling(Link):
        def seq_of(self, origin: int) -> int:
            machine.connected(max(machine.links) + 1, 0)
            return super().seq_of(origin)

    machine = Hand(1).machine
    machine.links = {1: Meddling(1, has={7: Head(3, bytes(32))}), 2: Meddling(2)}
    assert machine.known(7) == 3
