"""The promises, held against what the server says after the sale. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tallystick.cli.demo.audit import (
    ItemRow,
    Promise,
    changed_orders,
    item_rows,
    never_oversold,
    refused_with_a_reason,
)
from tallystick.cli.demo.books import Settled
from tallystick.cli.demo.crash.books import CrashBooks
from tallystick.cli.demo.story import Story, units_of
from tallystick.client.values.order import Order
from tallystick.client.values.stock import Stock


@dataclass(frozen=True)
class Verdict:
    """The audit of a sale."""

    items: tuple[ItemRow, ...]
    found: int
    """Orders that were acknowledged before the kill, and are there after it."""
    lost: tuple[str, ...]
    changed: tuple[str, ...]
    """Acknowledged orders that read back as something else."""
    stored_though_refused: tuple[str, ...]
    promises: tuple[Promise, ...]

    @property
    def ok(self) -> bool:
        return all(promise.held for promise in self.promises)


def judge(story: Story, books: CrashBooks, found: Mapping[str, Order], stock: Iterable[Stock]) -> Verdict:
    """`found`: every order of the story that the server has, by id."""
    asked, told = story.asked, units_of(books.acknowledged.values())
    items = item_rows(story.articles, asked, told, stock)
    lost = tuple(sorted(set(books.acknowledged) - set(found)))
    changed = changed_orders(books, found)
    stored = tuple(sorted(set(books.refused) & set(found)))
    survived = len(books.acknowledged_before_kill - set(lost))
    promises = (
        never_oversold(items),
        _nothing_lost(books, survived, lost, changed),
        _everything_settled(story, books),
        refused_with_a_reason(books.refused.values(), stored),
    )
    return Verdict(items, survived, lost, changed, stored, promises)


def _nothing_lost(
    books: CrashBooks, survived: int, lost: tuple[str, ...], changed: tuple[str, ...]
) -> Promise:
    before = len(books.acknowledged_before_kill)
    detail = f"{before:,} accepted before the crash, {survived:,} found after it, {before - survived:,} lost"
    if len(lost) > before - survived:
        detail += f"; of the later ones {len(lost) - before + survived:,} lost"
    if changed:
        detail += f"; {len(changed):,} are not what was ordered"
    return Promise(
        "nothing_lost", "Accepted means kept, even through kill -9", detail, not lost and not changed
    )


def _everything_settled(story: Story, books: CrashBooks) -> Promise:
    open_yet = len(story.orders) - books.answered
    unsettled = books.count_unknown(None)
    detail = (
        f"{len(books.unknown):,} had no answer when it crashed: {books.count_unknown(Settled.PLACED):,} "
        f"had been taken, {books.count_unknown(Settled.SENT_AGAIN):,} had not and were sent again"
    )
    if open_yet or unsettled or books.problems:
        detail += f"; {max(open_yet, unsettled):,} still open; {'; '.join(books.problems[:3])}"
    held = not (open_yet or unsettled or books.problems)
    return Promise("everything_settled", "No order in doubt, none placed twice", detail, held)
