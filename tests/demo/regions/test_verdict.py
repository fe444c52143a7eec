"""A promise of several regions that broke is seen, whichever it is, and told in plain words."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tallystick.cli.demo.regions.books import Answer
from tallystick.cli.demo.regions.report import as_json
from tallystick.cli.demo.regions.screen import introduce, picture, report, tell_addresses
from tallystick.cli.demo.regions.snapshot import take_snapshot
from tallystick.cli.demo.regions.timeline import Phase, Timeline
from tallystick.cli.demo.screen import console
from tallystick.client.values.order import OrderState
from tests.demo.regions.world import SECONDS, World, good_world, look_of

EVERYTHING = [
    "never_oversold",
    "sold_through_the_cut",
    "no_false_refusal",
    "nothing_lost",
    "everything_settled",
    "refused_with_a_reason",
    "all_agree",
]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_all_is_well(count):
    world = good_world(count)
    assert world.broken() == []
    assert world.verdict().ok
    assert [promise.name for promise in world.verdict().promises] == EVERYTHING
    assert sum(len(each.refused) for each in world.books.values()) > 0


def lose_one_in_one_region(world: World) -> None:
    world.orders["us"].popitem()


def change_one_in_one_region(world: World) -> None:
    name, order = next(iter(world.orders["us"].items()))
    world.orders["us"][name] = msgspec.structs.replace(order, state=OrderState.CANCELLED)


def oversell(world: World) -> None:
    for region in world.story.regions:
        world.change_stock(region, "PIANO", sold=1)


def lose_a_token(world: World) -> None:
    world.change_stock("eu", "VASE", available_here=-1)


def count_otherwise_in_one_region(world: World) -> None:
    """Less than the others: the sums take the larger one, but the regions do not agree."""
    world.change_stock("us", "MUG", sold=-1)


def stop_selling_in_the_cut(world: World) -> None:
    alone, _others = world.story.sides
    for region in alone:
        answers = world.books[region].answers
        answers[:] = [answer for answer in answers if answer.phase is not Phase.CUT]


def stop_the_others_in_the_cut(world: World) -> None:
    _alone, others = world.story.sides
    for region in others:
        answers = world.books[region].answers
        answers[:] = [Answer(each.at, each.took_s, each.phase, False) for each in answers]


def refuse_wrongly(world: World) -> None:
    world.false_refusals = 1


def never_answer(world: World) -> None:
    world.books["eu"].refused.popitem()


def leave_in_doubt(world: World) -> None:
    world.books["us"].unknown[world.story.orders[0].id] = None


def answer_twice(world: World) -> None:
    books = world.books["eu"]
    books.acknowledge(next(iter(books.acknowledged.values())))


def refuse_silently(world: World) -> None:
    refused = world.books["eu"].refused
    refused[next(iter(refused))] = ()


def store_a_refused_one(world: World) -> None:
    refused = next(order for order in world.story.orders if order.id in world.books["eu"].refused)
    world.orders["us"][refused.id] = refused


def differ_in_state(world: World) -> None:
    world.digests["us"] = "face"


def say_no_digest(world: World) -> None:
    world.digests = dict.fromkeys(world.digests, "")


def never_converge(world: World) -> None:
    world.seconds_to_converge = None


@pytest.mark.parametrize(
    ("break_it", "promise"),
    [
        (oversell, "never_oversold"),
        (lose_a_token, "never_oversold"),
        (stop_selling_in_the_cut, "sold_through_the_cut"),
        (stop_the_others_in_the_cut, "sold_through_the_cut"),
        (refuse_wrongly, "no_false_refusal"),
        (lose_one_in_one_region, "nothing_lost"),
        (change_one_in_one_region, "nothing_lost"),
        (never_answer, "everything_settled"),
        (leave_in_doubt, "everything_settled"),
        (answer_twice, "everything_settled"),
        (refuse_silently, "refused_with_a_reason"),
        (store_a_refused_one, "refused_with_a_reason"),
        (count_otherwise_in_one_region, "all_agree"),
        (differ_in_state, "all_agree"),
        (say_no_digest, "all_agree"),
        (never_converge, "all_agree"),
    ],
)
def test_a_broken_promise_is_seen(break_it, promise):
    world = good_world()
    break_it(world)
    assert world.broken() == [promise]


def told(world: World) -> Any:
    answer = as_json(world.story, world.books, world.findings, world.verdict())
    assert json.loads(json.dumps(answer)) == answer
    return answer


def test_programs_are_told_everything():
    world = good_world()
    answer = told(world)
    by_region = {"accepted_during_cut", "p99_ms_before_cut", "p99_ms_during_cut"}
    assert answer["regions"] == ["eu", "us", "ap"]
    assert all(list(answer[name]) == answer["regions"] for name in by_region)
    assert answer["orders_accepted"] + answer["orders_refused"] == len(world.story.orders)
    cut_at, heal_at, _end_at = Timeline.lasting(SECONDS)
    assert answer["accepted_during_cut"] == {
        region: sum(
            cut_at <= arrival.at < heal_at and arrival.order.id in world.books[region].acknowledged
            for arrival in arrivals
        )
        for region, arrivals in world.story.arrivals.items()
    }
    assert set(answer["p99_ms_during_cut"].values()) == {4.0}
    assert (answer["false_refusals"], answer["oversold_units"]) == (0, 0)
    assert (answer["seconds_to_converge"], answer["digests_equal"]) == (1.25, True)
    assert (answer["audit"], answer["ok"]) == ("passed", True)
    assert answer["promises"] == dict.fromkeys(EVERYTHING, True)


def test_programs_are_told_what_broke():
    world = good_world()
    oversell(world)
    never_converge(world)
    differ_in_state(world)
    answer = told(world)
    assert (answer["oversold_units"], answer["seconds_to_converge"]) == (1, None)
    assert (answer["digests_equal"], answer["audit"], answer["ok"]) == (False, "failed", False)


def shown(world: World) -> str:
    out = console()
    with out.capture() as capture:
        introduce(out, world.story, seed=1, seconds=SECONDS, delay_ms=40)
        report(out, world.story, world.books, world.findings, world.verdict())
        tell_addresses(out, {"eu": "127.0.0.1:1"})
    return capture.get()


def test_the_report_says_it_in_plain_words():
    text = shown(good_world())
    assert "Every promise held." in text
    assert "1.2 s after the cut healed all had everything" in text
    assert "(cut off)" in text
    assert "tally node status --target 127.0.0.1:1" in text
    assert "✗" not in text


def test_the_report_names_the_promise_that_broke():
    world = good_world()
    lose_one_in_one_region(world)
    text = shown(world)
    assert "A promise broke: Accepted anywhere means kept everywhere" in text
    assert "us: 1 lost, 0 changed" in text
    assert text.count("✗") == 1


def drawn(world: World, *, look: bool, is_cut: bool) -> str:
    out = console()
    snapshot = take_snapshot(
        world.story,
        world.books,
        look_of(world.story, cut=is_cut) if look else None,
        words="Now",
        at=SECONDS,
        seconds=SECONDS,
        is_cut=is_cut,
    )
    with out.capture() as capture:
        out.print(picture(snapshot))
    return capture.get()


def line_of(text: str, region: str) -> str:
    return next(line.strip() for line in text.splitlines() if line.strip().startswith(region))


def test_the_live_table_shows_who_is_alone_and_how_far_behind():
    world = good_world()
    text = drawn(world, look=True, is_cut=True)
    alone = world.story.cut_off
    others = [region for region in world.story.regions if region != alone]
    assert all(f"{other} ✗" in line_of(text, alone) for other in others)
    # 40 events of each of the others have not come through.
    pace = world.books[alone].units_per_s(SECONDS)
    assert line_of(text, alone).split()[-4:] == ["1,234", f"{1_234 / pace:.0f}", "s", "80"]
    assert line_of(text, others[0]).split()[-1] == "40"
    assert f"{others[1]} ✓" in line_of(text, others[0])


def test_the_live_table_stands_before_anybody_was_asked():
    world = good_world()
    text = drawn(world, look=False, is_cut=False)
    assert "✗" not in text
    assert all(line_of(text, region) for region in world.story.regions)
    assert "sold out" in text
