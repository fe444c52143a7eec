"""A promise that broke is seen, whichever it is, and told in plain words."""

from __future__ import annotations

import msgspec
import pytest

from tallystick.cli.demo.crash.play import as_json
from tallystick.cli.demo.crash.sale import Sale
from tallystick.cli.demo.crash.screen import introduce, picture, report
from tallystick.cli.demo.screen import console
from tallystick.client.values.order import OrderState
from tests.demo.crash.world import World, good_world

EVERYTHING = ["never_oversold", "nothing_lost", "everything_settled", "refused_with_a_reason"]


def test_all_is_well():
    world = good_world()
    verdict = world.verdict()
    assert verdict.ok
    assert [promise.name for promise in verdict.promises] == EVERYTHING
    assert verdict.found == len(world.books.acknowledged_before_kill) > 0
    assert all(item.received == item.sold + item.reserved + item.left for item in verdict.items)


def lose_one(world: World) -> None:
    del world.found[min(world.books.acknowledged_before_kill)]


def lose_a_later_one(world: World) -> None:
    del world.found[max(set(world.books.acknowledged) - world.books.acknowledged_before_kill)]


def change_one(world: World) -> None:
    name, order = next(iter(world.found.items()))
    world.found[name] = msgspec.structs.replace(order, state=OrderState.CANCELLED)


def change_a_line(world: World) -> None:
    name, order = next(iter(world.found.items()))
    line = msgspec.structs.replace(order.lines[0], quantity=99)
    world.found[name] = msgspec.structs.replace(order, lines=(line, *order.lines[1:]))


def oversell(world: World) -> None:
    world.change_stock("PIANO", sold=1)


def forget_a_sale(world: World) -> None:
    """The server's figures agree with each other; the shoppers know better."""
    world.change_stock("PIANO", sold=-1, available_here=1)


def lose_an_article(world: World) -> None:
    del world.stock["MUG"]


def never_answer(world: World) -> None:
    world.books.refused.popitem()


def leave_in_doubt(world: World) -> None:
    world.books.unknown[world.story.orders[0].id] = None


def answer_twice(world: World) -> None:
    world.books.acknowledge(next(iter(world.books.acknowledged.values())))


def refuse_silently(world: World) -> None:
    world.books.refused[next(iter(world.books.refused))] = ()


def store_a_refused_one(world: World) -> None:
    refused = next(order for order in world.story.orders if order.id in world.books.refused)
    world.found[refused.id] = refused


@pytest.mark.parametrize(
    ("break_it", "promise"),
    [
        (lose_one, "nothing_lost"),
        (lose_a_later_one, "nothing_lost"),
        (change_one, "nothing_lost"),
        (change_a_line, "nothing_lost"),
        (oversell, "never_oversold"),
        (forget_a_sale, "never_oversold"),
        (lose_an_article, "never_oversold"),
        (never_answer, "everything_settled"),
        (leave_in_doubt, "everything_settled"),
        (answer_twice, "everything_settled"),
        (refuse_silently, "refused_with_a_reason"),
        (store_a_refused_one, "refused_with_a_reason"),
    ],
)
def test_a_broken_promise_is_seen(break_it, promise):
    world = good_world()
    break_it(world)
    assert world.broken() == [promise]


def sale_of(world: World) -> Sale:
    return Sale(world.story, books=world.books, selling_s=1.5, down_s=0.7)


def shown(world: World) -> str:
    out = console()
    with out.capture() as capture:
        introduce(out, world.story, seed=1)
        out.print(picture(sale_of(world)))
        report(out, sale_of(world), world.verdict())
    return capture.get()


def test_the_report_says_it_in_plain_words():
    text = shown(good_world())
    assert "Every promise held." in text
    assert "The last piano" in text
    assert "accepted before the crash" in text
    assert "✗" not in text


def test_the_report_names_the_promise_that_broke():
    world = good_world()
    lose_one(world)
    text = shown(world)
    assert "A promise broke: Accepted means kept, even through kill -9" in text
    assert "1 lost" in text
    assert text.count("✗") == 1


def test_programs_are_told_the_same():
    world = good_world()
    told = as_json(1, sale_of(world), world.verdict())
    assert told["promises"] == dict.fromkeys(EVERYTHING, True)
    assert told["ok"] is True
    assert told["acknowledged_before_kill"] == told["found_after_kill"]
    assert (told["lost"], told["oversold_units"], told["outcome_unknown"]) == (0, 0, 3)
    oversell(world)
    told = as_json(1, sale_of(world), world.verdict())
    assert (told["oversold_units"], told["ok"]) == (1, False)
