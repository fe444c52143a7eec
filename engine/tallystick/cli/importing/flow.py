"""The traffic: orders go out concurrently, in the order of the file; a cancellation waits for what it needs.

The outcome is that of sending everything one by one, but not its slowness:

* A cancellation looks at its customer's earlier orders and cancellations, so it waits until those are
  decided. Nothing else waits for it, except what its units may matter to:
* orders of an item that may run short (`scarce_items`) and the cancellations that free it keep their
  sequence. Orders among themselves keep it without waiting: one stream carries them, first in, first out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import perf_counter

from tallystick.cli.importing.ledger import Ledger, Part
from tallystick.cli.importing.mapping import CancelInvoice, Cancellation, Plan, PlannedOrder
from tallystick.cli.importing.replay import CancelledUnits, History, refused_before
from tallystick.cli.importing.stocking import scarce_items
from tallystick.cli.importing.summary import Outcome
from tallystick.cli.importing.till import Till
from tallystick.cli.together import together
from tallystick.client import errors

REFUSALS = (
    errors.InsufficientStock,
    errors.InvalidRequest,
    errors.IdReused,
    errors.LimitReached,
    errors.NotFound,
    errors.PreconditionFailed,
)
"""Answers that are about one order alone. Any other error ends the import; it can be run again."""

REFUSED_BEFORE = "REFUSED_BEFORE"
"""The reason of an order that an earlier run was refused: it is not asked for again."""

_CANCELS_AT_ONCE = 64

Task = asyncio.Task[None]


class UnderWay:
    """Tasks under way, by what they touch."""

    def __init__(self) -> None:
        self._tasks: dict[str, set[Task]] = {}

    def add(self, task: Task, keys: Iterable[str]) -> None:
        for key in keys:
            self._tasks.setdefault(key, set()).add(task)
            task.add_done_callback(self._tasks[key].discard)

    def of(self, keys: Iterable[str]) -> set[Task]:
        """A snapshot: those under way now that touch any of the keys."""
        return {task for key in keys for task in self._tasks.get(key, ())}


Turns = Mapping[int, Callable[[], Awaitable[None]]]
"""What is to happen before an order, by its place in the plan from 0; the flow waits for it."""


class Flow:
    """Sends a plan. `tick` hears of each order answered and each cancellation line done."""

    def __init__(
        self, till: Till, plan: Plan, history: History, concurrency: int, tick: Callable[[int], None]
    ) -> None:
        self._till = till
        self._plan = plan
        self._history = history
        self._tick = tick
        self._slots = asyncio.Semaphore(concurrency)
        self._cancel_slots = asyncio.Semaphore(_CANCELS_AT_ONCE)
        self._of_customer = UnderWay()
        self._orders_of_item = UnderWay()
        self._cancels_of_item = UnderWay()
        self.ledger = Ledger(plan.cancellations)
        self.accepted: list[PlannedOrder] = []
        self.outcome = Outcome(plan)

    async def run(self, stock: Mapping[str, int], turns: Turns | None = None) -> None:
        """Send everything; raises the first TallystickError that is not a refusal. `stock` was received."""
        scarce = scarce_items(self._plan.orders, stock)
        refused = refused_before(self._plan, scarce, self._history)
        self.outcome.refused = dict.fromkeys(sorted(refused), REFUSED_BEFORE)
        in_turn = iter(enumerate(scarce))
        started = perf_counter()
        async with together() as group:
            for event in self._plan.events:
                if isinstance(event, PlannedOrder):
                    place, items = next(in_turn)
                    if turns and place in turns:
                        await turns[place]()
                    await self._start_order(group, event, items)
                else:
                    self._start_cancellation(group, event)
        self.outcome.elapsed_s = perf_counter() - started
        self.outcome.unmatched.sort(key=lambda pair: pair[0].row.number)

    async def _start_order(
        self, group: asyncio.TaskGroup, order: PlannedOrder, scarce: frozenset[str]
    ) -> None:
        if order.id in self.outcome.refused:
            self._tick(1)
            return
        freeing = self._cancels_of_item.of(scarce)
        if freeing:
            await asyncio.wait(freeing)
        await self._slots.acquire()
        task = group.create_task(self._place(order))
        self._orders_of_item.add(task, scarce)
        if order.customer:
            self._of_customer.add(task, (order.customer,))

    def _start_cancellation(self, group: asyncio.TaskGroup, invoice: CancelInvoice) -> None:
        skus = {line.sku for line in invoice.lines}
        customers = {line.customer for line in invoice.lines if line.customer}
        before = self._of_customer.of(customers) | self._orders_of_item.of(skus)
        task = group.create_task(self._cancel(invoice, before))
        self._cancels_of_item.add(task, skus)
        self._of_customer.add(task, customers)

    async def _place(self, order: PlannedOrder) -> None:
        started = perf_counter()
        try:
            placed = await self._till.place(order)
        except REFUSALS as refusal:
            self.outcome.latencies.append(perf_counter() - started)
            self.outcome.refused[order.id] = refusal.reason or type(refusal).__name__
        else:
            self.outcome.latencies.append(perf_counter() - started)
            done = await self._cancelled_before(order) if placed.write.replayed else {}
            self.ledger.accept(order, done)
            self.accepted.append(order)
            self.outcome.accepted += 1
            self.outcome.replayed += placed.write.replayed
        finally:
            self._slots.release()
        self._tick(1)

    async def _cancelled_before(self, order: PlannedOrder) -> CancelledUnits:
        """What was taken back of an order that was there already."""
        if order.id in self._history.placed:
            return self._history.cancelled.get(order.id, {})
        return await self._till.cancelled(order.id) if self.ledger.wants(order) else {}

    async def _cancel(self, invoice: CancelInvoice, before: set[Task]) -> None:
        if before:
            await asyncio.wait(before)
        # All lines are matched before the first call: the invoice sees one state of the ledger.
        matches = [(line, *self.ledger.match(line)) for line in invoice.lines]
        calls = [self._cancel_part(line, part) for line, parts, _ in matches for part in parts]
        taken = iter(await asyncio.gather(*calls))
        for line, parts, left in matches:
            left += sum(part.total for part in parts if not next(taken))
            if left:
                self.outcome.unmatched.append((line, left))
            self._tick(1)

    async def _cancel_part(self, line: Cancellation, part: Part) -> bool:
        """Whether the units are taken back; if it was refused, they are as before."""
        async with self._cancel_slots:
            try:
                await self._till.cancel(line, part)
            except REFUSALS:
                self.ledger.undo(line, part)
                return False
        return True
