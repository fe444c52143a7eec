"""Holds whose time is over: the sweeper lets them go, on the clock of the node, which the test moves."""

from tallystick.v1 import order_pb2
from tests.rpc.asking import (
    CANCELLED,
    CONFIRMED,
    EXPIRED,
    HELD,
    cancel,
    confirm,
    events_of,
    extend,
    get,
    get_stock,
    hold,
    list_orders,
    place,
    place_all,
    reached,
    receive,
    seconds,
)
from tests.rpc.refusals import refusal
from tests.rpc.serving import serving, start


async def test_a_hold_ends_at_its_time_and_not_before(served):
    await receive(served, tea=10)
    await place(served, hold("on-time", ("tea", 3), hold_s=10))
    await place(served, hold("later", ("tea", 2), hold_s=10.001))
    served.clock.advance(10)
    expired = await reached(served, "on-time", EXPIRED)
    assert expired.update_time.ToMilliseconds() == served.clock.ms
    assert not expired.HasField("hold_expire_time")
    assert not expired.lines[0].allocations
    # Both were looked at in one sweep.
    assert (await get(served, "later")).state == HELD
    stock = await get_stock(served, "tea")
    assert (stock.reserved, stock.available_here) == (2, 8)
    history = (await events_of(served, "on-time")).events
    assert [event.kind for event in history] == [
        order_pb2.ORDER_EVENT_KIND_PLACED,
        order_pb2.ORDER_EVENT_KIND_EXPIRED,
    ]
    served.clock.advance(0.001)
    await reached(served, "later", EXPIRED)
    assert (await get_stock(served, "tea")).available_here == 10


async def test_what_was_decided_before_stands(served):
    await receive(served, tea=10)
    for name in ("sold", "gone", "longer", "shorter", "canary"):
        await place(served, hold(name, ("tea", 1), hold_s=20))
    await confirm(served, "sold")
    await cancel(served, "gone")
    await extend(served, "longer", hold=seconds(30))
    await extend(served, "shorter", hold=seconds(10))
    served.clock.advance(10)
    await reached(served, "shorter", EXPIRED)
    assert (await get(served, "canary")).state == HELD
    served.clock.advance(10)
    await reached(served, "canary", EXPIRED)
    states = {one.id: one.state for one in (await list_orders(served)).orders}
    assert states == {
        "sold": CONFIRMED,
        "gone": CANCELLED,
        "longer": HELD,
        "shorter": EXPIRED,
        "canary": EXPIRED,
    }
    served.clock.advance(10)
    await reached(served, "longer", EXPIRED)
    assert (await get_stock(served, "tea")).available_here == 9


async def test_an_expired_order_takes_no_more_decisions(served):
    await receive(served, tea=10)
    await place(served, hold("o-1", ("tea", 3), hold_s=10))
    served.clock.advance(10)
    await reached(served, "o-1", EXPIRED)
    for call in (confirm, extend):
        refused = await refusal(call(served, "o-1"))
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "ORDER_EXPIRED")
    assert (await place(served, hold("o-1", ("tea", 3), hold_s=10))).order.state == EXPIRED
    ended = await cancel(served, "o-1")
    assert ended.order.state == CANCELLED
    assert (await get_stock(served, "tea")).available_here == 10


async def test_holds_that_ended_while_the_node_was_down(tmp_path):
    served = await start(tmp_path / "node")
    await receive(served, tea=10)
    await place(served, hold("o-1", ("tea", 3), hold_s=10))
    await place(served, hold("o-2", ("tea", 3), hold_s=60))
    clock = served.clock
    await served.stop()
    clock.advance(30)
    async with serving(tmp_path / "node", clock) as again:
        await reached(again, "o-1", EXPIRED)
        assert (await get(again, "o-2")).state == HELD
        assert (await get_stock(again, "tea")).available_here == 7


async def test_more_holds_than_one_sweep_takes(served):
    await receive(served, tea=700)
    holds = [hold(f"o-{number:03}", ("tea", 1), hold_s=10 + number % 7) for number in range(700)]
    await place_all(served, *holds)
    served.clock.advance(20)
    for number in range(0, 700, 99):
        await reached(served, f"o-{number:03}", EXPIRED)
    await reached(served, "o-699", EXPIRED)
    assert (await get_stock(served, "tea")).available_here == 700
    assert len((await list_orders(served, state=EXPIRED, page_size=1_000)).orders) == 700


async def test_a_clock_that_goes_back_expires_nothing_early(served):
    await receive(served, tea=10)
    served.clock.advance(3_600)
    await place(served, hold("o-1", ("tea", 1), hold_s=10))
    served.clock.advance(-3_600)
    await place(served, hold("o-2", ("tea", 1), hold_s=10))
    placed = [(await get(served, name)).place_time.ToMilliseconds() for name in ("o-1", "o-2")]
    assert placed[0] <= placed[1]
    served.clock.advance(10)
    await reached(served, "o-2", EXPIRED)
    assert (await get(served, "o-1")).state == HELD
