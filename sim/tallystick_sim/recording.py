"""Turns what happens in a run into the oracle's events: what callers ask and hear, and what disks get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgpack

from tallystick.core.clock import EMPTY_HEAD
from tallystick.core.codec import encode
from tallystick.core.errors import Refused
from tallystick.core.order.document import show
from tallystick.core.order.facts import OrderRecord, decode_order
from tallystick.core.order.status import ClaimStatus, fold
from tallystick.core.replica import commands
from tallystick.core.replica.commands import Command
from tallystick.core.replica.keys import customer_prefix, status_prefix, time_key
from tallystick.core.replica.view import decode_document
from tallystick.core.replication import holdback
from tallystick.core.replication.link import RELAY_BYTES, WINDOW_BYTES, Link
from tallystick.node.driver import Turn
from tallystick.node.identity import VECTOR_KEY, decode_vector
from tallystick.node.jobs import Internal, Receipt, Result
from tallystick.node.source import load_stock
from tallystick.node.waiting import PARKED_MAX
from tallystick.store.checkpoint import POSITION_KEY
from tallystick.store.port import CorruptRecord, Rows, Table
from tallystick.store.reader import Reader
from tallystick_sim.calls import Call
from tallystick_sim.cluster import Cluster, same
from tallystick_sim.node import Node
from tallystick_sim.observing import Observer
from tallystick_sim.oracle.events import (
    Alarmed,
    Answered,
    Asked,
    Buffered,
    Committed,
    Fact,
    Failed,
    FellIll,
    Listed,
    Opened,
    RawFrame,
    Shown,
    Standing,
    Unheard,
)
from tallystick_sim.oracle.jury import Jury
from tallystick_sim.oracle.rawlog import read_frame, read_vector
from tallystick_sim.plan import BEGIN_MS, Read, Request
from tallystick_sim.probes import Probes

FRAME_BYTES_MAX = 300 << 10
"""The largest frame that anybody may have written here."""
_LISTS = (Table.BY_TIME, Table.BY_CUSTOMER, Table.BY_STATUS)
"""Where a node may have more than it should: a row that its order does not bear out is skipped when read."""
COMPARED = tuple(t for t in Table if t not in (Table.META, Table.FRAMES, Table.DOCUMENTS, *_LISTS))
FOUND_OUT = {"OWN_CHAIN_LOST", "FORK", "DIVERGENCE", "QUARANTINED", "CORRUPT_RECORD"}
"""What says that a disk lies."""


class Recorder(Observer):
    """Of one run."""

    def __init__(self, jury: Jury, probes: Probes, frames: dict[bytes, RawFrame]) -> None:
        self._jury = jury
        self._probes = probes
        self._frames = frames
        self._ill: set[int] = set()
        self._cluster: Cluster

    def begin(self, cluster: Cluster) -> None:
        """Whose run it is."""
        self._cluster = cluster

    # -------------------------------------------------------------------------------------------------- disks

    def committed(self, node: Node, writes: Mapping[Table, Rows]) -> None:
        self._probes.hit("checkpoint finished", POSITION_KEY in writes.get(Table.META, {}))
        """Something came to a disk."""
        vector = writes.get(Table.META, {}).get(VECTOR_KEY)
        if vector is None:
            return
        rows = writes.get(Table.FRAMES, {})
        frames = tuple(self._frame(data) for data in rows.values() if data is not None)
        if frames:
            node.world.note("disk", node.name, node.replica, *(each.digest.hex()[:8] for each in frames))
        now, installing = node.world.now_ms, not node.settled
        self._jury.see(
            Committed(now, node.name, node.replica, read_vector(vector), frames, installing=installing)
        )

    def _frame(self, data: bytes) -> RawFrame:
        found = self._frames.get(data[-32:])
        if found is None:
            found = self._frames[data[-32:]] = read_frame(data)
            claims = self._jury.court.books.claims
            self._probes.frame(found, {name: len(known) for name, known in _about(found, claims)})
        return found

    def started(self, node: Node) -> None:
        stored = node.backend.rows(Table.META).get(VECTOR_KEY)
        vector = read_vector(stored) if stored else {}
        self._note_illness()
        self._probes.hit("installation begun again", not node.settled and bool(vector))
        self._jury.see(Opened(node.world.now_ms, node.name, vector))

    def _note_illness(self) -> None:
        if not hasattr(self, "_cluster"):
            return
        for name in self._cluster.sick.keys() - self._ill:
            self._ill.add(name)
            node = self._cluster.nodes[name]
            self._jury.see(FellIll(node.world.now_ms, name, node.replica))

    def ended(self, node: Node) -> None:
        for call in node.calls:
            if isinstance(call, Tracked):
                self._jury.see(Unheard(node.world.now_ms, call.number))

    def failed(self, node: Node, error: Exception) -> bool:
        self._jury.see(Failed(node.world.now_ms, node.name, f"{type(error).__name__}: {error}"))
        return True

    # ------------------------------------------------------------------------------------------------ callers

    def ask(self, request: Request) -> None:
        """A caller asks a node, if it is there."""
        nodes = self._cluster.nodes
        node = nodes[request.node] if request.node < len(nodes) else None
        self._note_illness()
        if isinstance(request.command, Read):
            if node is not None and node.up and node.settled and not node.frozen:
                self._show(node, request.command.order_id)
            return
        now = self._cluster.world.now_ms
        fact, until = fact_of(request.command), now + request.wishes.deadline_ms
        self._cluster.world.note("asks", request.number, request.node, *fact)
        self._jury.see(Asked(now, request.number, request.node, fact, lines_of(request.command), until))
        if node is None or not node.up or not node.settled:
            answer = Answered(now, request.number, request.node, "UNREACHABLE", healthy=False)
            self._jury.see(answer)
            return
        deadline = node.clock.monotonic() + request.wishes.deadline_ms / 1000
        node.submit(Tracked(self, node, request, deadline, now))

    def hear(self, call: Tracked, result: Result, receipt: Receipt | None) -> None:
        """A caller has its answer."""
        node, now = call.at_node, call.at_node.world.now_ms
        healthy = node.troubled_ms < call.asked_ms and not node.frozen
        if isinstance(result, Refused):
            definite = not isinstance(result, Internal) or result.definite
            node.world.note("refused", call.number, node.name, result.reason)
            event = Answered(now, call.number, node.name, result.reason, definite, healthy=healthy)
            self._refused(result.reason)
        else:
            assert receipt is not None
            node.world.note("done", call.number, node.name, result.replayed, receipt.replicated_to)
            seq = decode_vector(receipt.token).get(node.replica, EMPTY_HEAD).seq
            event = Answered(
                now,
                call.number,
                node.name,
                replayed=result.replayed,
                seq=seq,
                copies=receipt.replicated_to,
                healthy=healthy,
            )
            self._probes.hit("replayed", result.replayed)
            self._probes.hit("decision elsewhere", result.recorded)
            self._probes.hit("waited for disks", bool(call.replicas and receipt.replicated_to))
        self._jury.see(event)

    def _refused(self, reason: str) -> None:
        probe = {
            "INSUFFICIENT_STOCK": "shortage refused",
            "STORAGE_FULL": "storage refused",
            "NOT_STARTED": "deadline passed",
            "ORDER_ID_REUSED": "id reused",
        }.get(reason)
        if probe:
            self._probes.hit(probe)

    def _show(self, node: Node, order_id: str) -> None:
        try:
            data = node.driver.store.get(Table.ORDERS, order_id.encode())
        except CorruptRecord:
            node.world.note("rotten", node.name, order_id)
            return
        facts = frozenset(_facts(order_id, decode_order(data)) if data else ())
        node.world.note("shows", node.name, order_id, len(facts))
        self._jury.see(Shown(node.world.now_ms, node.name, order_id, facts))

    # -------------------------------------------------------------------------------------------------- turns

    def turned(self, node: Node, turn: Turn) -> None:
        self._look_at_buffers(node)
        if turn.effects:
            self._probes.effects(node.replica, turn.effects)
        for alarm in node.alarms[node.alarms_told :]:
            self._jury.see(Alarmed(node.world.now_ms, node.name, alarm.reason, alarm.replica))
        node.alarms_told = len(node.alarms)

    def settled(self, node: Node) -> None:
        self._probes.hit("installed")
        if node.world.now_ms > BEGIN_MS:
            node.network.bitten["join"] += 1

    def _look_at_buffers(self, node: Node) -> None:
        replicator = node.driver.peering.replicator
        waiting, held_back = node.driver.waiting, replicator.held.bytes
        held = [
            ("bytes in flight", link.flight_bytes, _flight_max(link))
            for link in replicator.links.values()
            if link.flight_bytes
        ]
        if held_back:
            most = holdback.BYTES_MAX + len(node.driver.vector) * FRAME_BYTES_MAX
            held.append(("bytes held back", held_back, most))
            self._probes.hit("held back")
        if waiting:
            held.append(("parked calls", len(waiting._parked), PARKED_MAX))
            self._probes.hit("parked for tokens", bool(waiting._parked))
        if held:
            self._jury.see(Buffered(node.world.now_ms, node.name, tuple(held)))

    # ---------------------------------------------------------------------------------------------- standings

    def compare(self, cluster: Cluster, *, roots: bool) -> None:
        """Look at all who have the same frames as somebody else."""
        self._note_illness()
        nodes = [node for node in cluster.healthy() if node.settled]
        for node in nodes:
            vector = node.driver.vector
            if any(other is not node and other.driver.vector == vector for other in nodes):
                self._jury.see(_standing(node, roots=roots))

    def found_out(self, cluster: Cluster) -> bool:
        """Whether somebody has noticed what is wrong with the sick nodes."""
        heads = {}
        for node in cluster.nodes:
            if cluster.sick.get(node.name) == "clone" and hasattr(node, "driver"):
                heads[node.name] = node.head
        if heads and same(heads.values()):
            return True  # both stand where they stood: there is nothing to notice yet
        return any(alarm.reason in FOUND_OUT for node in cluster.nodes for alarm in node.alarms)

    def finish(self, cluster: Cluster, quiet: bool) -> None:
        """The last look."""
        if quiet:
            self.compare(cluster, roots=True)
        nodes = [node for node in cluster.healthy() if node.settled]
        if nodes:
            clocks = {node.replica: node.clock.wall_ms() for node in nodes}
            self._jury.see(_listed(nodes[0])._replace(clocks=clocks))


def _flight_max(link: Link) -> int:
    """What may be under way over a link: our own frames, and those of each other origin."""
    return WINDOW_BYTES + len(link.sent) * RELAY_BYTES + FRAME_BYTES_MAX


class Tracked(Call):
    """A call whose answer is recorded."""

    __slots__ = ("_recorder", "asked_ms", "at_node", "number")

    def __init__(
        self, recorder: Recorder, node: Node, request: Request, deadline: float, asked_ms: float
    ) -> None:
        assert not isinstance(request.command, Read)
        super().__init__((request.command,), request.wishes, deadline)
        self._recorder = recorder
        self.at_node = node
        self.number = request.number
        self.asked_ms = asked_ms

    def deliver(self, answer: Any) -> None:
        if isinstance(answer, Refused):
            self.answered += 1
            self._recorder.hear(self, answer, None)
            return
        super().deliver(answer)
        for result in answer.results:
            self._recorder.hear(self, result, answer.receipt)


def _about(frame: RawFrame, claims: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is known of the orders that a frame is about."""
    for entries in frame.events:
        yield from ((name, claims.get(name, ())) for _, name, _ in entries)


