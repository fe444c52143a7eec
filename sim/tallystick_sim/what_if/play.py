"""Playing a question under one policy: the real engine, a node a region, in virtual time.

The arrivals are drawn beforehand, by Poisson, from the seed alone: all policies are asked for the same by the
same customers at the same moments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from random import Random
from typing import NamedTuple

from tallystick.core.errors import InsufficientStock
from tallystick.core.members import node_name
from tallystick.core.order.facts import Body, Line
from tallystick.core.replica.commands import PlaceOrder, ReceiveStock
from tallystick.core.replica.keys import stock_key
from tallystick.core.replica.outcome import Outcome
from tallystick.core.stock.rights import Stock, join_stock, rights
from tallystick.node.driver import Turn
from tallystick.node.source import StoreSource
from tallystick_sim.calls import Call, Wishes
from tallystick_sim.cluster import Cluster
from tallystick_sim.network import Weather
from tallystick_sim.node import Node
from tallystick_sim.observing import Observer
from tallystick_sim.what_if.question import Cut, Question, spans

SKU = "ITEM"
KEY = stock_key(SKU, "")
SAMPLES = 240
"""How often in a sale everybody's tokens are looked at."""
_MINUTE_MS = 60_000.0
_JITTER_MS = (0.5, 3.0)


class Arrival(NamedTuple):
    """Somebody orders `units` in a region."""

    at_ms: float
    region: int
    units: int


class Refusal(NamedTuple):
    """An order that was refused. `false`: units were left in regions that could be reached; `beyond`: they
    were left behind a cut alone."""

    at_ms: float
    region: int
    units: int
    false: bool
    beyond: bool


class Sample(NamedTuple):
    """What each region may sell at some time."""

    at_ms: float
    tokens: tuple[int, ...]


class Played(NamedTuple):
    """What came of it. By region: orders, and units asked for and sold. `waited_ms`: of each order that was
    sold, the shortest first; `moved`: units that went from one region to another."""

    policy: str
    orders: tuple[int, ...]
    asked: tuple[int, ...]
    sold: tuple[int, ...]
    left: int
    refusals: tuple[Refusal, ...]
    waited_ms: tuple[float, ...]
    moved: int
    samples: tuple[Sample, ...]


def draw_arrivals(question: Question) -> tuple[Arrival, ...]:
    """All customers, in the order in which they come."""
    random, arrivals = Random(question.seed), []
    for place, region in enumerate(question.regions):
        for begin, end, demand in spans(region, question.minutes):
            at = begin
            while demand and (at := at + random.expovariate(demand)) < end:
                arrivals.append(Arrival(at * _MINUTE_MS, place, random.randint(*question.basket)))
    return tuple(sorted(arrivals))


def play(question: Question, policy: str) -> Played:
    """One sale."""
    return _Sale(question, policy).run()


