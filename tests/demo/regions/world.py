"""A sale over several regions that went well, as books and as the regions' answers: tests break one thing.

The regions here are as simple as can be: one shared shelf a side of the cut. Nothing of the engine is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tallystick.cli.demo.regions.books import Moment, RegionBooks
from tallystick.cli.demo.regions.looks import Look, RegionLook
from tallystick.cli.demo.regions.reach import Reach
from tallystick.cli.demo.regions.story import RegionalStory, tell_regions
from tallystick.cli.demo.regions.timeline import Phase, Timeline
from tallystick.cli.demo.regions.verdict import Findings, Verdict, judge
from tallystick.cli.demo.story import units_of
from tallystick.client.values.order import ConfirmWhen, Order, OrderState
from tallystick.client.values.stock import Stock
from tallystick.client.values.write import Shortage

SECONDS = 3.0
TOOK_S = 0.004


@dataclass
class World:
    """What the shoppers of every region know, and what every region says."""

    story: RegionalStory
    books: dict[str, RegionBooks]
    orders: dict[str, dict[str, Order]]
    stock: dict[str, dict[str, Stock]]
    digests: dict[str, str]
    seconds_to_converge: float | None = 1.25
    false_refusals: int = 0

    @property
    def findings(self) -> Findings:
        stock = {region: tuple(items.values()) for region, items in self.stock.items()}
        return Findings(self.orders, stock, self.digests, self.seconds_to_converge, self.false_refusals)

    def verdict(self) -> Verdict:
        return judge(self.story, self.books, self.findings)

    def broken(self) -> list[str]:
        """The promises that did not hold."""
        return [promise.name for promise in self.verdict().promises if not promise.held]

    def change_stock(self, region: str, sku: str, **changes: int) -> None:
        item = self.stock[region][sku]
        sums = {name: getattr(item, name) + units for name, units in changes.items()}
        self.stock[region][sku] = msgspec.structs.replace(item, **sums)


def good_world(count: int = 3, seed: int = 1) -> World:
    """Every order in its turn, from the shelf of its side: each side takes half along into the cut."""
    story = tell_regions(seed, count, SECONDS)
    books = {region: RegionBooks(region=region) for region in story.regions}
    timeline = Timeline.lasting(SECONDS)
    alone, _others = story.sides
    left = {article.sku: article.stock for article in story.articles}
    kept: dict[str, int] = {}
    sold, held, there = dict.fromkeys(left, 0), dict.fromkeys(left, 0), {}
    phase, reach = Phase.WHOLE, Reach(0, (frozenset(story.regions),))
    arrivals = [(arrival, region) for region in story.regions for arrival in story.arrivals[region]]
    for arrival, region in sorted(arrivals, key=lambda each: each[0].at):
        if phase is Phase.WHOLE and arrival.at >= timeline.cut_at:
            kept = {sku: units // 2 for sku, units in left.items()}
            left = {sku: units - kept[sku] for sku, units in left.items()}
            phase, reach = Phase.CUT, reach.change(*story.sides)
        if phase is Phase.CUT and arrival.at >= timeline.heal_at:
            left = {sku: units + kept[sku] for sku, units in left.items()}
            phase, reach = Phase.HEALED, reach.change(frozenset(story.regions))
        shelf = kept if phase is Phase.CUT and region in alone else left
        order, wanted = arrival.order, units_of([arrival.order])
        sent = Moment(arrival.at, phase, reach)
        short = tuple(
            Shortage(sku=sku, location="", asked=units, available_here=shelf[sku], available_elsewhere=0)
            for sku, units in wanted.items()
            if shelf[sku] < units
        )
        if short:
            books[region].refuse(order, short)
        else:
            by_hand = order.confirm_when is ConfirmWhen.BY_HAND
            for sku, units in wanted.items():
                shelf[sku] -= units
                (held if by_hand else sold)[sku] += units
            state = OrderState.HELD if by_hand else OrderState.CONFIRMED
            there[order.id] = msgspec.structs.replace(order, state=state)
            books[region].acknowledge(order)
        books[region].note(order, sent, sent._replace(at=arrival.at + TOOK_S))
    return World(
        story,
        books,
        {region: dict(there) for region in story.regions},
        {
            region: {
                article.sku: Stock(
                    sku=article.sku,
                    received=article.stock,
                    on_hand=article.stock,
                    sold=sold[article.sku],
                    reserved=held[article.sku],
                    available_here=len(range(place, left[article.sku], count)),
                )
                for article in story.articles
            }
            for place, region in enumerate(story.regions)
        },
        dict.fromkeys(story.regions, "d1ce"),
    )


def look_of(story: RegionalStory, *, cut: bool) -> Look:
    """What the regions say before or during the cut."""
    nodes = {region: f"node-{region}" for region in story.regions}

    def linked(one: str, other: str) -> bool:
        return not cut or any({one, other} <= side for side in story.sides)

    return Look(
        {
            region: RegionLook(
                links={other: linked(region, other) for other in story.regions if other != region},
                vector={node: 100 if linked(region, other) else 60 for other, node in nodes.items()},
                digest=region if cut else "d1ce",
                tokens=1_234,
            )
            for region in story.regions
        }
    )
