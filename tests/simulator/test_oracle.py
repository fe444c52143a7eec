"""Each checker accepts what is right and rejects what is wrong, on histories written by hand."""

from __future__ import annotations

import pytest

from tallystick_sim.oracle.events import (
    Alarmed,
    Answered,
    Asked,
    Buffered,
    Ended,
    Failed,
    FellIll,
    Listed,
    Opened,
    Shown,
    Standing,
    Unheard,
)
from tests.simulator.histories import TEA, Log, claim, decision, judged, receipt, row, wish

CONFIRM, CANCEL, EXPIRE, YIELD, KEPT = 1, 3, 5, 8, 9
END = Ended(0.0, quiet=True)


# ------------------------------------------------------------------------------------------------ the books


def sold(log, *, taken=2, units=2):
    """Goods come in, and an order takes some."""
    return [
        log.write(receipt(log, 5)),
        log.write((claim(log, "o", units), row(re=5, ta=taken, so=taken))),
    ]


def test_a_sale_is_accounted_for():
    assert judged(*sold(Log(1))) == set()


@pytest.mark.parametrize("taken", [1, 3], ids=["too few", "too many"])
def test_tokens_that_no_order_accounts_for(taken):
    assert judged(*sold(Log(1), taken=taken)) == {"conservation"}


def test_more_than_there_is():
    assert judged(*sold(Log(1), taken=6, units=6)) == {"rights", "no oversell"}


def test_rights_are_those_that_the_writer_has_heard_of():
    """Tokens that were sent here, and that did not come yet, are not here."""
    giver, taker = Log(1), Log(2)
    gave = [giver.write(receipt(giver, 5)), giver.write((row(re=5, mo=((2, 3),)),))]
    early = taker.write((claim(taker, "o", 3), row(ta=3, so=3)))
    assert judged(*gave, early) == {"rights"}
    taker = Log(2)
    came = taker.take(*(frame for event in gave for frame in event.frames))
    assert judged(*gave, came, taker.write((claim(taker, "o", 3), row(ta=3, so=3)))) == set()


def cancelled(log, times):
    history = [log.write(receipt(log, 5)), log.write((claim(log, "o", 2, held=True), row(re=5, ta=2)))]
    for number in range(1, times + 1):
        decided = decision(log, "o", 2, number, CANCEL)
        history.append(log.write((decided, row(re=5, ta=2, fr=2 * number))))
    return history


def test_a_token_is_freed_once():
    assert judged(*cancelled(Log(1), 1)) == set()
    assert "freed once" in judged(*cancelled(Log(1), 2))


def test_a_claim_that_yields_frees_its_tokens_and_one_that_keeps_itself_does_not():
    for keep, freed in (("000000000009:1", 2), ("000000000001:2", 0)):
        log = Log(1)
        history = [log.write(receipt(log, 5)), log.write((claim(log, "o", 2, held=True), row(re=5, ta=2)))]
        decided = decision(log, "o", 2, 1, YIELD, p=keep)
        assert judged(*history, log.write((decided, row(re=5, ta=2, fr=freed)))) == set()


def test_a_decision_that_has_no_place():
    log = Log(1)
    assert judged(*sold(log), log.write((decision(log, "o", 2, 1, CONFIRM),))) == {"status"}
    log = Log(1)
    assert judged(*sold(log), log.write((decision(log, "o", 2, 2, KEPT),))) == {"status"}
    log = Log(1)
    assert judged(*sold(log), log.write((decision(log, "o", 7, 1, CANCEL),))) == {"status"}


def test_only_its_writer_writes():
    other = Log(2)
    for entry in (wish(other, "o", "w"), claim(other, "o", 0), decision(other, "o", 1, 1, EXPIRE)):
        assert "writers" not in judged(Log(2).write((entry,)))
        assert "writers" in judged(Log(1).write((entry,)))


def test_rows_only_grow():
    log = Log(1)
    assert judged(log.write(receipt(log, 5)), log.write((row(re=4),))) == {"never shrinks", "conservation"}