def fact_of(command: Command) -> Fact:
    """What would be known by it."""
    match command:
        case commands.PlaceOrder(order_id):
            return ("order", order_id)
        case commands.ReceiveStock(name) | commands.AdjustStock(name):
            return ("booking", name)
        case commands.SetOverbooking(name) | commands.MoveTokens(name):
            return ("booking", name)
    assert isinstance(command, commands.OrderWrite)
    return ("wish", command.order_id, command.request_id)


def lines_of(command: Command) -> tuple[tuple[tuple[str, str], int], ...]:
    """The units that an order is for."""
    if not isinstance(command, commands.PlaceOrder):
        return ()
    return tuple(((line.sku, line.location), line.quantity) for line in command.body.lines)


def _facts(name: str, record: OrderRecord) -> list[Fact]:
    facts: list[Fact] = [("order", name)] if record.claims else []
    return facts + [("wish", name, intent.request_id) for intent in record.intents]


def _standing(node: Node, *, roots: bool) -> Standing:
    content = blake2b(digest_size=16)
    with node.driver.store.read() as reader:
        for table in COMPARED:
            content.update(table.encode())
            for key, row in reader.scan(table):
                content.update(key)
                content.update(encode(load_stock(row)) if table is Table.STOCK else bytes(row))  # type: ignore[call-overload]
        for key, data in reader.scan(Table.DOCUMENTS):
            content.update(key)
            content.update(_read_document(bytes(data)))  # type: ignore[call-overload]
    root = node.driver.peering.proof.root().hex() if roots else ""
    vector = {replica: (head.seq, head.digest) for replica, head in node.driver.vector.items()}
    return Standing(node.world.now_ms, node.name, vector, content.hexdigest(), root)


