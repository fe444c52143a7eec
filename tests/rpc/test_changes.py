"""ConfirmOrder, ExtendHold, CancelOrder: decisions on a hold and on a sale."""

import pytest

from tallystick.v1 import order_pb2, write_pb2
from tests.rpc.asking import (
    CANCELLED,
    CONFIRMED,
    HELD,
    cancel,
    confirm,
    extend,
    get,
    get_stock,
    hold,
    order,
    place,
    receive,
    seconds,
)
from tests.rpc.refusals import refusal


@pytest.fixture
async def held(served):
    """A hold of 4 of 10 teas and 2 of 5 milks."""
    await receive(served, tea=10, milk=5)
    await place(served, hold("o-1", ("tea", 4), ("milk", 2)))
    return served


async def figures(served, sku="tea"):
    stock = await get_stock(served, sku)
    return stock.reserved, stock.sold, stock.available_here


async def test_confirming_sells_what_was_held(held):
    held.clock.advance(2)
    answer = await confirm(held, "o-1", actor="till")
    assert answer.order.state == CONFIRMED
    assert not answer.order.HasField("hold_expire_time")
    assert answer.order.update_time.ToMilliseconds() == held.clock.ms
    assert (answer.write.disposition, answer.write.replayed) == (write_pb2.DISPOSITION_DECIDED, False)
    assert await figures(held) == (0, 4, 6)
    assert await get(held, "o-1", answer.write.consistency_token) == answer.order
    again = await confirm(held, "o-1")
    assert (again.write.replayed, again.order) == (True, answer.order)
    other_id = await confirm(held, "o-1", "confirm-2")
    assert (other_id.write.replayed, other_id.order) == (True, answer.order)
    assert await figures(held) == (0, 4, 6)


async def test_extending_counts_from_now(held):
    held.clock.advance(30)
    answer = await extend(held, "o-1", hold=seconds(45))
    assert answer.order.hold_expire_time.ToMilliseconds() == held.clock.ms + 45_000
    held.clock.advance(10)
    again = await extend(held, "o-1", hold=seconds(45))
    assert (again.write.replayed, again.order) == (True, answer.order)
    default = await extend(held, "o-1", "extend-2")
    assert default.order.hold_expire_time.ToMilliseconds() == held.clock.ms + 15 * 60_000
    refused = await refusal(extend(held, "o-1", hold=seconds(46)))
    assert (refused.code, refused.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert refused.metadata["request_id"] == "extend"
    assert await figures(held) == (4, 0, 6)


@pytest.mark.parametrize("sold", [False, True])
async def test_cancelling_frees_everything(held, sold):
    if sold:
        await confirm(held, "o-1")
    answer = await cancel(held, "o-1", reason="no need")
    assert answer.order.state == CANCELLED
    assert [line.cancelled_quantity for line in answer.order.lines] == [4, 2]
    assert not any(line.allocations for line in answer.order.lines)
    assert (answer.order.payment.amount_due, answer.order.payment.refund_due) == (0, 0)
    assert await figures(held) == (0, 0, 10)
    assert await figures(held, "milk") == (0, 0, 5)
    again = await cancel(held, "o-1", reason="no need")
    assert (again.write.replayed, again.order) == (True, answer.order)
    assert (await cancel(held, "o-1", "cancel-2")).write.replayed
    assert await figures(held) == (0, 0, 10)


@pytest.mark.parametrize("sold", [False, True])
async def test_cancelling_a_part_frees_that_part(held, sold):
    if sold:
        await confirm(held, "o-1")
    answer = await cancel(held, "o-1", "c-1", ("1", 3))
    assert answer.order.state == (CONFIRMED if sold else HELD)
    assert [line.cancelled_quantity for line in answer.order.lines] == [3, 0]
    assert [sum(a.quantity for a in line.allocations) for line in answer.order.lines] == [1, 2]
    assert answer.order.payment.amount_due == 300
    assert await figures(held) == ((0, 1, 9) if sold else (1, 0, 9))
    again = await cancel(held, "o-1", "c-1", ("1", 3))
    assert (again.write.replayed, again.order) == (True, answer.order)
    refused = await refusal(cancel(held, "o-1", "c-1", ("1", 2)))
    assert refused.reason == "REQUEST_ID_REUSED"
    # All that is left of both lines is all of the order.
    ended = await cancel(held, "o-1", "c-2", ("1", 0), ("2", 2))
    assert ended.order.state == CANCELLED
    assert await figures(held) == (0, 0, 10)


async def test_cancelling_more_than_there_is_changes_nothing(held):
    await cancel(held, "o-1", "c-1", ("1", 3))
    for lines, code, reason in [
        ([("1", 2)], "FAILED_PRECONDITION", "QUANTITY_TOO_LARGE"),
        ([("2", 1), ("9", 1)], "INVALID_ARGUMENT", "LINE_NOT_FOUND"),
        ([("2", -1)], "INVALID_ARGUMENT", "INVALID_FIELD"),
        ([("2", 1), ("2", 1)], "INVALID_ARGUMENT", "INVALID_FIELD"),
    ]:
        refused = await refusal(cancel(held, "o-1", "c-2", *lines))
        assert (refused.code, refused.reason, refused.definite) == (code, reason, True)
    assert await figures(held, "milk") == (2, 0, 3)
    # A declined wish is not stored: the id stays free.
    assert not (await cancel(held, "o-1", "c-2", ("2", 1))).write.replayed


async def test_a_line_that_is_gone_cannot_be_cancelled_again(held):
    await cancel(held, "o-1", "c-1", ("2", 0))
    refused = await refusal(cancel(held, "o-1", "c-2", ("2", 0)))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "QUANTITY_TOO_LARGE")