class _Sale(Observer):
    def __init__(self, question: Question, policy: str) -> None:
        self._question = question
        self._policy = policy
        self._roads_ms = roads_ms(question)
        self._cluster = Cluster(
            question.seed,
            Weather(delay_ms=_JITTER_MS),
            distance_ms=lambda a, b: self._roads_ms.get((a, b), question.delay_ms),
            prepare=self._prepare,
        )
        self._world = self._cluster.world
        self._cluster.grow(len(question.regions))
        self._nodes = self._cluster.nodes
        self._calls: list[tuple[Arrival, Call]] = []
        self._asked_ms: dict[int, float] = {}
        self._waited: list[float] = []
        self._refusals: list[Refusal] = []
        self._samples: list[Sample] = []
        self._began_ms = 0.0
        for node in self._nodes:
            node.observer = self

    def run(self) -> Played:
        question, world = self._question, self._world
        self._receive()
        self._began_ms = world.now_ms
        length_ms = question.minutes * _MINUTE_MS
        for arrival in draw_arrivals(question):
            world.after(arrival.at_ms, lambda arrival=arrival: self._arrive(arrival))  # type: ignore[misc]
        for turn in sorted({minute for cut in question.cut for minute in (cut.from_minute, cut.to_minute)}):
            world.after(turn * _MINUTE_MS, lambda turn=turn: self._cut(turn))  # type: ignore[misc]
        for number in range(SAMPLES + 1):
            world.after(number * length_ms / SAMPLES, self._sample)
        world.run(length_ms)
        self._cluster.heal()
        self._cluster.run_until_quiet()
        return self._played()

    # --------------------------------------------------------------------------------------------- the world

    def _prepare(self, node: Node) -> None:
        node.region = self._question.names[node.name]
        node.rebalance = self._policy
        node.weights = {region.name: region.weight for region in self._question.regions}

    def _receive(self) -> None:
        """The goods come in at the first region; their tokens are shared before anybody asks for any."""
        split = tuple(
            (node.replica, region.share)
            for node, region in zip(self._nodes, self._question.regions, strict=True)
            if region.share
        )
        items = ((SKU, "", self._question.units),)
        first = node_name(self._nodes[0].replica)
        self._cluster.run_until_quiet()
        received = self._cluster.do(0, ReceiveStock("stock", first, items, split=tuple(sorted(split))))
        assert received.outcome.writes
        self._cluster.run_until_quiet()

    def _cut(self, minute: float) -> None:
        network = self._cluster.network
        network.heal()
        for cut in self._question.cut:
            if cut.from_minute <= minute < cut.to_minute:
                network.part(*sides(self._question.names, cut))

    # --------------------------------------------------------------------------------------------- customers

    def _arrive(self, arrival: Arrival) -> None:
        order_id = f"o-{len(self._calls)}"
        body = Body("EUR", (Line("1", SKU, arrival.units, amount=arrival.units),))
        node = self._nodes[arrival.region]
        call = node.ask(PlaceOrder(order_id, body), wishes=Wishes(self._question.patience_s * 1_000))
        self._calls.append((arrival, call))
        self._asked_ms[id(call)] = self._world.now_ms

    def turned(self, node: Node, turn: Turn) -> None:
        """The moment in which a customer is answered: what is left then, and where?"""
        for job, answer in turn.answers:
            asked = self._asked_ms.get(id(job))
            if asked is None:
                continue
            (result,) = getattr(answer, "results", (None,))
            if isinstance(result, Outcome):
                self._waited.append(self._world.now_ms - asked)
            elif isinstance(result, InsufficientStock):
                units = sum(short.asked for short in result.shortages)
                self._refusals.append(self._judged(node.name, units))
            else:
                raise AssertionError(f"neither sold nor sold out: {result}")

    def _judged(self, region: int, units: int) -> Refusal:
        cut = self._cluster.network.cut
        reach = [
            node
            for node in self._nodes
            if node.name == region or not ((node.name, region) in cut or (region, node.name) in cut)
        ]
        near, all_ = left_among(reach), left_among(self._nodes)
        return Refusal(self._now_ms, region, units, near >= units, near < units <= all_)

    # --------------------------------------------------------------------------------------------- measuring

    @property
    def _now_ms(self) -> float:
        return self._world.now_ms - self._began_ms

    def _sample(self) -> None:
        tokens = (rights(_stock(node), node.replica) for node in self._nodes)
        self._samples.append(Sample(self._now_ms, tuple(tokens)))

    def _played(self) -> Played:
        regions = range(len(self._nodes))
        rows = [_stock(node).row(node.replica) for node in self._nodes]
        sold = tuple(row.sold for row in rows)
        arrivals = [arrival for arrival, _ in self._calls]
        left = left_among(self._nodes)
        if sum(sold) + left != self._question.units or left < 0:
            raise AssertionError(f"{sum(sold)} were sold and {left} are left of {self._question.units}")
        return Played(
            policy=self._policy,
            orders=tuple(sum(a.region == place for a in arrivals) for place in regions),
            asked=tuple(sum(a.units for a in arrivals if a.region == place) for place in regions),
            sold=sold,
            left=left,
            refusals=tuple(self._refusals),
            waited_ms=tuple(sorted(self._waited)),
            moved=sum(units for row in rows for _, units in row.moved),
            samples=tuple(self._samples),
        )


def roads_ms(question: Question) -> dict[tuple[int, int], float]:
    """How long the way is in each direction of which the question says so."""
    roads: dict[tuple[int, int], float] = {}
    for delay in question.delay:
        a, b = map(question.names.index, delay.between)
        roads[a, b] = roads[b, a] = delay.ms
    return roads


def sides(names: Sequence[str], cut: Cut) -> tuple[set[int], set[int]]:
    """Who is on which side of a cut."""
    away = {place for place, name in enumerate(names) if name in cut.regions}
    return away, set(range(len(names))) - away


def left_among(nodes: Iterable[Node]) -> int:
    """Units that these nodes together may sell: what is on its way between them counts, what is under way to
    them from others, and none of them has heard of, does not."""
    nodes = list(nodes)
    known = reduce(join_stock, map(_stock, nodes))
    return sum(rights(known, node.replica) for node in nodes)


def _stock(node: Node) -> Stock:
    found: Stock = StoreSource(node.driver.store).stock(KEY)
    return found
