"""Strategies for commands of every shape, over few ids and items, so that they meet."""

from __future__ import annotations

from hypothesis import strategies as st

from tallystick.core.order.facts import Adjustment, AdjustmentKind, Body, Line, PaymentKind
from tallystick.core.replica import commands

ORDER_IDS = ("o1", "o2", "o3", "o4")
ITEMS = (("x", ""), ("x", "north"), ("y", ""))
order_ids = st.sampled_from(ORDER_IDS)
request_ids = st.sampled_from(["r1", "r2", "r3", "r4", "r5"])
items = st.sampled_from(ITEMS)
hold_lengths = st.sampled_from([0, 0, 10_000, 60_000])

_line = st.tuples(
    items,
    st.integers(1, 4),
    st.sampled_from([0, 5, 10, 33]),
    st.sampled_from([False, False, False, True]),
)


def _lines(drawn: list[tuple[tuple[str, str], int, int, bool]]) -> tuple[Line, ...]:
    return tuple(
        Line(str(number), sku, units, location, untracked=free, amount=amount)
        for number, ((sku, location), units, amount, free) in enumerate(drawn, 1)
    )


def _adjusted(body: Body, amount: int) -> Body:
    """With a discount or a fee, but never a total below 0."""
    amount = max(amount, -body.total)
    if not amount:
        return body
    kind = int(AdjustmentKind.FEE if amount > 0 else AdjustmentKind.DISCOUNT)
    adjustments = (Adjustment("a", kind, amount),)
    return Body(
        body.currency,
        body.lines,
        body.customer,
        adjustments,
        body.confirm_when,
        body.hold_ms,
        body.shortage_mode,
        body.details,
    )


bodies = st.builds(
    _adjusted,
    st.builds(
        Body,
        currency=st.sampled_from(["EUR", "EUR", "USD"]),
        lines=st.lists(_line, min_size=1, max_size=3).map(_lines),
        customer=st.sampled_from(["", "ada", "bob"]),
        confirm_when=st.sampled_from([0, 1, 2, 3, 3, 4, 4]),
        hold_ms=hold_lengths,
        shortage_mode=st.sampled_from([0, 1, 2, 2]),
        details=st.dictionaries(
            st.sampled_from(["note", "email", "tags.a"]), st.sampled_from(["", "hi", "hello"]), max_size=2
        ),
    ),
    st.sampled_from([0, 0, 7, -20]),
)
actors = st.sampled_from(["", "ann"])
words = st.sampled_from(["", "found"])
placings = st.builds(
    lambda order_id, body, actor, counted: commands.PlaceOrder(
        order_id, body, actor, body.total if counted else None
    ),
    order_ids,
    bodies,
    actors,
    st.booleans(),
)
line_units = st.dictionaries(st.sampled_from(["1", "2", "3", "9"]), st.integers(0, 3), max_size=2).map(
    lambda units: tuple(units.items())
)
confirmations = st.builds(commands.ConfirmOrder, order_ids, request_ids, actors)
extensions = st.builds(commands.ExtendHold, order_ids, request_ids, hold_lengths, actors)
payments = st.builds(
    commands.RecordPayment,
    order_ids,
    request_ids,
    st.one_of(st.just(int(PaymentKind.CAPTURED)), st.sampled_from([int(kind) for kind in PaymentKind])),
    st.sampled_from([1, 10, 50, 200]),
    st.sampled_from(["", "", "", "EUR"]),
    words,
    actors,
)
cancellations = st.builds(
    commands.CancelOrder, order_ids, request_ids, st.one_of(st.just(()), line_units), words, actors
)
edits = st.builds(
    commands.EditOrder,
    order_ids,
    request_ids,
    st.dictionaries(
        st.sampled_from(["note", "email", "tags.a", "tags.b"]),
        st.sampled_from([None, "", "hi", "hello there"]),
        max_size=2,
    ),
    st.sampled_from([(), (), ("tags.",)]),
    st.just(""),
    actors,
)
writes = st.one_of(confirmations, extensions, payments, cancellations, edits)
expiries = st.builds(commands.ExpireHold, order_ids)


def bookings(node: str) -> st.SearchStrategy[commands.StockWrite]:
    """Receipts, corrections and limits at `node`."""
    ids = st.sampled_from([f"b{number}" for number in range(12)])

    def counted(low: int, high: int) -> st.SearchStrategy[tuple[tuple[str, str, int], ...]]:
        units = st.integers(low, high).filter(bool)
        return st.lists(st.builds(lambda item, n: (*item, n), items, units), min_size=1, max_size=3).map(
            tuple
        )

    def limited(booking_id: str, item: tuple[str, str], limit: int, actor: str) -> commands.SetOverbooking:
        return commands.SetOverbooking(booking_id, node, item[0], item[1], limit, actor)

    here = st.just(node)
    return st.one_of(
        st.builds(commands.ReceiveStock, ids, here, counted(1, 8), actors, st.just(())),
        st.builds(commands.AdjustStock, ids, here, counted(-4, 3), words, actors),
        st.builds(limited, ids, items, st.integers(0, 3), actors),
    )
