"""What every audit looks at: articles that add up, orders that read back, refusals with a reason. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from tallystick.cli.demo.books import Books
from tallystick.cli.demo.story import Article
from tallystick.cli.output import Json
from tallystick.client.values.order import ConfirmWhen, Order, OrderState
from tallystick.client.values.stock import Stock
from tallystick.client.values.write import Shortage

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


def item_rows(
    articles: Iterable[Article], asked: Mapping[str, int], told: Mapping[str, int], stock: Iterable[Stock]
) -> tuple[ItemRow, ...]:
    """One row an article: what the shoppers know beside what the server says."""
    listed = {item.sku: item for item in stock}
    return tuple(
        _item(each, asked.get(each.sku, 0), told.get(each.sku, 0), listed.get(each.sku)) for each in articles
    )


def _item(article: Article, asked: int, told: int, item: Stock | None) -> ItemRow:
    known = item or Stock(sku=article.sku)
    return ItemRow(article, asked, known.received, known.sold, known.reserved, known.available_here, told)


class Promise(NamedTuple):
    """One promise in plain words, and whether it held; `detail` says by which figures."""

    name: str
    words: str
    detail: str
    held: bool


def reads_back(sent: Order, found: Order) -> bool:
    """Whether it is the order that was sent, sold or held as it was to be."""
    same = ("customer", "currency", "total", "confirm_when")
    lines = [[(line.sku, line.quantity, line.amount) for line in order.lines] for order in (sent, found)]
    return (
        all(getattr(sent, name) == getattr(found, name) for name in same)
        and lines[0] == lines[1]
        and found.state is _STATES[sent.confirm_when]
        and not found.conflicts
    )


def never_oversold(items: Sequence[ItemRow]) -> Promise:
    oversold = sum(item.oversold for item in items)
    wrong = [item.article.name for item in items if not item.adds_up]
    detail = f"{oversold:,} units sold twice"
    if wrong:
        detail += f"; does not add up: {', '.join(wrong)}"
    return Promise("never_oversold", "Never more sold than was there", detail, not oversold and not wrong)


def changed_orders(books: Books, found: Mapping[str, Order]) -> tuple[str, ...]:
    """Acknowledged orders that read back as something else."""
    both = ((order, found[order_id]) for order_id, order in books.acknowledged.items() if order_id in found)
    return tuple(sorted(sent.id for sent, there in both if not reads_back(sent, there)))


def refused_with_a_reason(refused: Iterable[Sequence[Shortage]], stored: Collection[str]) -> Promise:
    """`refused`: what each refusal said; `stored`: refused orders that are there all the same."""
    reasons = [any(short.asked > short.available_here for short in shortages) for shortages in refused]
    silent = reasons.count(False)
    detail = f"{len(reasons):,} refused, each told which article is short"
    if silent or stored:
        detail = f"{silent:,} of {len(reasons):,} not told why, {len(stored):,} stored all the same"
    return Promise(
        "refused_with_a_reason", "Nobody turned away without a reason", detail, not silent and not stored
    )


def items_json(items: Iterable[ItemRow]) -> list[Json]:
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
        for item in items
    ]
