"""Between values and messages, as `convert`: nodes, members, invitations, and who holds which tokens."""

from __future__ import annotations

from collections.abc import Mapping

from tallystick.client.convert import time_value
from tallystick.client.values import node, stock
from tallystick.client.words import LINK_STATE, MEMBER_STATE, WRITE_STATE
from tallystick.v1 import cluster_service_pb2, stock_service_pb2


def node_status(message: cluster_service_pb2.GetStatusResponse) -> node.NodeStatus:
    storage = message.storage
    return node.NodeStatus(
        cluster=message.cluster,
        node=message.node,
        region=message.region,
        version=message.version,
        start_time=time_value(message.start_time),
        storage=node.StorageStatus(
            write_state=WRITE_STATE[storage.write_state],
            reason=storage.reason,
            used_bytes=storage.used_bytes,
            map_bytes=storage.map_bytes,
            disk_free_bytes=storage.disk_free_bytes,
            reserve_bytes=storage.reserve_bytes,
            checkpoint_backlog=storage.checkpoint_backlog,
        ),
        sequence=message.sequence,
        peers=tuple(map(peer_status, message.peers)),
        vector=dict(message.vector),
        digest=message.digest.hex(),
        unreplicated_orders=message.unreplicated_orders,
        state=MEMBER_STATE[message.state],
        installing=message.installing,
        divergences=message.divergences,
    )


def peer_status(message: cluster_service_pb2.PeerStatus) -> node.PeerStatus:
    return node.PeerStatus(
        node=message.node,
        region=message.region,
        address=message.address,
        link=LINK_STATE[message.link],
        heard_time=time_value(message.heard_time),
        lag_events=message.lag_events,
        unacked_events=message.unacked_events,
        agreed_time=time_value(message.agreed_time),
        problem=message.problem,
    )


def member_value(message: cluster_service_pb2.Member) -> node.Member:
    return node.Member(
        node=message.node,
        region=message.region,
        address=message.address,
        state=MEMBER_STATE[message.state],
        join_time=time_value(message.join_time),
    )


def invitation_value(message: cluster_service_pb2.CreateInvitationResponse) -> node.Invitation:
    return node.Invitation(code=message.invitation, expire_time=time_value(message.expire_time))


def verification_value(message: cluster_service_pb2.VerifyResponse) -> node.Verification:
    return node.Verification(
        records=message.records,
        differences=tuple(
            node.Difference(node=each.node, table=each.table, record=each.record, problem=each.problem)
            for each in message.differences
        ),
        compared=tuple(message.compared),
        unreachable=tuple(message.unreachable),
        in_motion=message.in_motion,
    )


def item_tokens(message: stock_service_pb2.ItemTokens) -> stock.ItemTokens:
    return stock.ItemTokens(
        sku=message.sku, location=message.location, nodes=tuple(map(node_tokens, message.nodes))
    )


def node_tokens(message: stock_service_pb2.NodeTokens) -> stock.NodeTokens:
    return stock.NodeTokens(
        node=message.node,
        region=message.region,
        quantity=message.quantity,
        demand=message.demand,
        runway_seconds=message.runway_seconds if message.HasField("runway_seconds") else None,
    )


def token_shares(split: Mapping[str, int]) -> list[stock_service_pb2.TokenShare]:
    """A receipt's split: weights by node."""
    return [stock_service_pb2.TokenShare(node=name, weight=weight) for name, weight in split.items()]