@pytest.mark.parametrize(
    ("ended", "call", "reason"),
    [
        (cancel, confirm, "ORDER_CANCELLED"),
        (cancel, extend, "ORDER_CANCELLED"),
        (confirm, extend, "ORDER_CONFIRMED"),
    ],
)
async def test_what_the_state_forbids(held, ended, call, reason):
    before = (await ended(held, "o-1")).order
    stock = await figures(held)
    refused = await refusal(call(held, "o-1", "late"))
    assert (refused.code, refused.reason, refused.definite) == ("FAILED_PRECONDITION", reason, True)
    assert refused.metadata["order_id"] == "o-1"
    assert await get(held, "o-1") == before
    assert await figures(held) == stock


async def test_a_part_of_what_is_cancelled_cannot_be_cancelled(held):
    await cancel(held, "o-1")
    refused = await refusal(cancel(held, "o-1", "c-2", ("1", 1)))
    assert refused.reason == "ORDER_CANCELLED"


@pytest.mark.parametrize("call", [confirm, extend])
async def test_an_order_that_nobody_placed(served, call):
    refused = await refusal(call(served, "o-9", "x"))
    assert (refused.code, refused.reason, refused.definite) == ("NOT_FOUND", "ORDER_NOT_FOUND", True)
    assert refused.metadata["order_id"] == "o-9"
    await cancel(served, "o-9")
    assert (await refusal(call(served, "o-9", "x"))).reason == "ORDER_NOT_FOUND"
    assert (await refusal(get(served, "o-8"))).reason == "ORDER_NOT_FOUND"


@pytest.mark.parametrize("call", [confirm, extend, cancel])
async def test_ids_are_checked(held, call):
    assert (await refusal(call(held, "a b", "x"))).fields == ["order_id"]
    assert (await refusal(call(held, "", "x"))).fields == ["order_id"]
    assert (await refusal(call(held, "o-1", ""))).fields == ["request_id"]
    assert (await refusal(call(held, "o-1", "ü"))).fields == ["request_id"]
    assert (await refusal(call(held, "o-1", "x", actor="a\nb"))).fields == ["actor"]


async def test_early_cancellations_are_wishes_with_ids_of_their_own(served):
    first = await cancel(served, "o-1", "c-1")
    assert (await cancel(served, "o-1", "c-1")).write.replayed
    assert (await refusal(cancel(served, "o-1", "c-1", ("1", 1)))).reason == "REQUEST_ID_REUSED"
    assert await get(served, "o-1") == first.order


async def test_an_early_part_cancellation_waits_for_its_line(served):
    await receive(served, tea=10)
    await cancel(served, "o-1", "c-1", ("1", 2))
    placed = (await place(served, order("o-1", ("tea", 3)))).order
    assert (placed.state, placed.lines[0].cancelled_quantity) == (CONFIRMED, 2)
    assert await figures(served) == (0, 1, 9)


async def test_an_early_part_cancellation_of_no_line_is_declined_at_placing(served):
    await receive(served, tea=10)
    await cancel(served, "o-1", "c-1", ("7", 2))
    placed = (await place(served, order("o-1", ("tea", 3)))).order
    assert (placed.state, placed.lines[0].cancelled_quantity) == (CONFIRMED, 0)


async def test_one_id_may_confirm_and_cancel(held):
    """A request id is a name within one kind of request."""
    await confirm(held, "o-1", "same")
    assert (await cancel(held, "o-1", "same")).order.state == order_pb2.ORDER_STATE_CANCELLED
