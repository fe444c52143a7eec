"""The demo of several regions, from beginning to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tallystick.cli.cluster_process import Cluster, running_cluster
from tallystick.cli.demo.failures import SaleFailed
from tallystick.cli.demo.regions.report import as_json
from tallystick.cli.demo.regions.sale import RegionalSale
from tallystick.cli.demo.regions.screen import introduce, picture, report
from tallystick.cli.demo.regions.story import tell_regions
from tallystick.cli.demo.regions.timeline import Timeline
from tallystick.cli.demo.regions.verdict import Findings, judge
from tallystick.cli.demo.screen import watching
from tallystick.cli.node_process import scratch_directory
from tallystick.cli.output import Json
from tallystick.client import errors

DELAY_MS = 40.0  # one way: Frankfurt to Virginia
_SPARE_S = 30.0  # beyond the sale itself: starting, agreeing, auditing
_LOG_TAIL = 500


@dataclass(frozen=True)
class Played:
    """A sale that is over, while its cluster still runs."""

    outcome: dict[str, Json]
    addresses: dict[str, str]


@asynccontextmanager
async def played_regions(out: Console, *, seed: int, regions: int, seconds: float) -> AsyncIterator[Played]:
    """Play it on a console. The cluster ends with the block."""
    story = tell_regions(seed, regions, seconds)
    sale = RegionalSale(story, Timeline.lasting(seconds), DELAY_MS / 1000)
    introduce(out, story, seed=seed, seconds=seconds, delay_ms=DELAY_MS)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(scratch_directory("tally-demo-"))
        async with watching(out, sale.words, lambda: picture(sale.snapshot)):
            cluster, findings = await _run(stack, sale, directory)
        verdict = judge(story, sale.books, findings)
        report(out, story, sale.books, findings, verdict)
        addresses = {name: region.node.address for name, region in cluster.regions.items()}
        yield Played(as_json(story, sale.books, findings, verdict), addresses)


async def _run(stack: AsyncExitStack, sale: RegionalSale, directory: Path) -> tuple[Cluster, Findings]:
    """Start the cluster, which lives as long as the stack, and play the sale on it. Raises SaleFailed."""
    limit = sale.timeline.end_at + _SPARE_S
    try:
        async with asyncio.timeout(limit):
            cluster = await stack.enter_async_context(
                running_cluster(sale.story.regions, directory, DELAY_MS)
            )
            return cluster, await sale.run(cluster)
    except TimeoutError:
        raise SaleFailed(f"the sale was not over within {limit:g} s{_logs(directory)}") from None
    except errors.TallystickError as error:
        raise SaleFailed(f"{error}{_logs(directory)}") from error


def _logs(directory: Path) -> str:
    """What the nodes said last."""
    logs = sorted(directory.glob("*.log"))
    return "".join(f"\n{log.stem}: {log.read_text(errors='replace')[-_LOG_TAIL:].strip()}" for log in logs)
