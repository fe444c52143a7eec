"""Whom a new node asks for rows: that it comes to the end of them over any line and in any weather, and stays
with one process for as long as that brings it further."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.node.turns import AGAIN_MS, AGAIN_MS_MAX, PATIENCE_MS, PATIENCE_MS_MAX, Process, Turns
from tests.kit.effort import effort

A, B, C = (0xA, 1), (0xB, 1), (0xC, 1)


def asks_next(turns: Turns, links: dict[int, Process], now_ms: int) -> tuple[int, int]:
    """When it asks next, to a hundred milliseconds, and over which link."""
    asked = ((at_ms, turns.ask(links, at_ms)) for at_ms in count(now_ms, 100))
    return next((at_ms, link) for at_ms, link in asked if link is not None)


def reading_of(process: Process, link: int) -> Turns:
    """Something came of it at 0, and the next was asked for."""
    turns = Turns()
    assert turns.ask({link: process}, 0) == link
    turns.came(0, whole=False)
    assert turns.ask({link: process}, 0) == link
    return turns


def test_who_does_not_answer_is_asked_again_and_left_at_last():
    turns = Turns()
    assert turns.ask({}, 0) is None
    assert turns.ask({4: A, 7: B}, 0) == 4
    assert asks_next(turns, {4: A, 7: B}, 100) == (AGAIN_MS, 4)
    assert asks_next(turns, {4: A, 7: B}, AGAIN_MS + 100) == (3 * AGAIN_MS, 4)
    assert asks_next(turns, {4: A, 7: B}, 3 * AGAIN_MS + 100) == (PATIENCE_MS, 7)
    assert turns.process == B


def test_who_is_left_is_asked_last_and_each_is_waited_for_longer():
    turns, links, now_ms = Turns(), {4: A, 5: B, 6: C}, 0
    left: list[tuple[Process | None, int]] = []
    while len(left) < 8:
        before = turns.process
        turns.ask(links, now_ms)
        if turns.process != before:
            left.append((turns.process, now_ms))
        now_ms += 100
    processes, times = zip(*left, strict=True)
    assert processes == (A, B, C, A, B, C, A, B)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == [min(PATIENCE_MS << at, PATIENCE_MS_MAX) for at in range(len(waits))]


def test_there_is_nobody_else_to_turn_to():
    turns = Turns()
    now_ms = -100
    for every_ms in (0, AGAIN_MS, 2 * AGAIN_MS, 4 * AGAIN_MS, 8 * AGAIN_MS):
        asked_ms, link = asks_next(turns, {4: A, 5: A}, now_ms + 100)
        assert link == 4
        assert asked_ms == max(0, now_ms) + every_ms
        now_ms = asked_ms


@pytest.mark.parametrize(
    ("links", "asked"),
    [
        ({5: A}, 5),
        ({5: B, 6: A}, 6),
        ({5: B}, None),
        ({5: B, 6: (0xA, 2)}, 5),  # it has restarted, or is a clone: it won't come back
        ({5: (0xA, 2)}, 5),
        ({}, None),
    ],
)
def test_who_is_gone_is_waited_for(links, asked):
    turns = reading_of(A, 4)
    assert turns.ask(links, 1) == asked
    assert turns.process == (links[asked] if asked else A)


def test_who_is_gone_for_long_is_not_waited_for():
    turns = reading_of(A, 4)
    assert asks_next(turns, {5: B}, 0) == (PATIENCE_MS, 5)


def test_of_whom_nothing_came_nobody_waits():
    turns = Turns()
    assert turns.ask({4: A}, 0) == 4
    assert turns.ask({5: B}, 1) == 5


def test_what_waits_to_be_written_is_no_silence():
    """The disk was full for a minute, and all that had been read was given up."""
    turns, links = Turns(), {4: A, 5: B}
    assert turns.ask(links, 0) == 4
    turns.came(50, whole=True)
    assert turns.ask(links, 60_000) == 4
    assert asks_next(turns, links, 60_000) == (60_000 + AGAIN_MS, 4)


def test_who_was_gone_when_all_was_written_at_last_is_waited_for_from_then_on():
    turns = Turns()
    assert turns.ask({4: A, 5: B}, 0) == 4
    turns.came(50, whole=True)
    assert turns.ask({5: B}, 60_000) is None
    assert turns.ask({5: B, 6: A}, 60_100) == 6


def test_whose_turn_it_was_last_comes_last_over_whatever_link():
    """Two peers that came back over new links again and again were asked in turn, a healthy one never."""
    turns, order = Turns(), list[Process | None]()
    for second in range(60):
        links = {1: C, 10 + second: (A, B)[second % 2]}
        for at_ms in (0, 500):
            turns.ask(links if at_ms else {1: C}, second * 1_000 + at_ms)
            order.append(turns.process)
    left_at = next(at for at, process in enumerate(order) if process != C)
    assert C in order[left_at : left_at + 6]


def test_who_brings_nothing_is_left_however_often_it_comes_back():
    """Each new link was a new beginning, and a healthy peer was never asked."""
    turns, now_ms = reading_of(A, 4), 0
    for link in range(6, 100, 2):
        turns.ask({link: A, 5: B}, now_ms)
        turns.ask({5: B}, now_ms + 700)
        now_ms += 1_000
        if turns.process == B:
            break
    assert now_ms <= PATIENCE_MS + 1_000


@pytest.mark.parametrize(
    ("answers", "every_ms"),
    [
        ([(1, 100, True)], AGAIN_MS),
        ([(1, 1_500, True)], 3_000),
        ([(1, 2 * AGAIN_MS_MAX, True)], AGAIN_MS_MAX),
        ([(3, 100, True)], 2 * (3 * AGAIN_MS + 100)),  # since it was first asked for
        ([(3, 100, True), (1, 100, True)], AGAIN_MS),
        ([(1, 4_000, True), (1, 100, False)], 4_000),
        ([(6, 100, False), (1, 100, False), (1, 100, False)], 7_500),
    ],
)
def test_what_was_quick_is_asked_again_soon(answers, every_ms):
    """Patience only grew: whose first pieces were lost in bad weather waited a minute for each that was lost
    later (the simulator, long seed 117). `answers`: how often each was asked for, how long after it came, and
    whether it was whole."""
    turns, now_ms = Turns(), 0
    for tries, took_ms, whole in answers:
        for _ in range(tries):
            now_ms = asks_next(turns, {4: A}, now_ms)[0] + 1
        now_ms += took_ms - 1
        turns.came(now_ms, whole=whole)
    assert asks_next(turns, {4: A}, now_ms) == (now_ms, 4)
    assert asks_next(turns, {4: A}, now_ms + 1)[0] - now_ms == pytest.approx(every_ms, abs=200)


# --------------------------------------------------------------------------------------------- whole readings


@dataclass
class Peer:
    """Answers one request after the other, those that were given up too; now and then it stands still."""

    kib_s: int
    stalls_every_ms: int = 0
    stall_ms: int = 0
    free_ms: int = 0
    answers: list[tuple[int, int]] = field(default_factory=list)
    """When the answer to which piece comes."""

    def asked(self, piece: int, kib: int, now_ms: int) -> None:
        self.free_ms = max(self.free_ms, now_ms) + kib * 1_000 // self.kib_s
        if self.stalls_every_ms and self.free_ms // self.stalls_every_ms > now_ms // self.stalls_every_ms:
            self.free_ms += self.stall_ms
        self.answers.append((self.free_ms, piece))


TABLES_KIB = ((1,), (512, 512, 50), (512, 512, 512, 512, 30), (512, 20), (10,))
"""What is read: the last piece of a table is small."""


def reads(peers: list[Peer], tables: tuple[tuple[int, ...], ...] = TABLES_KIB) -> int | None:
    """In how many milliseconds all is read; None: not in an hour."""
    pieces = [(kib, at < len(table) - 1) for table in tables for at, kib in enumerate(table)]
    turns, links, at, process = Turns(), {n: (n, 1) for n in range(1, len(peers) + 1)}, 0, None
    for now_ms in range(0, 3_600_000, 100):
        for link, peer in enumerate(peers, 1):
            for due in [each for each in peer.answers if each[0] <= now_ms]:
                peer.answers.remove(due)
                if turns.answers(link) and due[1] == at:
                    turns.came(now_ms, whole=pieces[at][1])
                    at += 1
        if at == len(pieces):
            return now_ms
        link = turns.ask(links, now_ms) or 0
        if turns.process != process:
            process, at = turns.process, 0
        if link:
            peers[link - 1].asked(at, pieces[at][0], now_ms)
    return None


@pytest.mark.parametrize("peers", [1, 2, 3])
@pytest.mark.parametrize("kib_s", [8, 16, 25, 50, 100, 200, 400])
def test_over_any_line_it_comes_to_an_end(kib_s, peers):
    """After a table's last rows, few and quick, it waited too little for the next table's, left that peer for
    another, and began again, for ever."""
    least_ms = sum(map(sum, TABLES_KIB)) * 1_000 // kib_s
    took_ms = reads([Peer(kib_s) for _ in range(peers)])
    assert took_ms is not None
    assert took_ms < 8 * least_ms + 20_000


@effort(40)
@given(
    kib_s=st.sampled_from([100, 1_000, 5_000]),
    every_ms=st.integers(10_000, 60_000),
    stall_ms=st.integers(500, 7_000),
    peers=st.integers(1, 3),
)
def test_peers_that_stand_still_for_seconds_are_not_left(kib_s, every_ms, stall_ms, peers):
    """What was read of the one was read again of the next, whose turn it was to stand still by then."""
    took_ms = reads(
        [Peer(kib_s, every_ms, stall_ms) for _ in range(peers)], (*TABLES_KIB, (512,) * 100 + (9,))
    )
    assert took_ms is not None