@lru_cache(maxsize=10_000)
def _read_document(data: bytes) -> bytes:
    """What a document says: its bytes depend on the order in which edits came. Reading one is dear, and most
    are what they were at the last look."""
    document = decode_document(data)
    return repr((sorted(document.updates), show(document, {}))).encode()


def _listed(node: Node) -> Listed:
    """All of a node, as its engine reads it."""
    claims: dict[tuple[str, int, int], tuple[int, tuple[tuple[str, int], ...]]] = {}
    facts: list[Fact] = []
    rows: dict[tuple[str, str, int], Mapping[str, Any]] = {}
    unlisted: list[str] = []
    with node.driver.store.read() as reader:
        for key, data in reader.scan(Table.ORDERS):
            name, record = key.decode(), decode_order(bytes(data))  # type: ignore[call-overload]
            facts += _facts(name, record)
            status = fold(record)
            if status.counts and not _is_listed(reader, key, status.counts):
                unlisted.append(name)
            for claim in status.claims:
                units = {
                    line.line_id: claim.live_units(line.line_id, line.quantity)
                    for line in claim.body.lines
                    if not line.untracked
                }
                claims[name, claim.dot.replica, claim.dot.seq] = (
                    int(claim.state),
                    tuple(sorted(units.items())),
                )
        facts += [("booking", key.decode()) for key, _ in reader.scan(Table.RECEIPTS)]
        for key, row in reader.scan(Table.STOCK):
            sku, _, place = key.decode().partition("\0")
            for replica, cells in load_stock(row).rows:
                rows[sku, place, replica] = msgpack.unpackb(encode(cells), use_list=False)
    return Listed(node.world.now_ms, node.name, claims, frozenset(facts), rows, tuple(unlisted))


def _is_listed(reader: Reader, key: bytes, counts: ClaimStatus) -> bool:
    """Whether the order is where people look for it."""
    when, customer = time_key(counts.claim.hlc, key), counts.body.customer
    wanted = [(Table.BY_TIME, when), (Table.BY_STATUS, status_prefix(counts.state) + when)]
    wanted += [(Table.BY_CUSTOMER, customer_prefix(customer) + when)] if customer else []
    return all(
        any(found == row for found, _ in reader.scan(table, row, row + b"\0")) for table, row in wanted
    )
