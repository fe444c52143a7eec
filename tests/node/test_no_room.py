"""A commit that finds no room: what it would have written is refused, and nothing else."""

from __future__ import annotations

from tallystick.core.replica.commands import ReceiveStock
from tallystick.core.replica.outcome import Outcome
from tallystick.node.jobs import StorageFull
from tallystick.store.memory import Fault, MemoryBackend
from tests.node.driving import NODE, driving
from tests.node.workload import sale


async def test_what_is_on_disk_is_not_refused():
    """It remembers a cancellation that was on disk and decided, whose caller was told for sure that it was
    not: a peer's frames in the same commit found no room."""
    backend = MemoryBackend()
    async with driving(backend) as driven:
        await driven.do(ReceiveStock("r-1", NODE, (("tea", "", 100),)))
        await driven.do(sale("before", 1))
        backend.inject(Fault.FULL)
        before, new = (await driven.ask(sale("before", 1), sale("o-1", 1))).results
        assert isinstance(before, Outcome)
        assert before.replayed
        assert isinstance(new, StorageFull)