def test_one_dot_is_one_frame():
    log, again = Log(1), Log(1)
    assert judged(log.write(receipt(log, 5)), again.write(receipt(again, 6))) >= {"one hash a dot"}


# ------------------------------------------------------------------------------------------------- chains


def test_frames_come_one_after_another():
    log, other = Log(1), Log(2)
    first, second = (log.write((wish(log, "o", name),)) for name in "ab")
    assert judged(first, second, other.take(*first.frames, *second.frames)) == set()
    assert judged(first, second, Log(2).take(*second.frames)) == {"prefix"}


def test_causes_come_first():
    log, other = Log(1), Log(2)
    cause = log.write((wish(log, "o", "a"),))
    heard = other.take(*cause.frames)
    effect = other.write((wish(other, "o", "b"),), deps=((1, *log.head),))
    assert judged(cause, heard, effect, Log(3).take(*cause.frames, *effect.frames)) == set()
    assert judged(cause, heard, effect, Log(3).take(*effect.frames)) == {"causality"}


def test_a_disk_keeps_what_it_has():
    log = Log(1)
    written = log.write((wish(log, "o", "a"),))
    assert judged(written, Opened(0.0, 1, written.vector)) == set()
    assert judged(written, Opened(0.0, 1, {})) == {"never shrinks"}


def test_only_a_new_node_may_have_rows_in_place_of_frames():
    log, other = Log(1), Log(2)
    written = log.write((wish(log, "o", "a"),))
    adopts = other.take(vector=written.vector, installing=True)
    assert judged(written, adopts) == set()
    assert judged(written, adopts._replace(installing=False)) == {"prefix"}
    assert judged(written, adopts._replace(vector={1: (1, b"nobody's")})) == {"prefix"}


def test_buffers_have_a_limit():
    assert judged(Buffered(0.0, 1, (("bytes", 5, 5),))) == set()
    assert judged(Buffered(0.0, 1, (("bytes", 6, 5),))) == {"bounded"}
    assert judged(Buffered(0.0, 1, (("bytes", -1, 5),))) == {"bounded"}


# ------------------------------------------------------------------------------------------------- answers

ASKED = Asked(0.0, 1, 1, ("wish", "o", "w"), until_ms=100.0)
DONE = Answered(5.0, 1, 1, seq=1)
NO = Answered(5.0, 1, 1, "ORDER_NOT_FOUND")


def test_acknowledged_is_on_disk_and_stays():
    log = Log(1)
    written = log.write((wish(log, "o", "w"),))
    assert judged(ASKED, written, DONE, END) == set()
    assert judged(ASKED, DONE, END) == {"acknowledged"}
    assert judged(ASKED, DONE._replace(replayed=True), END) == set()


def test_copies_are_as_many_as_was_said():
    log, other = Log(1), Log(2)
    written = log.write((wish(log, "o", "w"),))
    told = DONE._replace(copies=1)
    assert judged(ASKED, written, told, END) == {"acknowledged"}
    assert judged(ASKED, written, other.take(*written.frames), told, END) == set()


def test_nothing_is_invented():
    log = Log(1)
    written = log.write((wish(log, "o", "w"),))
    assert judged(ASKED, NO, END) == set()
    assert judged(ASKED, NO, written, END) == {"invented"}
    assert judged(written, END) == {"invented"}
    assert judged(ASKED, Unheard(1.0, 1), written, END) == set()
    assert judged(ASKED, NO._replace(definite=False), written, END) == set()


def test_of_two_attempts_one_may_be_refused():
    log = Log(1)
    written = log.write((wish(log, "o", "w"),))
    again, refusal = ASKED._replace(number=2, node=2), NO._replace(number=2)
    assert judged(ASKED, again, Unheard(1.0, 1), refusal, written, END) == set()


