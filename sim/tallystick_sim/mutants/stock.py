"""Wrong about stock: rows, rights, tokens on the move, what orders take and free."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tallystick.core.errors import InsufficientStock
from tallystick.core.limits import CELL_MAX
from tallystick.core.order.facts import Body, DecisionKind
from tallystick.core.order.status import State
from tallystick.core.replica import apply, book, granting, place, tokens
from tallystick.core.replica.keys import stock_key
from tallystick.core.replica.step import Replica
from tallystick.core.replica.view import View
from tallystick.core.stock import moves
from tallystick.core.stock.receipts import EMPTY_BOOKINGS
from tallystick.core.stock.rights import Row, Stock, cells_of, standing, totals
from tallystick_sim.mutants.patching import Mutant, always, both, swap
from tallystick_sim.run import Patch


def _added(left: Row, right: Row) -> Row:
    return Row(*map(sum, zip(cells_of(left), cells_of(right), strict=True)), right.moved)  # type: ignore[call-arg, arg-type]


def _own_balance(row: Row) -> int:
    return row.received + row.minted - row.burned - row.unminted - row.taken + row.freed


def _sends(wrong: Any) -> Patch:
    """Both who grant and who obey an operator."""
    return both(swap(granting, "send_tokens", wrong), swap(book, "send_tokens", wrong))


def _sends_unseen(_: Any) -> Any:
    def send(view: View, replica: int, key: bytes, to: int, units: int) -> int:
        stock = view.stock_of(key)
        view.put_stock(key, stock.with_row(replica, moves.move(stock.row(replica), to, units)))
        return units

    return send


def _sends_to_itself(right: Any) -> Any:
    return lambda view, replica, key, to, units: right(view, replica, key, replica, units)


def _writes_the_receivers_row(_: Any) -> Any:
    def send(view: View, replica: int, key: bytes, to: int, units: int) -> int:
        stock = view.stock_of(key)
        view.put_stock(key, stock.with_row(to, moves.receive(stock.row(to), units)))
        return units

    return send


def _all_rights(_: Any) -> Any:
    def all_rights(stock: Stock, replica: int) -> tuple[int, Row]:
        return totals(stock).available, stock.row(replica)

    return all_rights


def _takes_before_it_refuses(right: Any) -> Any:
    def take(replica: Replica, body: Body, view: View) -> Any:
        try:
            return right(replica, body, view)
        except InsufficientStock:
            for line in body.lines:
                key = stock_key(line.sku, line.location)
                here, row = standing(view.stock_of(key), replica.replica)
                held = moves.hold(row, max(0, min(here, line.quantity)))
                view.put_stock(key, view.stock_of(key).with_row(replica.replica, held))
            raise

    return take


def _moved(*changed: tuple[DecisionKind, State, Any]) -> Patch:
    """Decisions that do another thing to tokens than they should; None: nothing."""

    def wrong(right: Any) -> Any:
        table = right | {(kind, state): move for kind, state, move in changed}
        return {what: move for what, move in table.items() if move is not None}

    return swap(tokens, "TOKEN_MOVES", wrong)


def _loses_the_rest(_: Any) -> Any:
    return lambda row, units, free: replace(row, burned=row.burned + min(units, free))


def _mints_the_limit(right: Any) -> Any:
    def set_overbooking(row: Row, limit: int) -> Row:
        after: Row = right(row, limit)
        return replace(row, minted=row.minted + limit) if limit else after

    return set_overbooking


def _lowers_at_once(right: Any) -> Any:
    def set_overbooking(row: Row, limit: int) -> Row:
        after: Row = right(row, limit)
        return replace(after, unminted=after.lowered)

    return set_overbooking


STOCK = (
    Mutant(
        "adds-instead-of-joining",
        "a row that comes from a peer is added to what is here",
        1,
        swap(apply, "join_rows", lambda _: _added),
    ),
    Mutant(
        "gives-and-keeps",
        "who gives tokens away may still sell them",
        1,
        swap(Row, "balance", lambda _: property(_own_balance)),
    ),
    Mutant(
        "gives-what-it-has-not",
        "tokens that were here when it was planned are sent, whether or not they still are",
        2,
        _sends(_sends_unseen),
    ),
    Mutant(
        "sends-tokens-to-itself",
        "the giver is the receiver: the tokens are nobody's",
        1,
        _sends(_sends_to_itself),
    ),
    Mutant(
        "writes-anothers-row",
        "tokens are given by writing into the row of who gets them",
        1,
        _sends(_writes_the_receivers_row),
    ),
    Mutant(
        "sells-what-others-hold",
        "an order is held against what all nodes together have",
        2,
        swap(place, "standing", _all_rights),
    ),
    Mutant(
        "sees-no-sale-of-the-same-commit",
        "stock is read from the store, not from under the commit's own writes",
        1,
        swap(View, "stock_of", lambda _: lambda self, key: self._source.stock(key)),
    ),
    Mutant(
        "takes-before-it-refuses",
        "an order that is refused keeps what it found",
        2,
        swap(place, "_take", _takes_before_it_refuses),
    ),
    Mutant(
        "frees-twice",
        "a hold that is cancelled frees its tokens twice",
        2,
        _moved((DecisionKind.CANCEL, State.HELD, lambda row, units: moves.free(row, 2 * units))),
    ),
    Mutant(
        "frees-what-had-ended",
        "a claim that has ended frees its tokens again when it yields to a rival",
        3,
        _moved(
            (DecisionKind.DUPLICATE, State.CANCELLED, moves.free),
            (DecisionKind.DUPLICATE, State.EXPIRED, moves.free),
        ),
    ),
    Mutant(
        "keeps-the-losers-tokens",
        "a claim that yields to a rival frees nothing",
        3,
        _moved((DecisionKind.DUPLICATE, State.HELD, None), (DecisionKind.DUPLICATE, State.CONFIRMED, None)),
    ),
    Mutant(
        "confirms-without-selling",
        "a hold that is confirmed is no sale in the books",
        3,
        _moved((DecisionKind.CONFIRM, State.HELD, None)),
    ),
    Mutant(
        "sells-what-was-cancelled",
        "a sale that is cancelled frees its tokens and stays a sale",
        2,
        _moved((DecisionKind.CANCEL, State.CONFIRMED, moves.free)),
    ),
    Mutant(
        "holds-again-for-nothing",
        "an order that is paid after its hold expired is held again without tokens",
        4,
        _moved((DecisionKind.HOLD_AGAIN, State.EXPIRED, None)),
    ),
    Mutant(
        "reduces-twice",
        "a line that is cancelled in part frees twice as many",
        2,
        swap(tokens, "_units", lambda _: lambda lines: {line: 2 * units for line, units in lines}),
    ),
    Mutant(
        "loses-what-is-missing",
        "missing goods that were sold already are owed by nobody",
        11,
        swap(moves, "shrink", _loses_the_rest),
    ),
    Mutant(
        "pays-with-what-is-not-there",
        "missing goods are burned whether or not any are free",
        11,
        swap(moves, "settle", lambda right: lambda row, _: right(row, CELL_MAX)),
    ),
    Mutant(
        "mints-the-limit-again",
        "each time the limit of overbooking is told, that much is minted",
        20,
        swap(moves, "set_overbooking", _mints_the_limit),
    ),
    Mutant(
        "lowers-at-once",
        "overbooking that is taken back ends at once, whatever was sold on it",
        64,
        swap(moves, "set_overbooking", _lowers_at_once),
    ),
    Mutant(
        "books-again",
        "nobody looks whether a receipt was booked before",
        11,
        swap(View, "bookings_of", always(EMPTY_BOOKINGS)),
    ),
)
