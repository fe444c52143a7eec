"""The promises, held against what the server says after the sale. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tallystick.cli.demo.books import Books, Settled
from tallystick.cli.demo.story import Article, Story, units_of
from tallystick.cli.output import Json
from tallystick.client.values.order import ConfirmWhen, Order, OrderState
from tallystick.client.values.stock import Stock

_STATES = {ConfirmWhen.ON_PLACING: OrderState.CONFIRMED, ConfirmWhen.BY_HAND: OrderState.HELD}


class ItemRow(NamedTuple):
    """One article after the sale. All but `asked` is what the server says."""

    article: Article
    asked: int
    received: int
    sold: int
    reserved: int
    left: int
    told: int
    """Units in the orders that were acknowledged to shoppers."""

    @property
    def oversold(self) -> int:
        """Units promised beyond what there was, by whichever count is worse."""
        return max(0, self.sold + self.reserved - self.received, self.told - self.received)

    @property
    def adds_up(self) -> bool:
        return (
            self.received == self.article.stock
            and self.received == self.sold + self.reserved + self.left
            and self.told == self.sold + self.reserved
        )


class Promise(NamedTuple):
    """One promise in plain words, and whether it held; `detail` says by which figures."""

    name: str
    words: str
    detail: str
    held: bool


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


def judge(story: Story, books: Books, found: Mapping[str, Order], stock: Iterable[Stock]) -> Verdict:
    """`found`: every order of the story that the server has, by id."""
    listed = {item.sku: item for item in stock}
    asked, told = story.asked, units_of(books.acknowledged.values())
    items = tuple(
        _item(article, asked.get(article.sku, 0), told.get(article.sku, 0), listed.get(article.sku))
        for article in story.articles
    )
    lost = tuple(sorted(set(books.acknowledged) - set(found)))
    changed = tuple(
        sorted(
            order_id
            for order_id, order in books.acknowledged.items()
            if order_id in found and not _reads_back(order, found[order_id])
        )
    )
    stored = tuple(sorted(set(books.refused) & set(found)))
    survived = len(books.acknowledged_before_kill - set(lost))
    promises = (
        _never_oversold(items),
        _nothing_lost(books, survived, lost, changed),
        _everything_settled(story, books),
        _refused_with_a_reason(books, stored),
    )
    return Verdict(items, survived, lost, changed, stored, promises)


def _item(article: Article, asked: int, told: int, item: Stock | None) -> ItemRow:
    known = item or Stock(sku=article.sku)
    return ItemRow(article, asked, known.received, known.sold, known.reserved, known.available_here, told)


def _reads_back(sent: Order, found: Order) -> bool:
    """Whether it is the order that was sent, sold or held as it was to be."""
    same = ("customer", "currency", "total", "confirm_when")
    lines = [[(line.sku, line.quantity, line.amount) for line in order.lines] for order in (sent, found)]
    return (
        all(getattr(sent, name) == getattr(found, name) for name in same)
        and lines[0] == lines[1]
        and found.state is _STATES[sent.confirm_when]
        and not found.conflicts
    )


def _never_oversold(items: tuple[ItemRow, ...]) -> Promise:
    oversold = sum(item.oversold for item in items)
    wrong = [item.article.name for item in items if not item.adds_up]
    detail = f"{oversold:,} units sold twice"
    if wrong:
        detail += f"; does not add up: {', '.join(wrong)}"
    return Promise("never_oversold", "Never more sold than was there", detail, not oversold and not wrong)


def _nothing_lost(books: Books, survived: int, lost: tuple[str, ...], changed: tuple[str, ...]) -> Promise:
    before = len(books.acknowledged_before_kill)
    detail = f"{before:,} accepted before the crash, {survived:,} found after it, {before - survived:,} lost"
    if len(lost) > before - survived:
        detail += f"; of the later ones {len(lost) - before + survived:,} lost"
    if changed:
        detail += f"; {len(changed):,} are not what was ordered"
    return Promise(
        "nothing_lost", "Accepted means kept, even through kill -9", detail, not lost and not changed
    )


def _everything_settled(story: Story, books: Books) -> Promise:
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


def _refused_with_a_reason(books: Books, stored: tuple[str, ...]) -> Promise:
    silent = sum(
        not any(short.asked > short.available_here for short in shortages)
        for shortages in books.refused.values()
    )
    detail = f"{len(books.refused):,} refused, each told which article is short"
    if silent or stored:
        detail = f"{silent:,} of {len(books.refused):,} not told why, {len(stored):,} stored all the same"
    return Promise(
        "refused_with_a_reason", "Nobody turned away without a reason", detail, not silent and not stored
    )


def items_json(verdict: Verdict) -> list[Json]:
    """The table of articles, for programs."""
    return [
        {
            "sku": item.article.sku,
            "name": item.article.name,
            "received": item.received,
            "asked": item.asked,
            "sold": item.sold,
            "reserved": item.reserved,
            "available": item.left,
            "oversold": item.oversold,
        }
        for item in verdict.items
    ]