def test_a_reader_sees_what_is_on_the_disk():
    log = Log(1)
    written = log.write((wish(log, "o", "w"),))
    shown = Shown(0.0, 1, "o", frozenset({("wish", "o", "w")}))
    asked = (ASKED, written, DONE)
    assert judged(*asked, shown, END) == set()
    assert judged(*asked, shown._replace(facts=frozenset()), END) == {"read your writes"}
    assert judged(*asked, shown._replace(node=2, facts=frozenset()), END) == set()


def refused(reason, *, healthy=True, lines=((TEA, 5),), at_ms=5.0):
    log = Log(1)
    received = log.write(receipt(log, 5))
    asked = Asked(0.0, 1, 1, ("order", "o"), lines)
    booked = Asked(0.0, 2, 1, ("booking", "r-1"))
    answer = Answered(at_ms, 1, 1, reason, healthy=healthy)
    return judged(booked, received, asked, answer, Unheard(9.0, 2), END)


def test_a_healthy_node_answers_with_what_it_holds():
    assert refused("INSUFFICIENT_STOCK", lines=((TEA, 3), (TEA, 3))) == set()
    assert refused("INSUFFICIENT_STOCK") == {"available"}
    assert refused("INSUFFICIENT_STOCK", at_ms=0.0) == set(), "it came in the same turn"


def test_a_healthy_node_says_why_and_nothing_else():
    assert refused("ORDER_ID_REUSED") == set()
    assert refused("STORAGE_FULL") == {"available"}
    assert refused("STORAGE_FULL", healthy=False) == set()


def test_everybody_is_answered_once_and_in_time():
    assert judged(ASKED, NO, END) == set()
    assert judged(ASKED, END) == set(), "it still has time"
    assert judged(ASKED, END._replace(at_ms=1_000.0)) == {"ends"}
    assert judged(ASKED, NO, NO, END) == {"ends"}
    assert judged(ASKED, NO._replace(at_ms=1_000.0), END) == {"ends"}
    assert judged(ASKED, NO._replace(at_ms=1_000.0, healthy=False), END) == set()


def test_bugs_and_false_alarms():
    assert judged(Failed(0.0, 1, "KeyError")) == {"sound"}
    assert judged(Alarmed(0.0, 1, "DIVERGENCE", 2)) == {"sound"}
    assert "sound" in judged(ASKED, NO._replace(reason="INTERNAL"), END)
    assert judged(FellIll(0.0, 1, 1), Alarmed(0.0, 2, "FORK", 1)) == set()


# ------------------------------------------------------------------------------------------------ agreement


def test_equal_frames_equal_state():
    here, there = (Standing(0.0, node, {1: (1, b"x")}, "same", "root") for node in (1, 2))
    assert judged(here, there) == set()
    assert judged(here, there._replace(content="other")) == {"equal state"}
    assert judged(here, there._replace(root="other")) == {"equal state"}
    assert judged(here, there._replace(content="other", vector={1: (2, b"y")})) == set()
    assert judged(here._replace(root=""), there, there._replace(node=3, root="other")) == {"equal state"}


def listed(**fields):
    log = Log(1)
    claims = {("o", 1, 2): (3, (("1", 2),))}
    facts = frozenset({("order", "o"), ("booking", "r-1")})
    event = Listed(0.0, 1, claims, facts, {("tea", "", 1): {"re": 5, "ta": 2, "so": 2}})
    return judged(*sold(log), event._replace(**fields))


def test_what_is_there_in_the_end_is_what_was_written():
    assert listed() == set()
    assert listed(claims={("o", 1, 2): (2, (("1", 2),))}) == {"status"}
    assert listed(claims={("o", 1, 2): (3, (("1", 1),))}) == {"status"}
    assert listed(facts=frozenset({("order", "o")})) == {"acknowledged"}
    assert listed(facts=frozenset({("order", "o"), ("booking", "r-1"), ("order", "p")})) == {"invented"}
    assert listed(rows={("tea", "", 1): {"re": 5}}) == {"equal state"}
    assert listed(unlisted=("o",)) == {"equal state"}


def test_all_must_settle():
    assert judged(Ended(0.0, quiet=False, why="busy")) == {"settles"}
