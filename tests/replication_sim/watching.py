"""What must hold of a cluster at every instant, looked at after each turn of each node, before it answers."""

from __future__ import annotations

from tallystick.core.clock import EMPTY_HEAD
from tallystick.core.frame import decode_frame
from tallystick.core.replica.keys import frame_key, stock_key
from tallystick.core.replica.outcome import Outcome
from tallystick.core.replication import holdback
from tallystick.core.replication.link import WINDOW_BYTES
from tallystick.core.stock.rights import EMPTY_ROW, Row
from tallystick.node.driver import Turn
from tallystick.node.identity import decode_token
from tallystick.node.source import load_stock
from tallystick.store.port import Table
from tallystick_sim.calls import Answer, Call
from tallystick_sim.node import Node
from tallystick_sim.observing import Observer

SKUS = ("tea", "milk", "salt")


class Watching(Observer):
    """All watchers of one cluster. `frame_bytes_max`: the largest frame that anybody may have written."""

    def __init__(self, frame_bytes_max: int = 300 << 10) -> None:
        self.nodes: list[Node] = []
        """The cluster's own list: it grows."""
        self.rows: dict[tuple[str, int], Row] = {}
        """The true row of each replica and item: what its own disk says."""
        self.answers = 0
        self.strict = True
        """Whether disks are what they were: an old copy of one can sell again what it held."""
        self._frame_bytes_max = frame_bytes_max
        self._seen: dict[int, dict[int, int]] = {}

    def turned(self, node: Node, turn: Turn) -> None:
        self.answers += len(turn.answers)
        self._look_at_bounds(node)
        self._look_at_causes(node)
        if self.strict:
            self._look_at_stock(node)
            for job, answer in turn.answers:
                if isinstance(job, Call) and isinstance(answer, Answer):
                    self._look_at_copies(node, answer)

    def _look_at_bounds(self, node: Node) -> None:
        replicator = node.driver.peering.replicator
        for link in replicator.links.values():
            assert 0 <= link.flight_bytes <= WINDOW_BYTES + self._frame_bytes_max
            assert all(link.sent.get(o, h.seq) >= h.seq for o, h in link.has.items()), "sent is behind"
        held = replicator.held
        assert 0 <= held.bytes <= holdback.BYTES_MAX + len(self.nodes) * self._frame_bytes_max
        assert held.bytes > 0 or not any(held.counts().values())

    def _look_at_causes(self, node: Node) -> None:
        """Whatever frame is on disk, what it was made upon is there too."""
        vector, seen = node.driver.vector, self._seen.setdefault(node.name, {})
        news = [(o, seen.get(o, 0), head) for o, head in vector.items() if head.seq != seen.get(o, 0)]
        if not news:
            return
        with node.driver.store.read() as reader:
            for origin, after, head in news:
                seen[origin] = head.seq
                start, stop = frame_key(origin, after + 1, b""), frame_key(origin, head.seq + 1, b"")
                for _, data in reader.scan(Table.FRAMES, start, stop):
                    for other, seq, digest in decode_frame(bytes(data)).deps:  # type: ignore[call-overload]
                        here = vector.get(other, EMPTY_HEAD)
                        assert here.seq > seq or here == (seq, digest), "an effect before its cause"

    def _look_at_stock(self, node: Node) -> None:
        """No replica has less than nothing, and nothing was sold that did not come in."""
        for sku in SKUS:
            found = load_stock(node.driver.store.get_lazy(Table.STOCK, stock_key(sku, "")))
            self.rows[sku, node.replica] = found.row(node.replica)
            assert min((self.rights(sku, other.replica) for other in self.nodes), default=0) >= 0, sku
            assert self.available(sku) >= 0, sku

    def available(self, sku: str) -> int:
        """What all together may sell, in truth."""
        return sum(
            row.received + row.minted - row.unminted - row.burned - row.taken + row.freed
            for (name, _), row in self.rows.items()
            if name == sku
        )

    def rights(self, sku: str, replica: int) -> int:
        """What one may sell, in truth; what is under way to it included."""
        row = self.rows.get((sku, replica), EMPTY_ROW)
        own = row.received + row.minted - row.unminted - row.burned - row.taken + row.freed
        came = sum(dict(r.moved).get(replica, 0) for (name, _), r in self.rows.items() if name == sku)
        return own + came - sum(units for _, units in row.moved)

    def _look_at_copies(self, node: Node, answer: Answer) -> None:
        """What an answer says of copies is so: on that many other disks, at this moment."""
        if not any(isinstance(result, Outcome) for result in answer.results):
            return
        seq = decode_token(answer.receipt.token)[node.replica].seq
        others = [other for other in self.nodes if other is not node and hasattr(other, "driver")]
        copies = sum(other.driver.vector.get(node.replica, EMPTY_HEAD).seq >= seq for other in others)
        assert copies >= answer.receipt.replicated_to, "copies that are nowhere"
