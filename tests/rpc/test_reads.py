"""Consistency tokens, the history of an order, and who the node says it is."""

import asyncio

import pytest

from tallystick.core.codec import encode
from tallystick.node.identity import encode_token
from tallystick.v1 import cluster_service_pb2, order_pb2
from tests.rpc.asking import (
    CAPTURED,
    cancel,
    confirm,
    edit,
    events_of,
    extend,
    get,
    get_stock,
    hold,
    list_orders,
    list_stock,
    order,
    pay,
    place,
    receive,
    seconds,
)
from tests.rpc.refusals import refusal
from tests.rpc.serving import CALL_S, serving


async def status(served):
    return await served.cluster.GetStatus(cluster_service_pb2.GetStatusRequest(), timeout=CALL_S)


async def test_a_token_reads_ones_own_write(served):
    token = (await receive(served, tea=100)).write.consistency_token
    assert (await get_stock(served, "tea", token=token)).received == 100

    async def write_and_read(number: int) -> None:
        name = f"o-{number}"
        answer = await place(served, order(name, ("tea", 1)))
        token = answer.write.consistency_token
        assert await get(served, name, token) == answer.order
        listed = await list_orders(served, consistency_token=token)
        assert name in {found.id for found in listed.orders}
        assert (await list_stock(served, consistency_token=token)).stock[0].sold >= 1
        assert (await events_of(served, name, consistency_token=token)).events

    await asyncio.gather(*(write_and_read(number) for number in range(50)))


READS = [
    lambda served, token: get(served, "o-1", token),
    lambda served, token: get_stock(served, "tea", token=token),
    lambda served, token: list_orders(served, consistency_token=token),
    lambda served, token: list_stock(served, consistency_token=token),
    lambda served, token: events_of(served, "o-1", consistency_token=token),
]


@pytest.mark.parametrize("read", READS)
async def test_a_token_of_what_is_not_here_yet(served, tmp_path, read):
    await receive(served, tea=1)
    await place(served, order("o-1", ("tea", 1)))
    head = served.engine.head
    replica = served.running.identity.replica
    ahead = encode_token((replica, head.seq + 1, head.digest))
    forked = encode_token((replica, head.seq, bytes(32)))
    async with serving(tmp_path / "other") as other:
        foreign = (await receive(other, tea=1)).write.consistency_token
        foreign_node = other.node
    for token, node, here in (
        (ahead, served.node, head.seq),
        (forked, served.node, head.seq),
        (foreign, foreign_node, 0),
    ):
        refused = await refusal(read(served, token))
        assert (refused.code, refused.reason, refused.definite) == ("UNAVAILABLE", "BEHIND_TOKEN", True)
        assert refused.retry_ms is not None
        assert refused.retry_ms > 0
        assert (refused.metadata["node"], refused.metadata["here"]) == (node, str(here))


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "token",
    [b"x", b"\xc1", b"\x93\x01\x02", encode((1, 2)), encode(("a", 1, b"")), b"\x91" * 5_000, bytes(600)],
)
async def test_a_token_that_no_node_has_given(served, read, token):
    refused = await refusal(read(served, token))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ["consistency_token"])


async def test_the_history_tells_everything_in_order(served):
    await receive(served, tea=10)
    steps = [
        place(served, hold("o-1", ("tea", 5), hold_s=60), actor="web"),
        pay(served, "o-1", 100, "p-1", reference="psp-9"),
        extend(served, "o-1", "x-1", hold=seconds(90), actor="desk"),
        edit(served, "o-1", "e-1", note="a", phone="1"),
        confirm(served, "o-1", "c-1", actor="till"),
        cancel(served, "o-1", "k-1", ("1", 2), reason="two broke"),
        cancel(served, "o-1", "k-2", reason="all broke", actor="desk"),
    ]
    times = []
    for step in steps:
        served.clock.advance(1)
        times.append(served.clock.ms)
        await step
    history = (await events_of(served, "o-1")).events
    kind = order_pb2.OrderEventKind.Name
    told = [kind(event.kind).removeprefix("ORDER_EVENT_KIND_").lower() for event in history]
    assert told == [
        "placed",
        "payment_recorded",
        *("extension_requested", "hold_extended"),
        "edited",
        *("confirm_requested", "confirmed"),
        *("cancel_requested", "cancelled"),
        *("cancel_requested", "cancelled"),
    ]
    assert [event.time.ToMilliseconds() for event in history] == [
        times[step] for step in (0, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6)
    ]
    placed, paid, asked, extended, edited, *_ = history
    assert (placed.actor, placed.hold_expire_time.ToMilliseconds()) == ("web", times[0] + 60_000)
    assert (paid.payment.payment_id, paid.payment.kind, paid.payment.amount) == ("p-1", CAPTURED, 100)
    assert paid.payment.reference == "psp-9"
    assert (asked.actor, asked.request_id) == ("desk", "x-1")
    assert (extended.number, extended.hold_expire_time.ToMilliseconds()) == (1, times[2] + 90_000)
    assert list(edited.fields) == ["note", "phone"]
    assert [(line.line_id, line.quantity) for line in history[8].lines] == [("1", 2)]
    assert (history[8].reason, history[10].reason, history[9].actor) == ("two broke", "all broke", "desk")
    assert [event.number for event in history if event.number] == [1, 2, 3, 4]
    assert {event.claim for event in history if event.number} == {placed.dot}
    # Each event of the chain has its dot; a wish and its decision share one.
    dots = [int(event.dot.partition(":")[2]) for event in history]
    assert dots == sorted(dots)
    assert len(set(dots)) == len(steps)


async def test_the_history_comes_in_pages(served):
    await receive(served, tea=1)
    await place(served, order("o-1", ("tea", 1)))
    for number in range(12):
        await pay(served, "o-1", 1, f"p-{number}")
    whole = list((await events_of(served, "o-1")).events)
    assert len(whole) == 13
    for size in (1, 4, 13, 1_000):
        paged, token = [], ""
        while True:
            page = await events_of(served, "o-1", page_size=size, page_token=token)
            assert len(page.events) <= size
            paged += page.events
            token = page.next_page_token
            if not token:
                break
        assert paged == whole
    for wrong in ("x", "-1", "1.5", "٣", "9" * 5_000, " 1"):
        assert (await refusal(events_of(served, "o-1", page_token=wrong))).fields == ["page_token"]
    assert not (await events_of(served, "o-1", page_token="9" * 18)).events


async def test_who_answers(served):
    before = await status(served)
    assert (before.node, before.region, before.sequence) == (served.node, "eu", 1)
    assert before.cluster
    assert before.version.count(".") == 2
    assert before.start_time.seconds > 0
    storage = before.storage
    assert storage.write_state == cluster_service_pb2.WRITE_STATE_OPEN
    assert 0 < storage.used_bytes < storage.map_bytes
    assert storage.disk_free_bytes > 0
    await receive(served, tea=1)
    after = await status(served)
    assert (after.sequence, after.cluster) == (2, before.cluster)
