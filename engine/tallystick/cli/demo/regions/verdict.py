"""The promises of several regions, held against what each of them says after the sale. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from tallystick.cli.demo.audit import (
    ItemRow,
    Promise,
    changed_orders,
    item_rows,
    never_oversold,
    refused_with_a_reason,
)
from tallystick.cli.demo.regions.books import RegionBooks
from tallystick.cli.demo.regions.story import RegionalStory
from tallystick.cli.demo.regions.timeline import Phase
from tallystick.cli.demo.story import units_of
from tallystick.client.values.order import Order
from tallystick.client.values.stock import Stock


@dataclass(frozen=True)
class Findings:
    """What the regions said when the sale was over, and what was observed meanwhile."""

    orders: Mapping[str, Mapping[str, Order]]
    """By region: every order that it has, by id."""
    stock: Mapping[str, tuple[Stock, ...]]
    digests: Mapping[str, str]
    seconds_to_converge: float | None
    """From the healing until every region had all that anyone had at that time; None: never."""
    false_refusals: int

    @property
    def digests_equal(self) -> bool:
        return len(set(self.digests.values())) == 1 and all(self.digests.values())


@dataclass(frozen=True)
class Verdict:
    """The audit of a sale over several regions."""

    items: tuple[ItemRow, ...]
    promises: tuple[Promise, ...]

    @property
    def ok(self) -> bool:
        return all(promise.held for promise in self.promises)


def judge(story: RegionalStory, books: Mapping[str, RegionBooks], findings: Findings) -> Verdict:
    """Hold every promise against what is there."""
    asked = units_of(story.orders)
    told = units_of(order for each in books.values() for order in each.acknowledged.values())
    items = item_rows(story.articles, asked, told, _summed(findings.stock))
    refused = {order_id: why for each in books.values() for order_id, why in each.refused.items()}
    stored = {order_id for there in findings.orders.values() for order_id in refused if order_id in there}
    promises = (
        never_oversold(items),
        _sold_through_the_cut(story, books),
        _no_false_refusal(findings.false_refusals),
        _nothing_lost(books, findings),
        _everything_settled(story, books),
        refused_with_a_reason(refused.values(), stored),
        _all_agree(findings),
    )
    return Verdict(items, promises)


def _summed(stock: Mapping[str, Iterable[Stock]]) -> list[Stock]:
    """One row an item: its sums as the region says that counts most sold, left what all together have."""
    rows: dict[str, list[Stock]] = {}
    for items in stock.values():
        for item in items:
            rows.setdefault(item.sku, []).append(item)
    return [
        msgspec.structs.replace(
            max(said, key=lambda item: item.sold + item.reserved),
            available_here=sum(item.available_here for item in said),
        )
        for said in rows.values()
    ]


def _sold_through_the_cut(story: RegionalStory, books: Mapping[str, RegionBooks]) -> Promise:
    alone, others = (sum(books[region].accepted_in(Phase.CUT) for region in side) for side in story.sides)
    *most, last = (region for region in story.regions if region != story.cut_off)
    rest = f"{', '.join(most)} and {last}" if most else last
    detail = f"{alone:,} orders accepted in {story.cut_off} while it was alone, {others:,} in {rest}"
    words = "Both sides of a cut go on selling"
    return Promise("sold_through_the_cut", words, detail, alone > 0 and others > 0)


def _no_false_refusal(count: int) -> Promise:
    detail = f"{count:,} refused though a region in reach had the goods"
    return Promise("no_false_refusal", "Nobody refused what is within reach", detail, not count)


def _nothing_lost(books: Mapping[str, RegionBooks], findings: Findings) -> Promise:
    accepted = {order_id for each in books.values() for order_id in each.acknowledged}
    gaps = {
        region: (len(accepted - set(there)), sum(len(changed_orders(each, there)) for each in books.values()))
        for region, there in findings.orders.items()
    }
    detail = f"{len(accepted):,} accepted, each found in all {len(findings.orders)} regions as it was ordered"
    wrong = [f"{region}: {lost:,} lost, {changed:,} changed" for region, (lost, changed) in gaps.items()]
    held = not any(lost or changed for lost, changed in gaps.values())
    words = "Accepted anywhere means kept everywhere"
    return Promise("nothing_lost", words, detail if held else "; ".join(wrong), held)


def _everything_settled(story: RegionalStory, books: Mapping[str, RegionBooks]) -> Promise:
    answered = sum(each.answered for each in books.values())
    unsettled = sum(each.count_unknown(None) for each in books.values())
    problems = [problem for each in books.values() for problem in each.problems]
    open_yet = max(len(story.orders) - answered, unsettled)
    detail = f"{answered:,} orders came, every one was answered"
    if open_yet or problems:
        detail = f"{open_yet:,} of {len(story.orders):,} still open; {'; '.join(problems[:3])}"
    return Promise(
        "everything_settled", "No order in doubt, none placed twice", detail, not (open_yet or problems)
    )


def _all_agree(findings: Findings) -> Promise:
    took = findings.seconds_to_converge
    told = {region: sorted(map(_sums, stock)) for region, stock in findings.stock.items()}
    differ = len({tuple(sums) for sums in told.values()}) != 1
    if took is None:
        detail = "after the cut healed, some region never got what the others had"
    elif differ or not findings.digests_equal:
        detail = "the regions hold different state"
    else:
        detail = f"{took:.1f} s after the cut healed all had everything; their digests are equal"
    held = took is not None and not differ and findings.digests_equal
    return Promise("all_agree", "When it heals, all regions agree", detail, held)


def _sums(item: Stock) -> tuple[str, str, int, int, int, int]:
    """What every region must say alike of an item."""
    return (item.sku, item.location, item.received, item.sold, item.reserved, item.on_hand)
