"""The demo with a crash, from beginning to end."""

from __future__ import annotations

from rich.console import Console

from tallystick.cli.demo.audit import items_json
from tallystick.cli.demo.crash.sale import SHOPPERS, Sale
from tallystick.cli.demo.crash.screen import introduce, picture, report
from tallystick.cli.demo.crash.verdict import Verdict
from tallystick.cli.demo.screen import watching
from tallystick.cli.demo.story import tell
from tallystick.cli.node_process import scratch_directory
from tallystick.cli.output import Json


async def play_crash(out: Console, *, seed: int, orders: int) -> dict[str, Json]:
    """Play it on a console, and answer the outcome for programs."""
    sale = Sale(tell(seed, orders))
    introduce(out, sale.story, seed)
    with scratch_directory("tally-demo-") as directory:
        async with watching(out, sale.phases, lambda: picture(sale)):
            verdict = await sale.run(directory)
    report(out, sale, verdict)
    return as_json(seed, sale, verdict)


def as_json(seed: int, sale: Sale, verdict: Verdict) -> dict[str, Json]:
    """The outcome, for programs."""
    books = sale.books
    before = len(books.acknowledged_before_kill)
    return {
        "seed": seed,
        "orders": len(sale.story.orders),
        "clients": SHOPPERS,
        "accepted": len(books.acknowledged),
        "refused": len(books.refused),
        "acknowledged_before_kill": before,
        "found_after_kill": verdict.found,
        "lost": len(verdict.lost),
        "outcome_unknown": len(books.unknown),
        "orders_per_second": round(books.answered / sale.selling_s, 1) if sale.selling_s else 0.0,
        "down_ms": round(sale.down_s * 1000, 1),
        "oversold_units": sum(item.oversold for item in verdict.items),
        "items": items_json(verdict.items),
        "promises": {promise.name: promise.held for promise in verdict.promises},
        "ok": verdict.ok,
    }
