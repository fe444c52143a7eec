"""The client's calls about nodes: how they are, who belongs, and who may join."""

from __future__ import annotations

from datetime import timedelta

from tallystick.client import convert, convert_cluster
from tallystick.client.base import ClientBase
from tallystick.client.values.node import Invitation, Member, NodeStatus, Verification
from tallystick.v1 import cluster_service_pb2 as contract


class ClusterCalls(ClientBase):
    """The node that answers, and the cluster it belongs to."""

    async def status(self, *, timeout: float | None = None) -> NodeStatus:
        """Who answers, how it is, and how it sees its peers."""
        request = contract.GetStatusRequest()
        seconds = self._seconds(timeout)
        response = await self._open().calls.ask(lambda at: at.cluster.GetStatus, request, seconds)
        return convert_cluster.node_status(response)

    async def members(self, *, timeout: float | None = None) -> list[Member]:
        """Everybody who belongs to the cluster, or did."""
        request = contract.ListMembersRequest()
        seconds = self._seconds(timeout)
        response = await self._open().calls.ask(lambda at: at.cluster.ListMembers, request, seconds)
        return [convert_cluster.member_value(each) for each in response.members]

    async def invite(self, valid_for: timedelta | None = None, *, timeout: float | None = None) -> Invitation:
        """Let one new node join: 1 minute to 30 days, a day if None. One that nobody uses does no harm."""
        request = contract.CreateInvitationRequest(valid_for=convert.duration(valid_for))
        seconds = self._seconds(timeout)
        response = await self._open().calls.ask(lambda at: at.cluster.CreateInvitation, request, seconds)
        return convert_cluster.invitation_value(response)

    async def verify(self, *, timeout: float | None = None) -> Verification:
        """Have the node read all that it has, and compare it with its peers: give it time.

        Raises NotServed where the node's version doesn't know how.
        """
        request = contract.VerifyRequest()
        seconds = self._seconds(timeout)
        response = await self._open().calls.ask(lambda at: at.cluster.Verify, request, seconds)
        return convert_cluster.verification_value(response)
