"""A disk that was rolled back: the others know what was sold since, and nothing is sold on it again."""

from __future__ import annotations

import shutil

from tallystick.v1 import cluster_service_pb2 as pb
from tests.node.logs import take_errors
from tests.replication.cluster import agreed, becomes, linked, status_of
from tests.rpc.asking import get, get_stock, order, place, receive
from tests.rpc.refusals import refusal


async def test_a_rolled_back_disk_sells_nothing(cluster, logs):
    eu = await cluster.found("eu")
    us = await cluster.join("us")
    await receive(eu, "r-1", tea=10)
    await receive(us, "r-2", tea=10)
    await agreed(eu, us)
    await cluster.end("us")
    shutil.copytree(cluster.base / "us", cluster.base / "backup")
    us = await cluster.again("us")
    await linked(eu, us)
    await place(us, order("since", ("tea", 6)))
    await agreed(eu, us)
    await cluster.end("us")
    shutil.rmtree(cluster.base / "us")
    shutil.move(cluster.base / "backup", cluster.base / "us")
    us = await cluster.again("us")
    refused = await refusal(place(us, order("again", ("tea", 6))))
    assert (refused.code, refused.reason, refused.definite) == ("UNAVAILABLE", "OWN_CHAIN_LOST", True)
    assert (await refusal(receive(us, "r-3", tea=1))).reason == "OWN_CHAIN_LOST"
    assert (await get_stock(us, "tea")).sold == 0  # it reads as it was
    # The others go on without it, and say why.
    await place(eu, order("o-1", ("tea", 4)))
    told = await becomes(
        lambda: status_of(eu), lambda told: [peer.link for peer in told.peers] == [pb.LINK_STATE_STOPPED]
    )
    assert told.peers[0].problem.startswith("OWN_CHAIN_LOST")
    assert (await get(eu, "since")).id == "since"
    assert (await get_stock(eu, "tea")).sold == 10
    assert set(take_errors(logs)) == {"alarm"}
