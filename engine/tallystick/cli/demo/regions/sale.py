"""The sale over several regions: shoppers, the cut, the healing, and reading back what is where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from tallystick.cli.cluster_process import Cluster, Region
from tallystick.cli.demo.failures import SaleFailed
from tallystick.cli.demo.regions.asking import look_at, shelves_of
from tallystick.cli.demo.regions.books import Moment, RegionBooks
from tallystick.cli.demo.regions.looks import Look
from tallystick.cli.demo.regions.reach import Reach, Shelves, false_refusals
from tallystick.cli.demo.regions.snapshot import Snapshot, take_snapshot
from tallystick.cli.demo.regions.story import Arrival, RegionalStory
from tallystick.cli.demo.regions.timeline import Phase, Timeline
from tallystick.cli.demo.regions.verdict import Findings
from tallystick.cli.demo.till import Till
from tallystick.cli.together import together

_PATIENCE_S = 5.0
_LOOK_S = 0.2
_LINK_S = 10.0  # how long regions may take to find each other
_AGREE_S = 10.0  # how long they may take to agree when the doors are closed
_PAGE = 500


@dataclass
class RegionalSale:
    """One run of a story. Whoever watches reads the fields; nothing here prints."""

    story: RegionalStory
    timeline: Timeline
    delay_s: float
    words: list[str] = field(default_factory=lambda: ["Starting a server in every region"])
    """What went on so far; the last is what goes on now."""
    books: dict[str, RegionBooks] = field(init=False)
    look: Look | None = None
    """The last one."""
    _phase: Phase = Phase.WHOLE
    _reach: Reach = field(init=False)
    _shelves: list[Shelves] = field(default_factory=list)
    _looked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set for a moment at every look."""
    _opened: float | None = None
    _healed_at: float = 0.0
    _agreed_at: float | None = None

    def __post_init__(self) -> None:
        self.books = {region: RegionBooks(region=region) for region in self.story.regions}
        self._reach = Reach(0, (frozenset(self.story.regions),))

    @property
    def snapshot(self) -> Snapshot:
        """The sale at the moment, for the live table."""
        is_cut = self._phase is Phase.CUT
        at, seconds = self._now(), self.timeline.end_at
        return take_snapshot(
            self.story, self.books, self.look, words=self.words[-1], at=at, seconds=seconds, is_cut=is_cut
        )

    async def run(self, cluster: Cluster) -> Findings:
        """Play it on a cluster, from the delivery to the last look."""
        self.words.append("The regions find each other, and the goods come in")
        for region in cluster.regions.values():
            goods = dict(self.story.deliveries[region.name])
            await region.client.receive_stock(goods, f"demo-delivery-{region.name}")
        await self._until_linked(cluster)
        self.words.append("The sale is on in every region")
        self._opened = perf_counter()
        async with together() as group:
            looking = group.create_task(self._keep_looking(cluster))
            async with together() as shops:
                for region in cluster.regions.values():
                    shops.create_task(self._shop(region))
                shops.create_task(self._faults(cluster))
            self.words.append("The doors are closed; the regions tell each other what is left to tell")
            await self._looked_like(lambda look: look.agreed, self._now() + _AGREE_S)
            looking.cancel()
        self.words.append("Asking every region for every order")
        return await self._findings(cluster)

    # ------------------------------------------------------------------------------------------ shopping

    def _now(self) -> float:
        return 0.0 if self._opened is None else perf_counter() - self._opened

    async def _until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - self._now()))

    def _moment(self) -> Moment:
        return Moment(self._now(), self._phase, self._reach)

    async def _shop(self, region: Region) -> None:
        """Shoppers come at their time, whatever became of those before."""
        books = self.books[region.name]
        till = Till(books, _PATIENCE_S)
        till.open.set()

        async def serve(arrival: Arrival) -> None:
            sent = self._moment()
            await till.buy(region.client, arrival.order)
            books.note(arrival.order, sent, self._moment())

        async with together() as group:
            for arrival in self.story.arrivals[region.name]:
                await self._until(arrival.at)
                group.create_task(serve(arrival))

    async def _faults(self, cluster: Cluster) -> None:
        """Cut a region off, and heal it."""
        sides = self.story.sides
        await self._until(self.timeline.cut_at)
        cluster.cut(sides)
        self._phase, self._reach = Phase.CUT, self._reach.change(*sides)
        self.words.append(f"{self.story.cut_off} is cut off: nothing passes, and both sides go on selling")
        await self._until(self.timeline.heal_at)
        everything = self.look.everything if self.look else {}
        cluster.heal(sides)
        # Until all are connected nobody can say who reaches whom.
        self._phase, self._reach, self._healed_at = Phase.HEALED, self._reach.change(), self._now()
        self.words.append("The cut heals: the regions tell each other what happened")
        if await self._looked_like(
            lambda look: look.all_linked and look.have(everything), self.timeline.end_at + _AGREE_S
        ):
            self._agreed_at = self._now()
            self._reach = self._reach.change(frozenset(self.story.regions))
            self.words.append("All regions have everything that happened; the sale goes on")

    # ------------------------------------------------------------------------------------------- looking

    async def _take_look(self, cluster: Cluster) -> Look:
        """Ask every region; the shelves first and by themselves, since they have to be seen at once."""
        began, reach = self._now(), self._reach
        shelves = await shelves_of(cluster)
        if reach == self._reach:
            self._shelves.append(Shelves(began, self._now(), reach.epoch, shelves))
        self.look = await look_at(cluster, shelves)
        return self.look

    async def _keep_looking(self, cluster: Cluster) -> None:
        while True:
            await self._take_look(cluster)
            self._looked.set()
            self._looked.clear()
            await asyncio.sleep(_LOOK_S)

    async def _looked_like(self, is_so: Callable[[Look], bool], until: float) -> bool:
        """Wait for a look at which it is so; False if there was none until then."""
        while self._now() < until:
            await self._looked.wait()
            if self.look is not None and is_so(self.look):
                return True
        return False

    async def _until_linked(self, cluster: Cluster) -> None:
        started = perf_counter()
        while not (await self._take_look(cluster)).all_linked:
            if perf_counter() - started > _LINK_S:
                raise SaleFailed(f"the regions did not find each other within {_LINK_S:g} s")
            await asyncio.sleep(_LOOK_S)
        self._shelves.clear()

    # ---------------------------------------------------------------------------------------- the audit

    async def _findings(self, cluster: Cluster) -> Findings:
        assert self.look is not None
        refusals = [refusal for each in self.books.values() for refusal in each.refusals]
        regions = cluster.regions.values()
        return Findings(
            orders={
                region.name: {order.id: order async for order in region.client.list_orders(page_size=_PAGE)}
                for region in regions
            },
            stock={
                region.name: tuple([item async for item in region.client.list_stock()]) for region in regions
            },
            digests={name: look.digest for name, look in self.look.regions.items()},
            seconds_to_converge=None if self._agreed_at is None else self._agreed_at - self._healed_at,
            false_refusals=len(false_refusals(refusals, self._shelves, self.delay_s)),
        )
