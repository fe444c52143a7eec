"""Open loop: orders come at their time, `per_s` a second at each node, whatever became of those before.

An order's latency counts from when it was due, so a server that stands still is charged for all that came
meanwhile (the omission that Gil Tene calls coordinated).
"""

from __future__ import annotations

import asyncio
from itertools import count
from time import perf_counter

from benchmarks.load.meter import Meter
from benchmarks.load.sdk import clients_of, order_values, place
from benchmarks.load.spec import Report, Spec


async def run(spec: Spec) -> Report:
    """Load the nodes until the meter has seen enough."""
    orders = order_values(spec)
    async with clients_of(spec) as clients:
        meter, begun = Meter(spec), perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in count():
                # The nodes' orders are due in turn, not all at one moment.
                due = begun + number / (spec.per_s * len(clients))
                await asyncio.sleep(max(0.0, due - perf_counter()))
                if not meter.running:
                    break
                tasks.create_task(place(clients[number % len(clients)], next(orders), meter, due))
    return meter.report(built_late=0, last_ids=[])
