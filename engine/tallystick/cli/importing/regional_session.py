"""One import over several regions from end to end: goods in, traffic, a cut, convergence, all audits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from time import perf_counter

from tallystick.cli.cluster_process import Cluster
from tallystick.cli.importing.audit import Audit
from tallystick.cli.importing.convergence import Vector, digests_equal, everything, have, same_events
from tallystick.cli.importing.display import Progress
from tallystick.cli.importing.flow import Flow
from tallystick.cli.importing.mapping import Plan
from tallystick.cli.importing.regional_audit import Regional, joint_audit, stock_problems
from tallystick.cli.importing.regional_till import RegionalTill
from tallystick.cli.importing.regions import Sides, middle_third
from tallystick.cli.importing.replay import History
from tallystick.cli.importing.session import audit_orders
from tallystick.cli.importing.stocking import demand, receipts, stock_for
from tallystick.cli.importing.summary import Outcome
from tallystick.cli.together import together
from tallystick.client import NodeStatus, Stock

DELAY_MS = 40.0  # one way: Frankfurt to Virginia

_LOOK_S = 0.25
_AGREE_S = 120.0  # how long the regions may take to hold the same
_READINGS = 10  # of the stock, until nothing moves meanwhile

Statuses = dict[str, NodeStatus]


async def import_over_regions(
    cluster: Cluster, plan: Plan, *, factor: Decimal, concurrency: int, cuts: bool, progress: Progress
) -> tuple[Outcome, Audit, Regional]:
    """Feed a plan to a cluster that has nothing yet, and audit every region. Raises TallystickError."""
    await cluster.until_linked()
    stock = stock_for(demand(plan.orders), factor)
    await _receive(cluster, stock, progress)
    till = RegionalTill({name: region.client for name, region in cluster.regions.items()}, plan.orders)
    flow = Flow(till, plan, History(), concurrency, progress.advance)
    cut_at, heal_at = middle_third(len(plan.orders))
    progress.begin("Placing orders", len(plan.orders) + len(plan.cancellations))
    async with together() as group:
        weather = Weather(cluster, till, Sides.cutting_off_last(tuple(cluster.regions)), group)
        await flow.run(stock, {cut_at: weather.cut, heal_at: weather.heal} if cuts else {})
        progress.begin("Converging", 1)
        took = await weather.seconds_to_converge()
        progress.advance(1)
    # Tokens travel on for a while to where they are asked for.
    progress.begin("Settling", 1)
    statuses = await _look_like(cluster, _agreed, _AGREE_S)
    progress.advance(1)
    audits = {name: Audit(alone=True, received=stock) for name in cluster.regions}
    problems = await _audit(cluster, flow, audits, progress)
    problems += [] if _agreed(statuses) else [_disagreement(statuses)]
    by_region = {name: till.accepted_during_cut[name] for name in cluster.regions}
    agreed = digests_equal(statuses.values())
    regional = Regional(tuple(cluster.regions), by_region, till.recorded, agreed, took)
    return flow.outcome, joint_audit(audits, problems), regional


@dataclass
class Weather:
    """The cut between the regions, and how long they take to hear of each other after it."""

    cluster: Cluster
    till: RegionalTill
    sides: Sides
    group: asyncio.TaskGroup
    _converging: asyncio.Task[float | None] | None = None

    async def cut(self) -> None:
        """One region is alone from now on."""
        await self.till.part(self.sides)
        self.cluster.cut(self.sides.groups)

    async def heal(self) -> None:
        """All reach each other again; what they had to tell each other until now is waited for aside."""
        self.till.heal()
        wanted = everything((await self.cluster.statuses()).values())
        self.cluster.heal(self.sides.groups)
        self._converging = self.group.create_task(self._converge(wanted))

    async def seconds_to_converge(self) -> float | None:
        """From healing, or from now if there was no cut, until all had what anyone had then. None: never."""
        if self._converging is None:
            await self.heal()
            assert self._converging is not None
        return await self._converging

    async def _converge(self, wanted: Vector) -> float | None:
        began = perf_counter()
        statuses = await _look_like(self.cluster, lambda look: have(look.values(), wanted), _AGREE_S)
        if not have(statuses.values(), wanted):
            return None
        self.till.join()
        return perf_counter() - began


async def _look_like(cluster: Cluster, is_so: Callable[[Statuses], bool], patience_s: float) -> Statuses:
    """The first look at which it is so; the last one if it was not in time."""
    until = perf_counter() + patience_s
    while True:
        statuses = await cluster.statuses()
        if is_so(statuses) or perf_counter() >= until:
            return statuses
        await asyncio.sleep(_LOOK_S)


def _agreed(statuses: Statuses) -> bool:
    return same_events(statuses.values()) and digests_equal(statuses.values())


def _disagreement(statuses: Statuses) -> str:
    told = "; ".join(f"{name} has {status.digest or 'no digest'}" for name, status in statuses.items())
    wanted = everything(statuses.values())
    behind = [name for name, status in statuses.items() if not have([status], wanted)]
    lag = f", and events are missing in {', '.join(behind)}" if behind else ""
    return f"the regions hold different state after {_AGREE_S:g} s: {told}{lag}"


async def _receive(cluster: Cluster, stock: dict[str, int], progress: Progress) -> None:
    """Book the stock in at the first region, its tokens shared evenly, and wait until all know of it."""
    statuses = await cluster.statuses()
    name, first = next(iter(cluster.regions.items()))
    split = {status.node: 1 for status in statuses.values()}
    progress.begin("Receiving stock", len(stock))
    for receipt in receipts(stock):
        await first.client.receive_stock(dict(receipt.items), receipt.id, statuses[name].node, split=split)
        progress.advance(len(receipt.items))
    wanted = everything((await cluster.statuses()).values())
    await _look_like(cluster, lambda look: have(look.values(), wanted), _AGREE_S)


async def _audit(cluster: Cluster, flow: Flow, audits: dict[str, Audit], progress: Progress) -> list[str]:
    """Read everything back in every region; answers what is wrong between them."""
    for name, audit in audits.items():
        client = cluster.regions[name].client
        await audit_orders(client, flow, audit, own=True, progress=progress, phase=f"Auditing {name}")
    shelves = await _read_stock(cluster)
    for name, audit in audits.items():
        audit.check_stock(shelves[name])
        audit.check_money()
    return stock_problems(shelves)


async def _read_stock(cluster: Cluster) -> dict[str, list[Stock]]:
    """What is on the shelves at one state of all regions: tokens may still travel, so it is read again until
    nobody wrote anything meanwhile."""
    for _ in range(_READINGS):
        before = await _look_like(cluster, _agreed, _AGREE_S)
        shelves = {
            name: [item async for item in region.client.list_stock()]
            for name, region in cluster.regions.items()
        }
        after = await cluster.statuses()
        if same_events([*before.values(), *after.values()]):
            break
    return shelves
