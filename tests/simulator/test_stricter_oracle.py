"""What mutants taught the oracle, on histories written by hand: each checker accepts and rejects."""

from __future__ import annotations

from tallystick_sim.oracle.events import Alarmed, FellIll, Listed
from tests.simulator.histories import Log, claim, decision, judged, receipt, row, wish

CONFIRM, EXTEND, CANCEL, YIELD = 1, 2, 3, 8
OVER = Listed(0.0, 9, {}, frozenset(), {})
"""A look at the end that says nothing of what is there."""


def complains(*events, **fields):
    """The promises of how orders end that are broken; what is not there is not looked at."""
    return judged(*events, OVER._replace(**fields)) - {"acknowledged"}


def rivals(*, yields):
    first, second = Log(1), Log(2)
    events = [log.write(receipt(log, 5)) for log in (first, second)]
    events += [log.write((claim(log, "o", 1), row(re=5, ta=1, so=1))) for log in (first, second)]
    if yields:
        gives_way = decision(second, "o", 2, 1, YIELD, p="000000000001:2")
        events.append(second.write((gives_way, row(re=5, ta=1, so=1, fr=1, un=1))))
    return events


def test_an_order_is_placed_once():
    assert complains(*rivals(yields=True)) == set()
    assert complains(*rivals(yields=False)) == {"placed once"}


def test_other_contents_are_another_order():
    first, second = Log(1), Log(2)
    events = [log.write(receipt(log, 5)) for log in (first, second)]
    events.append(first.write((claim(first, "o", 1), row(re=5, ta=1, so=1))))
    events.append(second.write((claim(second, "o", 2), row(re=5, ta=2, so=2))))
    assert complains(*events) == set()


def sells_beside_a_rival(*, knows):
    first, second = Log(1), Log(2)
    events = [log.write(receipt(log, 5)) for log in (first, second)]
    events.append(first.write((claim(first, "o", 1, held=True), row(re=5, ta=1))))
    if knows:
        events.append(second.take(*(frame for at in (0, 2) for frame in events[at].frames)))
    events.append(second.write((claim(second, "o", 1, held=True), row(re=5, ta=1))))
    confirms = decision(second, "o", 2, 1, CONFIRM)
    return judged(*events, second.write((confirms, row(re=5, ta=1, so=1))))


def test_who_knows_of_a_rival_sells_nothing():
    assert sells_beside_a_rival(knows=False) == set()
    assert sells_beside_a_rival(knows=True) == {"rivals first"}


def wished(*, decided):
    log = Log(1)
    events = [log.write(receipt(log, 5)), log.write((claim(log, "o", 1), row(re=5, ta=1, so=1)))]
    events.append(log.write((wish(log, "o", "w"),)))
    if decided:
        cancels = decision(log, "o", 2, 1, CANCEL, c="000000000001:3")
        events.append(log.write((cancels, row(re=5, ta=1, so=1, fr=1, un=1))))
    return events


def test_a_wish_is_decided():
    assert complains(*wished(decided=True)) == set()
    assert complains(*wished(decided=False)) == {"decided"}


def test_a_wish_of_an_order_that_never_came_waits():
    log = Log(1)
    assert complains(log.write((wish(log, "o", "w"),))) == set()


def held(*, extended=0):
    log = Log(1)
    events = [log.write(receipt(log, 5)), log.write((claim(log, "o", 1, held=True), row(re=5, ta=1)))]
    if extended:
        events.append(log.write((decision(log, "o", 2, 1, EXTEND, h=extended),)))
    return events


def test_a_hold_ends_on_its_owners_clock():
    assert complains(*held(), clocks={1: 9}) == set()
    assert complains(*held(), clocks={1: 10_000}) == {"holds end"}
    assert complains(*held(), clocks={2: 10_000}) == set()
    assert complains(*held(extended=9_000), clocks={1: 10_000}) == set()


def test_a_frame_names_all_that_it_was_made_upon():
    writer, other = Log(1), Log(2)
    events = [other.write(receipt(other, 5))]
    events.append(writer.take(*events[0].frames))
    assert judged(*events, writer.write(receipt(writer, 5), deps=())) == {"causality"}
    writer = Log(1)
    events[1] = writer.take(*events[0].frames)
    named = writer.write(receipt(writer, 5), deps=((2, *other.head),))
    later = writer.write(receipt(writer, 5, before=5), deps=())
    assert judged(*events, named, later) == set(), "once is enough"


def test_a_node_that_has_lost_its_chain_writes_no_more():
    log, other = Log(1), Log(2)
    begins = (log.write(receipt(log, 5)), FellIll(0.0, 1, 1))
    lost = Alarmed(0.0, 1, "OWN_CHAIN_LOST", 1)
    assert judged(*begins, lost, log.take(*other.write(receipt(other, 5)).frames)) == set()
    assert judged(*begins, lost, log.write(receipt(log, 5, before=5))) == {"fenced"}


def test_goods_are_counted_once():
    log = Log(1)
    (booking, name, delta), received = receipt(log, 5)
    first = log.write(((booking, name, delta), received))
    again = {"b": ({**delta["b"][0], "q": log.next},)}
    assert judged(first, log.write(((booking, name, again), row(re=10)))) == {"counted once"}


def test_tokens_do_not_go_to_their_giver():
    log = Log(1)
    begins = log.write(receipt(log, 5))
    assert judged(begins, log.write((row(re=5, mo=((2, 1),)),))) == set()
    assert judged(log.write((row(re=5, mo=((2, 1), (1, 1))),))) >= {"rights"}


def limited(*, minted):
    log = Log(1)
    told = {"b": ({"k": 3, "r": 1, "q": 1, "i": (("tea", "", 4),)},)}
    return judged(log.write(((3, "b-1", told), row(mi=minted))))


def test_overbooking_is_what_was_told():
    assert limited(minted=4) == set()
    assert limited(minted=5) == {"conservation"}
