"""One node's sums: kept by what changes alone, they are those of the whole store, whenever one looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from random import Random
from typing import Any

import pytest

from tallystick.core.digest import BUCKETS
from tallystick.core.frame import decode_frame
from tallystick.core.members import node_name
from tallystick.core.replica.commands import Admit, Command, Found, ReceiveStock
from tallystick.core.replica.outcome import Outcome
from tallystick.core.replication.effects import Survey
from tallystick.node.identity import identity_rows, load_identity
from tallystick.node.inputs import PeerInput, Surveyed, VerifyAsked
from tallystick.node.jobs import Job, Receipt
from tallystick.node.opening import ENCODERS
from tallystick.node.proving import ROUND_BUCKETS
from tallystick.node.surveying import Difference, Verdict, count_all, look_into
from tallystick.store.lmdb_backend import LmdbBackend
from tallystick.store.memory import MemoryBackend
from tallystick.store.port import Backend, Table
from tallystick.store.record import pack, pack_rows
from tallystick.store.store import Store
from tests.kit.sums import filled, held_in, touched_by
from tests.node.checking import tables_of
from tests.node.driving import IDENTITY, Clock, make_driver, open_memory
from tests.node.logs import take_errors
from tests.node.workload import Day, sale

PEER = 0x0000BEEF0000
ADMIT = Admit(PEER, "us", "there", "nonce")
Reopen = Callable[[Backend], Backend]


class _Ask(Job):
    def __init__(self, *asked: Command) -> None:
        self.asked = asked

    def commands(self) -> tuple[Command, ...]:
        return self.asked

    def answer(self, results: Any, receipt: Receipt) -> Any:
        return results

    def deliver(self, answer: Any) -> None:
        """Nobody waits."""


class Lone:
    """A driver without links, turned by hand. Surveys are carried out when the test says so."""

    def __init__(self, backend: Backend, clock: Clock, *, found: bool = True) -> None:
        self.backend = backend
        if load_identity(Store(backend, ENCODERS)) is None:
            backend.commit({Table.META: pack_rows(Table.META, identity_rows(IDENTITY))})
        self.driver = make_driver(open_memory(backend), clock, events_max=7)
        self.proof = self.driver.peering.proof
        self.surveys: list[Survey] = []
        self._inputs: list[PeerInput] = []
        if found and not self.driver.head.seq:
            self.do(Found(IDENTITY.region, secret=b"s"))
            self.do(ADMIT)
        self.turn()

    def do(self, *asked: Command) -> Any:
        return self.turn(_Ask(*asked))

    def turn(self, *jobs: Job) -> Any:
        inputs, self._inputs = self._inputs, []
        turn = self.driver.turn(jobs, inputs)
        self.surveys += [effect for effect in turn.effects if isinstance(effect, Survey)]
        return [answer for job, answer in turn.answers if job in jobs]

    def survey(self) -> None:
        """Carry out what waits, on the snapshots of when it was asked for."""
        for work, then, reader, close in self.surveys:
            self._inputs.append(Surveyed(then, work(reader)))
            close()
        self.surveys.clear()
        self.turn()

    def verify(self) -> Verdict:
        verdicts: list[Verdict] = []
        self._inputs.append(VerifyAsked(verdicts.append))
        for _ in range(3):
            self.turn()
            self.survey()
        (verdict,) = verdicts
        return verdict

    def check(self) -> None:
        """The sums are those of the store, worked out anew by the engine and by the kit."""
        tables = tables_of(self.driver.store)
        frames = [decode_frame(data) for data in tables[Table.FRAMES].values()]
        assert filled(self.proof.digests.touched) == touched_by(frames)
        kept = self.proof.kept()
        assert kept is not None
        assert filled(kept.exact()) == held_in(tables)
        with self.driver.store.read() as reader:
            assert count_all(reader).sums == kept.exact()
        # Hashing what is stale is no change.
        self.proof.pairs(0, BUCKETS)
        assert filled(self.proof.digests.held) == held_in(tables)


@pytest.fixture(params=["memory", "lmdb"])
def opening(request, tmp_path):
    """How to begin, and how to open again what a crash left."""
    if request.param == "memory":
        yield MemoryBackend(), lambda backend: backend.crash()
        return

    def again(backend: LmdbBackend) -> LmdbBackend:
        backend.close()
        return LmdbBackend(tmp_path / "data", map_bytes=64 << 20, reserve_bytes=0)

    yield LmdbBackend(tmp_path / "data", map_bytes=64 << 20, reserve_bytes=0), again


@pytest.mark.parametrize("seed", range(3))
def test_the_sums_that_are_kept_are_those_of_the_store(opening, seed):
    """Through a day of everything that can be asked, with a count that comes late, crashes and stops."""
    backend, reopen = opening
    random, clock = Random(seed), Clock()
    lone = Lone(backend, clock)
    for command in Day(seed, clock).commands(250):
        lone.do(command)
        match random.randrange(40):
            case 0 | 1:
                lone.survey()
            case 2 if lone.proof.counted:
                lone.check()
            case 3 | 4 as end:
                touched = lone.proof.digests.pack_touched()
                for survey in lone.surveys:
                    survey.close()
                if end == 3:
                    lone.driver.stop()
                lone = Lone(reopen(lone.backend), clock)
                assert lone.proof.digests.pack_touched() == touched
                assert not lone.proof.counted
    lone.survey()
    lone.check()
    assert lone.verify().differences == ()
    with closing(lone.driver.store):
        assert lone.verify().records == sum(
            len(tables_of(lone.driver.store)[table])
            for table in (Table.ORDERS, Table.STOCK, Table.RECEIPTS, Table.DOCUMENTS, Table.MEMBERS)
        )


def test_what_was_sold_in_the_turn_that_began_the_count_is_counted_once():
    """Before there is a peer nothing is hashed; stock that changed before the count is no news after it."""
    lone = Lone(MemoryBackend(), Clock(), found=False)
    sales = [sale(f"o-{number}", 1) for number in range(20)]
    goods = ReceiveStock("r-1", node_name(IDENTITY.replica), (("tea", "", 40),))
    asked: list[Command] = [Found(IDENTITY.region, secret=b"s"), goods, ADMIT, *sales]
    lone.turn(*(_Ask(each) for each in asked))
    lone.survey()
    lone.check()


def sold(backend: MemoryBackend, *orders: str) -> Lone:
    """A counted node with some orders."""
    clock = Clock()
    lone = Lone(backend, clock)
    for command in Day(1, clock).commands(0):
        lone.do(command)
    for order_id in orders:
        (results,) = lone.do(sale(order_id, 1))
        assert isinstance(results[0], Outcome)
    lone.survey()
    return lone


def test_nothing_is_told_before_all_is_counted():
    lone = Lone(MemoryBackend(), Clock())
    assert lone.proof.kept() is None
    assert lone.proof.tell(PEER) == (0, b"")
    assert lone.proof.root() == b""
    lone.survey()
    assert len(lone.proof.tell(PEER)[1]) == 32 * ROUND_BUCKETS


def test_each_peer_is_told_all_buckets_in_turn():
    """Each round was of the next buckets and to the next peer: of two peers each heard of half of them."""
    lone = sold(MemoryBackend(), "a")
    rounds = [(peer, lone.proof.tell(peer)[0]) for _ in range(BUCKETS // ROUND_BUCKETS) for peer in (1, 2)]
    assert {*rounds} == {(peer, first) for peer in (1, 2) for first in range(0, BUCKETS, ROUND_BUCKETS)}


def test_a_rotten_record_is_named_and_everything_else_still_counted(logs):
    """The count once died of it in silence, and no bucket was ever compared again."""
    backend = MemoryBackend()
    sold(backend, "first", "second")
    again = backend.crash()
    again.rot(Table.ORDERS, b"second", bit=80)
    lone = Lone(again, Clock())
    lone.survey()
    assert take_errors(logs) == ["a record is corrupt"]
    assert lone.proof.counted
    (found,) = lone.verify().differences
    assert (found.peer, found.table, found.record) == (0, "orders", "second")
    assert "checksum" in found.problem


def test_a_record_that_nobody_wrote_is_found_by_its_bucket():
    """Its checksum is right: only the sums tell, and they name the bucket with what is in it."""
    lone = sold(MemoryBackend(), "first", "second")
    data = lone.driver.store.get(Table.ORDERS, b"first")
    assert data is not None
    lone.backend.commit({Table.ORDERS: {b"second": pack(Table.ORDERS, b"second", data)}})
    (found,) = lone.verify().differences
    assert (found.peer, found.table) == (0, "")
    assert found.record.startswith("bucket ")
    assert "orders second" in found.problem


def test_what_is_gone_is_found_too():
    lone = sold(MemoryBackend(), "first")
    lone.backend.commit({Table.ORDERS: {b"first": None}})
    (found,) = lone.verify().differences
    assert found == Difference(0, "", found.record, found.problem)
    assert found.problem.endswith("in it are: nothing")


def test_a_look_names_what_is_in_the_buckets_and_nothing_else(monkeypatch):
    lone = sold(MemoryBackend(), *(f"o-{number}" for number in range(40)))
    with lone.driver.store.read() as reader:
        whole = look_into(dict.fromkeys(range(BUCKETS), b""), reader)
        assert not whole.truncated
        half = look_into(dict.fromkeys(range(BUCKETS // 2), b""), reader)
        rest = look_into(dict.fromkeys(range(BUCKETS // 2, BUCKETS), b""), reader)
        assert {**half.records, **rest.records} == dict(whole.records)
        assert 0 < len(half.records) < len(whole.records)
        monkeypatch.setattr("tallystick.node.surveying.RECORDS_MAX", 10)
        cut = look_into(dict.fromkeys(range(BUCKETS), b""), reader)
        assert (len(cut.records), cut.truncated) == (10, True)
        assert [*cut.records] == [*whole.records][:10]


def test_a_node_alone_reads_all_and_has_nothing_to_hold_it_against():
    lone = Lone(MemoryBackend(), Clock(), found=False)
    lone.do(Found(IDENTITY.region, secret=b"s"))
    verdict = lone.verify()
    assert verdict == Verdict(1, (), (), (), 0)
    assert not lone.proof.active


@pytest.mark.parametrize(("first", "size"), [(-1, 64), (BUCKETS, 64), (BUCKETS - 1, 96), (0, 31), (7, 0)])
def test_sums_of_buckets_that_are_none_do_no_harm(first, size):
    """Whatever a peer says of buckets is compared as far as it goes."""
    proof = sold(MemoryBackend(), "first").proof
    theirs = proof.digests.pairs(max(first, 0), 1)[:size].ljust(size, b"?")
    assert proof.hear(PEER, first, theirs, 1) == []
